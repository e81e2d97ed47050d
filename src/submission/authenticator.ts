import { createHmac, randomBytes } from "node:crypto";
import { LRUCache } from "lru-cache";
import { AuthenticationThrottle } from "./authenticationThrottle.ts";
import { type PasswordRecord, passwordMatches, passwordRecordText, SCRYPT_PARAMETERS } from "./passwordRecord.ts";
import type { Rejection } from "./rejection.ts";
import { type Credentials, invalidCredentials } from "./saslExchange.ts";
import type { UserDirectory } from "./userDirectory.ts";
import type { User } from "./usersFile.ts";

/**
 * Judges credentials. A password is hashed off the event loop, few at a time and with a bounded queue before them; for a user that does not exist
 * one is hashed as well, so that time tells nothing. What was right a while ago is not hashed again: clients that connect for each message would
 * otherwise keep a core busy. Of such a password only a keyed hash is kept, in memory, under a key of this process.
 */
export type Authentication =
  | { kind: "authenticated"; user: User }
  /** `known`: whether there is such a user; for the log, never for the client. */
  | { kind: "rejected"; rejection: Rejection; known: "yes" | "no" };

/** Of four threads that Node has for files and hashes, two. */
const MAX_PARALLEL = 2;
const MAX_WAITING = 200;
const REMEMBERED_MILLISECONDS = 600_000;
const MAX_REMEMBERED = 10_000;

export type AuthenticatorOptions = { directory: UserDirectory; monotonic: () => number };

export class Authenticator {
  readonly #directory: UserDirectory;
  readonly #monotonic: () => number;
  readonly #throttle = new AuthenticationThrottle();
  readonly #key = randomBytes(32);
  readonly #remembered: LRUCache<string, string>;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  /** The hash of no password. */
  readonly #nobody = { salt: randomBytes(16), hash: randomBytes(32) };

  constructor({ directory, monotonic }: AuthenticatorOptions) {
    this.#directory = directory;
    this.#monotonic = monotonic;
    this.#remembered = new LRUCache({ max: MAX_REMEMBERED, ttl: REMEMBERED_MILLISECONDS, perf: { now: () => 1 + monotonic() } });
  }

  /** The user as the file has it now; undefined: deleted meanwhile, or with another password, which ends what the one before began. */
  current({ name, record }: User): User | undefined {
    const now = this.#directory.find(name);
    return now?.record.hash.equals(record.hash) ? now : undefined;
  }

  /** Never rejects; what goes wrong on our side is 454. */
  async authenticate({ user: name, password }: Credentials, address: string): Promise<Authentication> {
    await this.#directory.refresh();
    const user = this.#directory.find(name);
    const known = user === undefined ? "no" : "yes";
    const attempt = { address, user: name };
    if (user !== undefined && this.#remembered.get(name) === this.#proofOf(user, password))
      return { kind: "authenticated", user };
    if (this.#throttle.waitSeconds(attempt, this.#monotonic()) > 0) return { ...tryLater("too many failed attempts"), known };
    if (!(await this.#turn())) return { ...tryLater("too many authentications at a time"), known };
    try {
      // While this one waited, others may have failed.
      if (this.#throttle.waitSeconds(attempt, this.#monotonic()) > 0) return { ...tryLater("too many failed attempts"), known };
      const matches = await passwordMatches(password, user?.record ?? this.#recordOfNobody(name));
      if (!matches || user === undefined) {
        this.#throttle.failed(attempt, this.#monotonic());
        return { ...invalidCredentials(), known };
      }
      this.#throttle.succeeded(attempt);
      this.#remembered.set(name, this.#proofOf(user, password));
      return { kind: "authenticated", user };
    } catch (error) {
      // Memory for scrypt, or a thread to run it: nothing that the client did.
      const text = error instanceof Error ? error.message : String(error);
      return { ...tryLater(`the password cannot be checked now: ${text}`), known };
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** Waits for a place among those that hash; false: too many wait already. Who gets one gives it back. */
  async #turn(): Promise<boolean> {
    if (this.#running < MAX_PARALLEL && this.#waiting.length === 0) {
      this.#running += 1;
      return true;
    }
    if (this.#waiting.length >= MAX_WAITING) return false;
    await new Promise<void>((resolve) => {
      this.#waiting.push(() => {
        this.#running += 1;
        resolve();
      });
    });
    return true;
  }

  /** Changes with the password and with the record, so that a new record makes old proofs worthless. */
  #proofOf({ record }: User, password: string): string {
    return createHmac("sha256", this.#key)
      .update(`${passwordRecordText(record)} ${password}`)
      .digest("base64");
  }

  /** As costly as a real one, whose parameters it takes. */
  #recordOfNobody(name: string): PasswordRecord {
    const { ln, r, p } = this.#directory.standIn(name)?.record ?? SCRYPT_PARAMETERS;
    return { ln, r, p, ...this.#nobody };
  }
}

/** RFC 4954 §6: a failure of the server, for which nobody should be asked for another password. */
function tryLater(text: string): { kind: "rejected"; rejection: Rejection } {
  return {
    kind: "rejected",
    rejection: { reason: "auth-throttled", code: 454, status: "4.7.0", text: `${text}, try again later` },
  };
}
