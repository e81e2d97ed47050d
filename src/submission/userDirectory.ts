import { createHmac } from "node:crypto";
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
  #list: readonly User[];
  #identity: string;
  #lookedAt: number;
  #underWay: Promise<void> | undefined;
  /** Why the file cannot be used now; undefined: it can. */
  trouble: string | undefined;

  constructor(options: UserDirectoryOptions) {
    this.#options = options;
    this.#users = options.users;
    this.#list = [...options.users.values()];
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

  /**
   * A user for a name that is none's: always the same one for the same name and file, also after a restart, and one of each as often as any
   * other, so that what checking costs tells nothing where the users' hashes cost differently. Undefined: there are no users.
   */
  standIn(name: string): User | undefined {
    const [first] = this.#list;
    if (first === undefined) return undefined;
    const place = createHmac("sha256", first.record.hash).update(name).digest().readUInt32BE() % this.#list.length;
    return this.#list[place];
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
    this.#list = [...reading.users.values()];
    onRead(reading.users.size);
  }
}
