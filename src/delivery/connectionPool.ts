import type { Clock } from "../clock.ts";
import type { ConnectionResult, SmtpSession } from "./connection.ts";

/**
 * Sessions that are open, by a key under which they are interchangeable: host, address, port, what TLS was demanded, TLSA set. What was
 * verified under one key never serves another.
 *
 *   (opening) -> busy --release--> idle --acquire--> busy ...      idle for too long, used too often, too old, or pool closed: QUIT
 */
export type PoolOptions = {
  clock: Clock;
  /** Open connections in all, idle ones included. A waiting delivery takes the place of the connection that was idle longest. */
  maxConnections?: number;
  maxConnectionsPerKey?: number;
  /** Receivers pay for idle connections too: short. */
  idleSeconds?: number;
  maxTransactionsPerConnection?: number;
  maxAgeSeconds?: number;
};

const DEFAULTS = {
  maxConnections: 200,
  maxConnectionsPerKey: 20,
  idleSeconds: 5,
  maxTransactionsPerConnection: 100,
  maxAgeSeconds: 300,
} as const;

/** Whether a session may come from the pool, or has to be a new connection. */
export type SessionSource = "pool-or-new" | "new";

type Entry = { key: string; session: SmtpSession; openedAt: number; transactions: number; idleTimer?: NodeJS.Timeout };

export class ConnectionPool {
  #options: Required<PoolOptions>;
  /** Busy and idle entries; `#idle` in the order in which they became idle. */
  readonly #entries = new Map<SmtpSession, Entry>();
  readonly #idle = new Set<Entry>();
  /** Slots in use, by key: opening, busy and idle ones. */
  readonly #slots = new Map<string, number>();
  readonly #leaving = new Set<Promise<void>>();
  #waiters: (() => void)[] = [];
  #total = 0;
  #closed: "no" | "yes" = "no";

  constructor(options: PoolOptions) {
    this.#options = { ...DEFAULTS, ...options };
  }

  /** From now on; more than that may be open until they are given back. */
  limit(limits: { maxConnections: number; maxConnectionsPerKey: number }): void {
    this.#options = { ...this.#options, ...limits };
    this.#wakeWaiters();
  }

  /** Connections that are open or being opened. */
  get open(): number {
    return this.#total;
  }

  /**
   * An idle session of `key`, unless the source is `new`, or one by `open`; waits while the limits are reached by busy ones. Rejects only
   * when `open` does.
   */
  async acquire(key: string, source: SessionSource, open: () => Promise<ConnectionResult>): Promise<ConnectionResult> {
    for (;;) {
      if (this.#closed === "yes") {
        return { kind: "failed", failure: { stage: "connect", text: "dane-relay is stopping: no new connections" } };
      }
      const entry = source === "new" ? undefined : this.#takeIdle(key);
      if (entry !== undefined) return { kind: "ready", session: entry.session, reused: "yes" };
      if (this.#reserve(key)) break;
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
    let result: ConnectionResult | undefined;
    try {
      result = await open();
    } finally {
      if (result?.kind !== "ready") this.#free(key);
    }
    if (result.kind === "ready") {
      const openedAt = this.#options.clock.monotonic();
      this.#entries.set(result.session, { key, session: result.session, openedAt, transactions: 0 });
    }
    return result;
  }

  /** Gives a session back after one transaction: kept for the next one, or closed. */
  release(session: SmtpSession): void {
    const entry = this.#entries.get(session);
    if (entry === undefined || this.#idle.has(entry)) throw new Error("a session was released that was not acquired");
    entry.transactions += 1;
    const { clock, idleSeconds, maxTransactionsPerConnection, maxAgeSeconds, maxConnections } = this.#options;
    const ageSeconds = (clock.monotonic() - entry.openedAt) / 1000;
    const spent = entry.transactions >= maxTransactionsPerConnection || ageSeconds >= maxAgeSeconds;
    const surplus = this.#total > maxConnections;
    if (session.state !== "idle" || spent || surplus || this.#closed === "yes") {
      this.#retire(entry);
      return;
    }
    entry.idleTimer = setTimeout(() => this.#retire(entry), idleSeconds * 1000);
    this.#idle.add(entry);
    this.#wakeWaiters();
  }

  /** No new sessions; resolves when all that were idle, or are given back until then, are closed. */
  async close(): Promise<void> {
    this.#closed = "yes";
    for (const entry of [...this.#idle]) this.#retire(entry);
    this.#wakeWaiters();
    while (this.#leaving.size > 0) await Promise.all(this.#leaving);
  }

  /** The session of `key` that was used last: the others may then become old and go. */
  #takeIdle(key: string): Entry | undefined {
    for (const entry of [...this.#idle].reverse()) {
      if (entry.key !== key) continue;
      // A server may have said goodbye meanwhile.
      if (entry.session.state !== "idle") {
        this.#retire(entry);
        continue;
      }
      this.#idle.delete(entry);
      clearTimeout(entry.idleTimer);
      return entry;
    }
    return undefined;
  }

  #reserve(key: string): boolean {
    if ((this.#slots.get(key) ?? 0) >= this.#options.maxConnectionsPerKey) {
      // Who wants a new connection does not wait for an idle one of the same key to grow old.
      const idle = [...this.#idle].find((entry) => entry.key === key);
      if (idle === undefined) return false;
      this.#retire(idle);
    }
    if (this.#total >= this.#options.maxConnections) {
      const [oldest] = this.#idle;
      if (oldest === undefined) return false;
      this.#retire(oldest);
    }
    this.#slots.set(key, (this.#slots.get(key) ?? 0) + 1);
    this.#total += 1;
    return true;
  }

  #retire(entry: Entry): void {
    clearTimeout(entry.idleTimer);
    this.#idle.delete(entry);
    this.#entries.delete(entry.session);
    this.#free(entry.key);
    if (entry.session.state !== "idle") {
      entry.session.destroy();
      return;
    }
    const leaving = entry.session.quit().finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
  }

  #free(key: string): void {
    const left = (this.#slots.get(key) ?? 1) - 1;
    if (left === 0) this.#slots.delete(key);
    else this.#slots.set(key, left);
    this.#total -= 1;
    this.#wakeWaiters();
  }

  #wakeWaiters(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }
}
