import { mock, type TestContext } from "node:test";

/** Timers of the code under test, which are over when the test says so: a wait is checked to the second, and no busy machine makes it longer. */
export type HeldTimers = {
  /** Waits until `ready`, and until a timer of `milliseconds` waits; then it is over. */
  pass(milliseconds: number, ready?: () => boolean): Promise<void>;
};

const PATIENCE_MILLISECONDS = 30_000;

type Held = { milliseconds: number; run: () => void };

/** For the time of one test; nothing that the test itself needs may wait for a timer. */
export function heldTimers(t: TestContext): HeldTimers {
  const waiting = new Set<Held>();
  const set = mock.method(globalThis, "setTimeout", ((run: () => void, milliseconds: number) => {
    const held = { milliseconds, run };
    waiting.add(held);
    return held as unknown as NodeJS.Timeout;
  }) as typeof setTimeout);
  const clear = mock.method(globalThis, "clearTimeout", ((held: unknown) => {
    waiting.delete(held as Held);
  }) as typeof clearTimeout);
  t.after(() => {
    set.mock.restore();
    clear.mock.restore();
  });
  return {
    async pass(milliseconds, ready = () => true) {
      const end = performance.now() + PATIENCE_MILLISECONDS;
      while (performance.now() < end) {
        const held = [...waiting].find((each) => each.milliseconds === milliseconds);
        if (held !== undefined && ready()) {
          waiting.delete(held);
          held.run();
          return;
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
      const others = [...waiting].map((each) => each.milliseconds).join(", ");
      throw new Error(`nothing waits for ${milliseconds} ms; what waits: ${others === "" ? "nothing" : others}`);
    },
  };
}
