import type { Clock } from "../clock.ts";
import type { Work } from "../spool/message.ts";
import type { Store } from "../spool/store.ts";
import type { DestinationFeedback } from "./destinationFeedback.ts";
import { DestinationRates, type RateSetting } from "./destinationRates.ts";
import { DestinationWindows } from "./destinationWindows.ts";

/**
 * Which due work runs now: the oldest first, within what each destination may have at a time (destinationWindows.ts) and in a minute
 * (destinationRates.ts). Fairness between senders is in the order of the store (spool/senderTurns.ts).
 *
 * A work is due in the store; claimed: taken out for one attempt; running: its attempt is under way; then it is settled (recorded) or
 * released (as if never claimed). Claims live in memory only, so a crash makes all of them due again. Only what runs is in memory.
 *
 *   due --claim--> running --attempt--> settling --store.settle--> (gone, or due later)
 *    ^                |                     |
 *    +----release-----+                     +-- store failed: try again, never forget that the peer has said 250
 */
export type SchedulerOptions = {
  store: Store;
  clock: Clock;
  /** One delivery attempt and the record of it; rejects only when the store could not record, or on a bug. */
  run: (work: Work) => Promise<DestinationFeedback>;
  maxConnections: number;
  maxConnectionsPerDestination: number;
  rates?: readonly RateSetting[];
  onError: (error: unknown) => void;
};

/** Asked for at once, so that one claim does not take more than can be started soon. */
const CLAIM_BATCH = 50;
/** With nothing known to be due, the store is asked again after this; a wake-up may have been missed across processes. */
const IDLE_POLL_MILLISECONDS = 60_000;
const MIN_POLL_MILLISECONDS = 10;
/** Ten thousand destinations may have something due and no room: when the next has, is looked up no more often than this. */
const LOOK_MILLISECONDS = 100;
/** After the store failed to hand out work. */
const STORE_FAILURE_MILLISECONDS = 5_000;
/** Of all connections, for destinations that have not answered yet or fail now: they may all hang, and the others must go on. */
const DOUBTFUL_SHARE = 0.5;
/** Of all connections, for those of them that got no new mail since they were heard of last: the oldest queue has no claim to every chance. */
const STALE_SHARE = 0.4;
/** Destinations with new mail and nothing known of them; more than these wait their turn with the others. */
const MAX_FRESH = 10_000;

/** Room says it all. */
const NONE: ReadonlySet<string> = new Set();

