import type { SigningKey } from "../dkim/author.ts";
import { type ReadKeyFile, readSigningKey, type SigningSetting } from "../dkim/signingKeys.ts";

/**
 * The keys of DKIM as their files have them: these are read again from time to time, since nobody sends a signal when a mounted secret changes. A
 * file that is unusable changes nothing, its last good key stays; that is told once for each reason.
 */
export type SigningKeyFilesOptions = {
  settings: readonly SigningSetting[];
  /** Of the settings, in their order. */
  keys: readonly SigningKey[];
  readFile: ReadKeyFile;
  intervalMilliseconds?: number;
  onRenewed: (key: SigningKey) => void;
  onTrouble: (reason: string) => void;
};

const INTERVAL_MILLISECONDS = 60_000;

export class SigningKeyFiles {
  readonly #options: SigningKeyFilesOptions;
  readonly #timer: NodeJS.Timeout;
  #settings: readonly SigningSetting[];
  #keys: readonly SigningKey[];
  #told = "";

  constructor(options: SigningKeyFilesOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#keys = options.keys;
    this.#timer = setInterval(() => this.check(), options.intervalMilliseconds ?? INTERVAL_MILLISECONDS);
    this.#timer.unref();
  }

  /** Those in use: the same list until one of them changes. */
  get keys(): readonly SigningKey[] {
    return this.#keys;
  }

  /** Which files can't be used now, and why; undefined: none. */
  get trouble(): string | undefined {
    return this.#told === "" ? undefined : this.#told;
  }

  /** Other entries, with the keys that were read for them. */
  replace(settings: readonly SigningSetting[], keys: readonly SigningKey[]): void {
    this.#settings = settings;
    this.#told = "";
    const same = keys.length === this.#keys.length && keys.every((key, i) => sameKey(key, this.#keys[i]));
    if (!same) this.#keys = keys;
  }

  /** Looks now. */
  check(): void {
    const reasons: string[] = [];
    const renewed: SigningKey[] = [];
    const keys = this.#settings.flatMap((setting, i) => {
      const current = this.#keys[i];
      const reading = readSigningKey(setting, this.#options.readFile);
      if (reading.kind === "unusable") {
        reasons.push(reading.reason);
        return current === undefined ? [] : [current];
      }
      if (current !== undefined && sameKey(reading.key, current)) return [current];
      renewed.push(reading.key);
      return [reading.key];
    });
    if (renewed.length > 0) this.#keys = keys;
    const trouble = reasons.join("; ");
    if (trouble !== "" && trouble !== this.#told) this.#options.onTrouble(trouble);
    this.#told = trouble;
    for (const key of renewed) this.#options.onRenewed(key);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

function sameKey(one: SigningKey, other: SigningKey | undefined): boolean {
  return (
    other !== undefined &&
    one.domain === other.domain &&
    one.key.selector === other.key.selector &&
    one.key.key.equals(other.key.key)
  );
}
