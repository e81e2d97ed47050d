import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "../clock.ts";
import type { SeenCertificate } from "../diagnosis/observation.ts";
import { RolloverCount, type RolloverSurvey } from "../diagnosis/rolloverSurvey.ts";
import { type History, type HostSight, openHistory } from "./history.ts";

export type HostHistoryOptions = {
  file: string;
  /** How long it is kept. */
  days: number;
  clock: Clock;
  /** The file cannot be used; told once until it can again. Deliveries go on without. */
  onTrouble: (error: unknown) => void;
};

/** Between a session and its row: a crash loses what was seen in this time. */
const WRITE_MILLISECONDS = 5000;
const RECOUNT_MILLISECONDS = 600_000;
const PRUNE_MILLISECONDS = 86_400_000;
/** While the disk is full, further sights are forgotten. */
const MAX_WAITING = 5000;
/** Somebody else's lock is not waited for longer: this is the thread that delivers. */
const BUSY_MILLISECONDS = 50;
/** Hosts that are looked at in one turn of the event loop. */
const HOSTS_A_TURN = 2;

/** What deliveries see of hosts, written off their path, in batches; what cannot be written is lost, and nothing else. */
export class HostHistory {
  readonly #options: HostHistoryOptions;
  readonly #history: History | undefined;
  readonly #waiting = new Map<string, HostSight>();
  readonly #timers: readonly NodeJS.Timeout[];
  #state: "writable" | "unwritable" = "writable";
  #counting: Promise<void> | undefined;
  #closed: "yes" | "no" = "no";
  /** Of the last count; undefined before the first. */
  rollovers: RolloverSurvey | undefined;

  constructor(options: HostHistoryOptions) {
    this.#options = options;
    this.#history = this.#attempt(() => opened(options.file));
    this.#timers = [
      setInterval(() => this.flush(), WRITE_MILLISECONDS),
      setInterval(() => void this.recount(), RECOUNT_MILLISECONDS),
      setInterval(() => this.#prune(), PRUNE_MILLISECONDS),
    ];
    for (const timer of this.#timers) timer.unref();
    this.#prune();
  }

  /** Of equal looks at one address the last one counts. */
  record(sight: Omit<HostSight, "at">): void {
    if (this.#history === undefined) return;
    const at = this.#options.clock.now();
    const leaf = sight.chain?.[0]?.toString("latin1") ?? "";
    const key = `${sight.host} ${sight.address} ${sight.verdict} ${leaf}`;
    if (this.#waiting.size < MAX_WAITING || this.#waiting.has(key)) this.#waiting.set(key, { ...sight, at });
  }

  /** Writes what waits. */
  flush(): void {
    const history = this.#history;
    if (history === undefined || this.#waiting.size === 0) return;
    this.#attempt(() => {
      history.record([...this.#waiting.values()].sort((a, b) => a.at - b.at));
      this.#waiting.clear();
    });
  }

  /** The certificates that were seen at a host; none where the file cannot be read. */
  readonly certificatesOf = (host: string): readonly SeenCertificate[] =>
    this.#attempt(() => this.#history?.certificatesOf(host)) ?? [];

  /** Counts the rollovers of all hosts, a few hosts at a time. */
  recount(): Promise<void> {
    this.#counting ??= this.#count().finally(() => {
      this.#counting = undefined;
    });
    return this.#counting;
  }

  async #count(): Promise<void> {
    const history = this.#history;
    if (history === undefined) return;
    const count = new RolloverCount(this.#options.clock.now());
    const hosts = history.hosts();
    for (;;) {
      if (this.#closed === "yes") return;
      const whole = this.#attempt(() => {
        for (let i = 0; i < HOSTS_A_TURN; i += 1) {
          const next = hosts.next();
          if (next.done === true) return "yes";
          count.add(next.value, history.statesOf(next.value));
        }
        return "no";
      });
      if (whole === undefined) return;
      if (whole === "yes") {
        this.rollovers = count.result();
        return;
      }
      await turn();
    }
  }

  #prune(): void {
    this.#attempt(() => this.#history?.prune(this.#options.clock.now(), this.#options.days));
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.flush();
    this.#closed = "yes";
    await this.#counting;
    this.#history?.close();
  }

  /** The one place where trouble with the file ends: it is told, and nothing fails by it. */
  #attempt<T>(work: () => T): T | undefined {
    try {
      const result = work();
      this.#state = "writable";
      return result;
    } catch (error) {
      if (this.#state === "writable") this.#options.onTrouble(error);
      this.#state = "unwritable";
      return undefined;
    }
  }
}

function opened(file: string): History {
  const found = openHistory(file, "write", BUSY_MILLISECONDS);
  if (found.kind === "history") return found.history;
  throw new Error(found.kind === "refused" ? found.reason : `${file} is missing`);
}