export class Scheduler {
  #options: SchedulerOptions;
  readonly #windows: DestinationWindows;
  readonly #rates: DestinationRates;
  readonly #running = new Map<string, number>();
  /** Where attempts have ended, or new mail is for, since the last claim. */
  readonly #opened = new Set<string>();
  /** Where new mail is for, and nothing is known yet. */
  readonly #fresh = new Set<string>();
  #total = 0;
  /** Of these, works of destinations that were not working when they began. */
  #doubtful = 0;
  #timer: NodeJS.Timeout | undefined;
  #state: "idle" | "running" | "draining" | "stopping" = "idle";
  #pumping = false;
  #again = false;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #drained: (() => void) | undefined;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    const { clock } = options;
    this.#windows = new DestinationWindows({ clock, maximum: () => this.#options.maxConnectionsPerDestination });
    this.#rates = new DestinationRates({ clock, rates: () => this.#options.rates ?? [] });
  }

  start(): void {
    this.#state = "running";
    this.#options.store.onWork((destinations) => this.#arrived(destinations));
    this.#wake();
  }

  /**
   * Begins nothing new, or with `drainMilliseconds` goes on for so long at most, until nothing is left that is due and may be tried; resolves
   * when every running attempt has ended and is recorded.
   */
  async stop(drainMilliseconds = 0): Promise<void> {
    const drained = new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
    const deadline = drainMilliseconds > 0 ? setTimeout(() => this.#endDrain(), drainMilliseconds) : undefined;
    if (deadline !== undefined && this.#state === "running") {
      this.#state = "draining";
      this.#wake();
    } else this.#endDrain();
    await drained;
    clearTimeout(deadline);
  }

  /** From now on; what runs beyond it goes on. */
  limit(limits: Pick<SchedulerOptions, "maxConnections" | "maxConnectionsPerDestination" | "rates">): void {
    this.#options = { ...this.#options, ...limits };
    this.#wake();
  }

  /** The operator asks for attempts now: no destination is left alone because it failed before. */
  endRests(): void {
    for (const destination of this.#windows.endRests()) this.#opened.add(destination);
    if (this.#state === "running") this.#wake();
  }

  get active(): number {
    return this.#total;
  }

  #arrived(destinations: readonly string[] = []): void {
    for (const destination of destinations) {
      this.#opened.add(destination);
      if (this.#windows.standing(destination) === "unproven" && this.#fresh.size < MAX_FRESH) this.#fresh.add(destination);
    }
    this.#wake();
  }

  /** Several wake-ups during one pump make one more pump, not several. */
  #wake(): void {
    if (this.#pumping) {
      this.#again = true;
      return;
    }
    if (!this.#isBeginning()) return;
    this.#pumping = true;
    this.#pump()
      .catch((error: unknown) => {
        this.#options.onError(error);
        this.#sleep(STORE_FAILURE_MILLISECONDS);
      })
      .finally(() => {
        this.#pumping = false;
        const again = this.#again;
        this.#again = false;
        this.#finishIfDrained();
        if (again) this.#wake();
      });
  }

  async #pump(): Promise<void> {
    const { store, clock, maxConnections } = this.#options;
    clearTimeout(this.#timer);
    while (this.#isBeginning()) {
      const free = maxConnections - this.#total;
      // Without a free connection the end of any attempt wakes us.
      if (free <= 0) return;
      const limit = Math.min(free, CLAIM_BATCH);
      const opened = [...this.#opened, ...this.#rates.refilled()];
      this.#opened.clear();
      const destinationLimit = this.#options.maxConnectionsPerDestination;
      const works = await store.claim({ now: clock.now(), limit, exclude: NONE, room: this.#rooms(), opened, destinationLimit });
      if (works.length === 0) break;
      for (const work of works) this.#begin(work);
    }
    const sinceLook = clock.monotonic() - this.#lookedAt;
    if (this.#state === "draining" && this.#total === 0 && !(await this.#anythingToTry())) this.#endDrain();
    this.#sleep(sinceLook < LOOK_MILLISECONDS ? LOOK_MILLISECONDS - sinceLook : await this.#untilNext());
  }

  /** Milliseconds. What is due and has no room is woken by the end of an attempt or of a rest, not by asking the store again and again. */
  async #untilNext(): Promise<number> {
    const { store, clock } = this.#options;
    this.#lookedAt = clock.monotonic();
    const next = await store.nextDueAt({ has: (destination) => this.#room(destination) <= 0 });
    const due = next === undefined ? IDLE_POLL_MILLISECONDS : next - clock.now();
    const restEnd = this.#windows.nextRestEnd();
    const rested = restEnd === undefined ? IDLE_POLL_MILLISECONDS : restEnd - clock.monotonic();
    const refilled = this.#rates.untilRefill() ?? IDLE_POLL_MILLISECONDS;
    return Math.min(Math.max(Math.min(due, rested, refilled), MIN_POLL_MILLISECONDS), IDLE_POLL_MILLISECONDS);
  }

  /** Whether something is due where there is room; while draining, what a rate holds back for a moment counts too. */
  async #anythingToTry(): Promise<boolean> {
    const { store, clock } = this.#options;
    const next = await store.nextDueAt({ has: (destination) => this.#windowRoom(destination) <= 0 });
    return next !== undefined && next <= clock.now();
  }

  #isBeginning(): boolean {
    return this.#state === "running" || this.#state === "draining";
  }

  #endDrain(): void {
    this.#state = "stopping";
    clearTimeout(this.#timer);
    this.#finishIfDrained();
  }

  #sleep(milliseconds: number): void {
    clearTimeout(this.#timer);
    if (!this.#isBeginning()) return;
    this.#timer = setTimeout(() => this.#wake(), milliseconds);
  }

  /** How many more works of `destination` may run. */
  #room(destination: string): number {
    const room = this.#windowRoom(destination);
    return room > 0 ? Math.min(room, this.#rates.room(destination)) : room;
  }

  #windowRoom(destination: string): number {
    const room = this.#windows.window(destination) - (this.#running.get(destination) ?? 0);
    return room > 0 && this.#windows.standing(destination) !== "working" ? Math.min(room, this.#doubtfulRoom(destination)) : room;
  }

  #doubtfulRoom(destination: string): number {
    const share = this.#fresh.has(destination) ? DOUBTFUL_SHARE : STALE_SHARE;
    return Math.ceil(this.#options.maxConnections * share) - this.#doubtful;
  }

  /** `#room` for one claim, which asks for many destinations before any work begins: doubtful ones get one each, while the share lasts. */
  #rooms(): (destination: string) => number {
    const granted = new Set<string>();
    return (destination) => {
      const room = this.#room(destination);
      if (room <= 0 || this.#windows.standing(destination) === "working") return room;
      if (!granted.has(destination) && granted.size >= this.#doubtfulRoom(destination)) return 0;
      granted.add(destination);
      return 1;
    };
  }

  #begin(work: Work): void {
    if (!this.#isBeginning() || this.#room(work.destination) <= 0) {
      this.#options.store.release(work);
      return;
    }
    const { destination } = work;
    this.#rates.take(destination);
    const doubtful = this.#windows.standing(destination) === "working" ? 0 : 1;
    this.#running.set(destination, (this.#running.get(destination) ?? 0) + 1);
    this.#total += 1;
    this.#doubtful += doubtful;
    this.#options
      .run(work)
      .then((feedback) => {
        this.#fresh.delete(destination);
        this.#windows.report(destination, feedback);
      })
      .catch((error: unknown) => {
        // The claim stays: what the peer took must not be sent again while this process lives (design.md §5).
        this.#options.onError(error);
      })
      .finally(() => {
        this.#doubtful -= doubtful;
        this.#ended(destination);
      });
  }

  #ended(destination: string): void {
    const count = (this.#running.get(destination) ?? 1) - 1;
    if (count === 0) this.#running.delete(destination);
    else this.#running.set(destination, count);
    this.#opened.add(destination);
    this.#total -= 1;
    this.#wake();
    this.#finishIfDrained();
  }

  #finishIfDrained(): void {
    if (this.#state === "stopping" && this.#total === 0 && !this.#pumping) this.#drained?.();
  }
}
