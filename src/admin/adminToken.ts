import { createHash, timingSafeEqual } from "node:crypto";
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";

/** The token of `admin.tokenFile`: read at the start and at every reload, and when it is presented, or its state is asked for, and its last reading is a while ago. */
const READ_AGAIN_MILLISECONDS = 2000;
/** 120 bits as base64; a shorter one could be guessed. */
export const MIN_TOKEN_CHARACTERS = 20;
/** As of the users file: group and others may not write, others may not read. */
const FORBIDDEN_MODE = 0o026;

export type TokenReading = { kind: "token"; token: string } | { kind: "unusable"; reason: string };

/** The token in the text of a file: one line of visible characters. */
export function tokenIn(text: string): TokenReading {
  const token = text.trim();
  if (!/^[\x21-\x7e]*$/.test(token))
    return { kind: "unusable", reason: "is not one line of visible ASCII characters without blanks" };
  if (token.length >= MIN_TOKEN_CHARACTERS) return { kind: "token", token };
  return {
    kind: "unusable",
    reason: `has ${token.length} characters, and at least ${MIN_TOKEN_CHARACTERS} are needed: openssl rand -base64 32`,
  };
}

/** A file whose permissions let others in is unusable: they would be the operator. */
export function readToken(file: string): TokenReading {
  try {
    const descriptor = openSync(file, "r");
    try {
      const mode = fstatSync(descriptor).mode & 0o777;
      return (mode & FORBIDDEN_MODE) === 0 ? tokenIn(readFileSync(descriptor, "utf8")) : openToOthers(mode);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    return { kind: "unusable", reason: error instanceof Error ? error.message : String(error) };
  }
}

function openToOthers(mode: number): TokenReading {
  const octal = mode.toString(8).padStart(4, "0");
  const reason = `has the mode ${octal}: others must not read it, nor anybody but its owner write it (chmod 0640)`;
  return { kind: "unusable", reason };
}

export type AdminTokenOptions = {
  file: string;
  monotonic: () => number;
  /** The file changed: it is used from now on, or it can't be, and the token before stays. */
  onChange: (change: { kind: "renewed" } | { kind: "unusable"; reason: string }) => void;
};

export class AdminToken {
  readonly #options: AdminTokenOptions;
  #digest: Buffer;
  #readAt: number;
  #trouble = "";

  /** `token`: what the file was found to hold. */
  constructor(options: AdminTokenOptions, token: string) {
    this.#options = options;
    this.#digest = digestOf(token);
    this.#readAt = options.monotonic();
  }

  /** In a time that says nothing of where the two differ, nor how long ours is. */
  matches(presented: string): boolean {
    this.#refresh();
    return timingSafeEqual(digestOf(presented), this.#digest);
  }

  /** Why the file can't be used now, and the token from before still counts; undefined: it can. */
  trouble(): string | undefined {
    this.#refresh();
    return this.#trouble === "" ? undefined : this.#trouble;
  }

  #refresh(): void {
    if (this.#options.monotonic() - this.#readAt > READ_AGAIN_MILLISECONDS) this.readAgain();
  }

  readAgain(): void {
    const { file, monotonic, onChange } = this.#options;
    this.#readAt = monotonic();
    const reading = readToken(file);
    if (reading.kind === "unusable") {
      if (reading.reason !== this.#trouble) onChange(reading);
      this.#trouble = reading.reason;
      return;
    }
    this.#trouble = "";
    const digest = digestOf(reading.token);
    if (digest.equals(this.#digest)) return;
    this.#digest = digest;
    onChange({ kind: "renewed" });
  }
}

function digestOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
