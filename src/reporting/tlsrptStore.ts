import type { Clock } from "../clock.ts";
import { utcDay } from "../tlsrpt/report.ts";
import type { SessionResult } from "../tlsrpt/result.ts";
import { openTables, type Tally, type TlsrptTables } from "./tlsrptTables.ts";

export type TlsrptStoreOptions = {
  file: string;
  clock: Clock;
  /** The file cannot be written; told once until it can again. What is not written stays counted in memory. */
  onTrouble: (error: unknown) => void;
};

/** Between a session and its row: a crash loses at most the counts of this time. */
export const WRITE_MILLISECONDS = 2000;
/** Different results that wait for the disk: this many are written at once without waiting for the time. */
const WRITE_AT = 250;
/** While the disk is full, results beyond this are not counted. */
const MAX_WAITING = 20_000;
/** A server's own name in EHLO is reported up to here; more is no domain name (RFC 1035 §2.3.4). */
const MAX_HELO_CHARACTERS = 255;

/** Counts sessions by day, reporting domain, policy and result; batched, so that a delivery never waits for it. */
export class TlsrptStore {
  readonly tables: TlsrptTables;
  readonly #options: TlsrptStoreOptions;
  readonly #waiting = new Map<string, Tally>();
  readonly #timer: NodeJS.Timeout;
  #state: "writable" | "unwritable" = "writable";

  /** Rejects nothing: throws, with what is wrong, where the file cannot be used. */
  constructor(options: TlsrptStoreOptions) {
    const opened = openTables(options.file, "write");
    if (opened.kind !== "tables") throw new Error(opened.kind === "refused" ? opened.reason : `${options.file} is missing`);
    this.tables = opened.tables;
    this.#options = options;
    this.#timer = setInterval(() => this.flush(), WRITE_MILLISECONDS);
    this.#timer.unref();
  }

  /** Counts one session, on the day that it ended. */
  record({ domain, policy, outcome }: SessionResult): void {
    const day = utcDay(this.#options.clock.now());
    const detail = outcome.kind === "failure" ? { failure: outcome.failure, ends: tidy(outcome.ends) } : undefined;
    const key = JSON.stringify([day, domain, policy, detail]);
    const known = this.#waiting.get(key);
    if (known !== undefined) known.count += 1;
    else if (this.#waiting.size < MAX_WAITING)
      this.#waiting.set(key, { day, domain, policy, count: 1, ...(detail === undefined ? {} : { detail }) });
    if (this.#waiting.size >= WRITE_AT && this.#state === "writable") this.flush();
  }

  /** Writes what waits. */
  flush(): void {
    if (this.#waiting.size === 0) return;
    try {
      this.tables.add([...this.#waiting.values()]);
      this.#waiting.clear();
      this.#state = "writable";
    } catch (error) {
      if (this.#state === "writable") this.#options.onTrouble(error);
      this.#state = "unwritable";
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.flush();
    this.tables.close();
  }
}

/** What a server says of itself, as text that may stand in a report. */
function tidy({
  helo,
  ...ends
}: Extract<SessionResult["outcome"], { kind: "failure" }>["ends"]): typeof ends & { helo?: string } {
  const text = helo?.replace(/[^\x21-\x7e]/g, "?").slice(0, MAX_HELO_CHARACTERS);
  return text === undefined || text === "" ? ends : { ...ends, helo: text };
}
