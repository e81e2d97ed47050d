import { type CertificateFiles, readCertificate, type ServerCertificate } from "./serverCertificate.ts";

/**
 * Sees when the certificate was renewed: its files are read again from time to time, since nobody sends a signal when a mounted secret
 * changes. Files that are unusable, as in the middle of a renewal, change nothing; that is told once for each reason.
 */
export type CertificateWatchOptions = {
  files: CertificateFiles;
  /** In use now. */
  current: ServerCertificate;
  intervalMilliseconds?: number;
  onRenewed: (certificate: ServerCertificate) => void;
  onTrouble: (reason: string) => void;
};

const INTERVAL_MILLISECONDS = 60_000;

export class CertificateWatch {
  readonly #options: CertificateWatchOptions;
  readonly #timer: NodeJS.Timeout;
  #files: CertificateFiles;
  #current: ServerCertificate;
  #told = "";
  #checking: Promise<void> = Promise.resolve();

  constructor(options: CertificateWatchOptions) {
    this.#options = options;
    this.#files = options.files;
    this.#current = options.current;
    this.#timer = setInterval(() => void this.check(), options.intervalMilliseconds ?? INTERVAL_MILLISECONDS);
    this.#timer.unref();
  }

  /** Looks now, at other files if they are given. One look after the other, so that the last one's finding stays. */
  check(files: CertificateFiles = this.#files): Promise<void> {
    this.#files = files;
    this.#checking = this.#checking.then(() => this.#look(files));
    return this.#checking;
  }

  async #look(files: CertificateFiles): Promise<void> {
    const reading = await readCertificate(files);
    if (reading.kind === "unusable") {
      if (this.#told !== reading.reason) this.#options.onTrouble(reading.reason);
      this.#told = reading.reason;
      return;
    }
    this.#told = "";
    const { cert, key } = reading.certificate;
    if (cert === this.#current.cert && key === this.#current.key) return;
    this.#current = reading.certificate;
    this.#options.onRenewed(reading.certificate);
  }

  /** Why the files can't be used now; the certificate from before is in use then. */
  get trouble(): string | undefined {
    return this.#told === "" ? undefined : this.#told;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
