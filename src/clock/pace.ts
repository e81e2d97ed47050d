import type { Clock } from "../clock.ts";

/** What one server is burdened with: how many requests at a time, and how long at least from the beginning of one to that of the next. */
export type PaceLimits = { most: number; gapMilliseconds: number };

type Lane = { active: number; lastBegan: number; waiting: (() => void)[]; timer: "set" | "unset" };

/** Lanes that nobody uses any more are forgotten once there are this many. */
const SWEEP_AT = 10_000;

/** Keeps requests to each of many servers within limits; in the order in which they came. */
export class Pace {
  readonly #limits: PaceLimits;
  readonly #clock: Clock;
  readonly #lanes = new Map<string, Lane>();

  constructor(limits: PaceLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Runs `work` when it is its turn at `server`; settles as it does. */
  async run<T>(server: string, work: () => Promise<T>): Promise<T> {
    const lane = this.#lane(server);
    await new Promise<void>((resolve) => {
      lane.waiting.push(resolve);
      this.#advance(lane);
    });
    try {
      return await work();
    } finally {
      lane.active -= 1;
      this.#advance(lane);
    }
  }

  #lane(server: string): Lane {
    const known = this.#lanes.get(server);
    if (known !== undefined) return known;
    if (this.#lanes.size >= SWEEP_AT) this.#sweep();
    const lane: Lane = { active: 0, lastBegan: Number.NEGATIVE_INFINITY, waiting: [], timer: "unset" };
    this.#lanes.set(server, lane);
    return lane;
  }

  #sweep(): void {
    const old = this.#clock.monotonic() - this.#limits.gapMilliseconds;
    for (const [server, lane] of this.#lanes)
      if (lane.active === 0 && lane.waiting.length === 0 && lane.lastBegan <= old) this.#lanes.delete(server);
  }

  #advance(lane: Lane): void {
    while (lane.active < this.#limits.most && lane.waiting.length > 0) {
      const now = this.#clock.monotonic();
      const left = lane.lastBegan + this.#limits.gapMilliseconds - now;
      if (left > 0) {
        this.#later(lane, left);
        return;
      }
      lane.active += 1;
      lane.lastBegan = now;
      lane.waiting.shift()?.();
    }
  }

  #later(lane: Lane, milliseconds: number): void {
    if (lane.timer === "set") return;
    lane.timer = "set";
    setTimeout(() => {
      lane.timer = "unset";
      this.#advance(lane);
    }, Math.ceil(milliseconds));
  }
}
