import { fileIdentity, readUsersFile, type User, type Users } from "./usersFile.ts";

/**
 * The users of `submission.usersFile` as they are now: read again when the file has changed, looked at from time to time and when somebody logs
 * in. A file that cannot be used changes nothing: the users that were read last stay, and the trouble is told once for each reason.
 */
export type UserDirectoryOptions = {
  file: string;
  users: Users;
  identity: string;
  /** Milliseconds that never go back. */
  monotonic: () => number;
  onRead: (users: number) => void;
  onTrouble: (reason: string) => void;
};

const INTERVAL_MILLISECONDS = 30_000;
/** A log-in looks at the file no more often than this. */
const FRESH_MILLISECONDS = 500;

export class UserDirectory {
  readonly #options: UserDirectoryOptions;
  readonly #timer: NodeJS.Timeout;
  #users: Users;
  #identity: string;
  #lookedAt: number;
  #underWay: Promise<void> | undefined;
  /** Why the file cannot be used now; undefined: it can. */
  trouble: string | undefined;

  constructor(options: UserDirectoryOptions) {
    this.#options = options;
    this.#users = options.users;
    this.#identity = options.identity;
    this.#lookedAt = options.monotonic();
    this.#timer = setInterval(() => void this.check(), INTERVAL_MILLISECONDS);
    this.#timer.unref();
  }

  /** Resolves when the users are at most half a second old. */
  async refresh(): Promise<void> {
    if (this.#options.monotonic() - this.#lookedAt >= FRESH_MILLISECONDS) await this.check();
  }

  /** Looks now. Never rejects. */
  check(): Promise<void> {
    this.#underWay ??= this.#look().finally(() => {
      this.#underWay = undefined;
      this.#lookedAt = this.#options.monotonic();
    });
    return this.#underWay;
  }

  find(name: string): User | undefined {
    return this.#users.get(name);
  }

  /** Any of them; undefined: there is none. */
  first(): User | undefined {
    return this.#users.values().next().value;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const { file, onRead, onTrouble } = this.#options;
    const identity = await fileIdentity(file).catch(() => "absent");
    if (identity === this.#identity && this.trouble === undefined) return;
    const reading = await readUsersFile(file);
    if (reading.kind === "unusable") {
      if (this.trouble !== reading.reason) onTrouble(reading.reason);
      this.trouble = reading.reason;
      return;
    }
    this.trouble = undefined;
    if (reading.identity === this.#identity) return;
    this.#identity = reading.identity;
    this.#users = reading.users;
    onRead(reading.users.size);
  }
}
