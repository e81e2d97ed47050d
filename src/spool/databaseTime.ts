import type { Clock } from "../clock.ts";
import type { Ask } from "./postgresSchema.ts";

/**
 * The one clock of a shared queue is the database's: a replica whose own is wrong would give up the others' mail, or leave it lying. Everything
 * that is stored is in its time, and becomes this replica's own when it is read, so that differences (how old, how long until) are right whatever
 * the replica's clock says.
 *
 * ahead    milliseconds that the database's clock is ahead of this replica's; negative: behind. Measured against the monotonic clock, so that
 *          a wall clock that is set changes it at once.
 */

/** Clocks that differ by less are equal: an answer's way through the network is no difference. */
const EQUAL_MILLISECONDS = 5_000;
/** An answer that took longer says little, once there was a better one. */
const SLOW_MILLISECONDS = 1_000;

export class DatabaseTime {
  readonly #clock: Clock;
  #measured: { database: number; monotonic: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Asks the database for its time. */
  async measure(ask: Ask): Promise<void> {
    const before = this.#clock.monotonic();
    const [row] = await ask("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now");
    const after = this.#clock.monotonic();
    if (typeof row?.now !== "number") throw new Error("the database does not say what time it is");
    if (this.#measured !== undefined && after - before > SLOW_MILLISECONDS) return;
    this.#measured = { database: row.now, monotonic: (before + after) / 2 };
  }

  get ahead(): number {
    if (this.#measured === undefined) return 0;
    const { database, monotonic } = this.#measured;
    const ahead = Math.round(database + (this.#clock.monotonic() - monotonic) - this.#clock.now());
    return Math.abs(ahead) < EQUAL_MILLISECONDS ? 0 : ahead;
  }
}
