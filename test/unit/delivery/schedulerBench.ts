import assert from "node:assert/strict";
import { mock, test } from "node:test";
import type { DestinationFeedback } from "../../../src/delivery/destinationFeedback.ts";
import type { RateSetting } from "../../../src/delivery/destinationRates.ts";
import { Scheduler } from "../../../src/delivery/scheduler.ts";
import { DueIndex } from "../../../src/spool/dueIndex.ts";
import type { Work } from "../../../src/spool/message.ts";
import type { ClaimRequest, Store } from "../../../src/spool/store.ts";
import { SteppedClock } from "./schedulerClock.ts";

type Queue = Pick<Store, "claim" | "release" | "nextDueAt" | "onWork">;

/** Works that are due from the start, so many of each destination, picked as the embedded store picks them. */
class StubQueue implements Queue {
  readonly #waiting: Map<string, number>;
  readonly #due = new DueIndex();
  claims = 0;
  released = 0;
  announce: (destinations: readonly string[]) => void = () => undefined;

  constructor(waiting: Readonly<Record<string, number>>) {
    this.#waiting = new Map(Object.entries(waiting));
    for (const destination of this.#waiting.keys()) this.#due.set(destination, 0);
  }

  claim({ now, limit, room, opened = [] }: ClaimRequest): Promise<readonly Work[]> {
    this.claims += 1;
    for (const destination of opened) this.#due.unpark(destination);
    const works: Work[] = [];
    for (const pick of this.#due.pick(now, limit, (destination) => Math.min(limit, room?.(destination) ?? limit))) {
      const left = this.#waiting.get(pick.destination) ?? 0;
      const taken = Math.min(left, pick.room, limit - works.length);
      for (let i = 0; i < taken; i += 1) works.push({ destination: pick.destination } as Work);
      this.#waiting.set(pick.destination, left - taken);
      if (taken === left) this.#due.set(pick.destination, undefined);
    }
    return Promise.resolve(works);
  }

  release({ destination }: Work): void {
    this.released += 1;
    this.#waiting.set(destination, (this.#waiting.get(destination) ?? 0) + 1);
    this.#due.offer(destination, 0);
    this.announce([]);
  }

  nextDueAt(exclude?: Pick<ReadonlySet<string>, "has">): Promise<number | undefined> {
    return Promise.resolve(this.#due.nextDue(exclude));
  }

  onWork(listener: (destinations: readonly string[]) => void): void {
    this.announce = listener;
  }

  add(destination: string, count: number): void {
    this.#waiting.set(destination, (this.#waiting.get(destination) ?? 0) + count);
    this.#due.offer(destination, 0);
    this.announce([destination]);
  }
}

export type Limits = { maxConnections: number; maxConnectionsPerDestination: number; rates?: readonly RateSetting[] };

type Running = { destination: string; end: (feedback: DestinationFeedback) => void; fail: (error: Error) => void };

/** A scheduler whose attempts end when the test says so. Timers are mocked: time passes by `advance` only. */
export class Bench {
  readonly clock = new SteppedClock();
  readonly queue: StubQueue;
  readonly errors: unknown[] = [];
  readonly scheduler: Scheduler;
  running: Running[] = [];

  constructor(waiting: Readonly<Record<string, number>>, limits: Limits) {
    mock.timers.enable({ apis: ["setTimeout"] });
    this.queue = new StubQueue(waiting);
    this.scheduler = new Scheduler({
      store: this.queue as unknown as Store,
      clock: this.clock,
      run: ({ destination }) =>
        new Promise((end, fail) => {
          this.running.push({ destination, end, fail });
        }),
      onError: (error) => this.errors.push(error),
      ...limits,
    });
  }

  /** Everything that can happen without time passing. */
  async settle(): Promise<void> {
    for (let i = 0; i < 50; i += 1) await new Promise((resolve) => setImmediate(resolve));
  }

  async start(): Promise<void> {
    this.scheduler.start();
    await this.settle();
  }

  async advance(seconds: number): Promise<void> {
    this.clock.advance(seconds);
    mock.timers.tick(seconds * 1000);
    await this.settle();
  }

  /** Ends what runs of `destination` (all of it, or the first `count`). */
  async end(destination: string, feedback: DestinationFeedback, count = Number.POSITIVE_INFINITY): Promise<void> {
    const ending = this.running.filter((entry) => entry.destination === destination).slice(0, count);
    this.running = this.running.filter((entry) => !ending.includes(entry));
    for (const { end } of ending) end(feedback);
    await this.settle();
  }

  count(destination?: string): number {
    return this.running.filter((entry) => destination === undefined || entry.destination === destination).length;
  }
}

export function benchTest(
  title: string,
  waiting: Readonly<Record<string, number>>,
  limits: Limits,
  run: (bench: Bench) => Promise<void>,
): void {
  test(title, async () => {
    try {
      const bench = new Bench(waiting, limits);
      await bench.start();
      await run(bench);
      assert.deepEqual(bench.errors, []);
    } finally {
      mock.timers.reset();
    }
  });
}
