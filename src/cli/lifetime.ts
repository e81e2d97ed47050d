import { setTimeout } from "node:timers/promises";
import type { Clock } from "../clock.ts";
import type { Log, StartEvent } from "../log.ts";
import type { Relay } from "../relay.ts";

/**
 * The life of a serving process: started, then running until a signal or a failure ends it, then draining.
 *
 *   start --> running --signal--> draining --> 0
 *     |          |                   +-- second signal, failure --> 1
 *     |          +-- SIGHUP: reloaded, and running on
 *     +----------+-- failure --> stopping, for a while --> 1
 */
export type Lifetime = {
  start: () => Promise<Relay>;
  /** Told in the log once the relay runs. */
  started: StartEvent;
  /** Calls the listener at every signal that asks for the end. */
  onStopSignal: (listener: () => void) => void;
  /** Calls the listener at every signal that asks for a reload; one that comes during the start has its effect after it. */
  onReloadSignal: (listener: () => void) => void;
  reload: (relay: Relay) => Promise<void>;
  clock: Clock;
  log: Log;
  /** How long a relay that has failed may take to stop; after a signal the drain takes its time, which whoever sent it bounds. */
  patienceMilliseconds: number;
};

type End = { kind: "signal" } | { kind: "failure"; reason: string };

/** Resolves with the exit status when the relay has ended. */
export async function liveUntilEnd(lifetime: Lifetime): Promise<0 | 1> {
  const { log, clock } = lifetime;
  // Before the start: a signal that comes during it must not be lost.
  const signals = signalsOf(lifetime.onStopSignal);
  const running = Promise.withResolvers<Relay>();
  lifetime.onReloadSignal(() => void running.promise.then(lifetime.reload));
  const started = await lifetime.start().then(
    (relay) => ({ kind: "relay" as const, relay }),
    (error: unknown) => ({ kind: "failure" as const, reason: reasonOf(error) }),
  );
  if (started.kind === "failure") {
    log.event({ event: "stop", because: "failure", reason: `the relay could not start: ${started.reason}` });
    return 1;
  }
  const { relay } = started;
  log.event(lifetime.started);
  running.resolve(relay);
  const failed = relay.failed.then((error): End => ({ kind: "failure", reason: reasonOf(error) }));
  const end = await Promise.race([signals.first, failed]);
  const begun = clock.monotonic();
  const trouble = await Promise.race([drainOf(relay), signals.second, end.kind === "signal" ? failed : patience(lifetime)]);
  const seconds = Math.round(clock.monotonic() - begun) / 1000;
  const reasons = [end, trouble].flatMap((part) => (part.kind === "failure" ? [part.reason] : []));
  if (reasons.length === 0) {
    log.event({ event: "stop", because: "signal", seconds });
    return 0;
  }
  log.event({ event: "stop", because: "failure", reason: reasons.join("; "), seconds });
  return 1;
}

/** The first signal asks for the end, the second demands it. */
function signalsOf(onStopSignal: Lifetime["onStopSignal"]): { first: Promise<End>; second: Promise<End> } {
  const first = Promise.withResolvers<End>();
  const second = Promise.withResolvers<End>();
  let count = 0;
  onStopSignal(() => {
    count += 1;
    if (count === 1) first.resolve({ kind: "signal" });
    else second.resolve({ kind: "failure", reason: "a second signal cut the drain off" });
  });
  return { first: first.promise, second: second.promise };
}

function drainOf(relay: Relay): Promise<End | { kind: "drained" }> {
  return relay.stop().then(
    () => ({ kind: "drained" as const }),
    (error: unknown) => ({ kind: "failure" as const, reason: `the drain failed: ${reasonOf(error)}` }),
  );
}

/** A relay that has failed may be unable to stop as well. */
async function patience({ patienceMilliseconds }: Lifetime): Promise<End> {
  await setTimeout(patienceMilliseconds, undefined, { ref: false });
  return { kind: "failure", reason: "and it did not stop in time" };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
