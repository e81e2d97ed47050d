import assert from "node:assert/strict";
import { test } from "node:test";
import { liveUntilEnd } from "../../../src/cli/lifetime.ts";
import type { LogEvent, StartEvent } from "../../../src/log.ts";
import type { Relay } from "../../../src/relay.ts";

const STARTED: StartEvent = { event: "start", version: "0", hostname: "h", listen: [], admin: "", spool: "", resolver: "auto" };

/** A relay whose start, failure and drain the test decides. */
function scene() {
  const started = Promise.withResolvers<void>();
  const failed = Promise.withResolvers<Error>();
  const drained = Promise.withResolvers<void>();
  const stopCalled = Promise.withResolvers<void>();
  const events: LogEvent[] = [];
  let signal = (): void => assert.fail("nobody listens to signals");
  let stops = 0;
  let hangup = (): void => assert.fail("nobody listens to SIGHUP");
  const reloaded: Relay[] = [];
  const relay: Relay = {
    failed: failed.promise,
    reload: () => Promise.resolve({ kind: "reloaded" }),
    stop: () => {
      stops += 1;
      stopCalled.resolve();
      return drained.promise;
    },
  };
  const status = liveUntilEnd({
    start: () => started.promise.then(() => relay),
    started: STARTED,
    onStopSignal: (listener) => {
      signal = listener;
    },
    onReloadSignal: (listener) => {
      hangup = listener;
    },
    reload: (of) => Promise.resolve(void reloaded.push(of)),
    clock: { now: () => 0, monotonic: () => 0 },
    log: { event: (event) => events.push(event), reconfigure: () => undefined, flush: () => Promise.resolve() },
    patienceMilliseconds: 1,
  });
  const stopEvent = () => events.filter((event) => event.event === "stop");
  return {
    started,
    failed,
    drained,
    stopCalled,
    status,
    signal: () => signal(),
    stopEvent,
    events,
    stops: () => stops,
    hangup: () => hangup(),
    relay,
    reloaded,
  };
}

test("SIGHUP reloads the relay that runs; one that comes during the start does so after it", async () => {
  const { started, drained, stopCalled, status, signal, hangup, relay, reloaded } = scene();
  hangup();
  started.resolve();
  signal();
  await stopCalled.promise;
  assert.deepEqual(reloaded, [relay]);
  drained.resolve();
  assert.equal(await status, 0);
});

test("a signal drains, and the status is 0", async () => {
  const { started, drained, stopCalled, status, signal, events } = scene();
  started.resolve();
  signal();
  await stopCalled.promise;
  drained.resolve();
  assert.equal(await status, 0);
  assert.deepEqual(events, [STARTED, { event: "stop", because: "signal", seconds: 0 }]);
});

test("a signal during the start is not lost", async () => {
  const { started, drained, status, signal } = scene();
  signal();
  started.resolve();
  drained.resolve();
  assert.equal(await status, 0);
});

test("a start that fails: 1, in words, and nothing to stop", async () => {
  const { started, status, events, stops } = scene();
  started.reject(new Error("127.0.0.1:25 is in use"));
  assert.equal(await status, 1);
  assert.deepEqual(events, [{ event: "stop", because: "failure", reason: "the relay could not start: 127.0.0.1:25 is in use" }]);
  assert.equal(stops(), 0);
});

test("a failure while running: stopped, then 1", async () => {
  const { started, failed, drained, stopCalled, status, stopEvent } = scene();
  started.resolve();
  failed.resolve(new Error("the spool's worker died"));
  await stopCalled.promise;
  drained.resolve();
  assert.equal(await status, 1);
  assert.deepEqual(stopEvent(), [{ event: "stop", because: "failure", reason: "the spool's worker died", seconds: 0 }]);
});

test("a failure, and a stop that never ends: 1 all the same", async () => {
  const { started, failed, status, stopEvent } = scene();
  started.resolve();
  failed.resolve(new Error("broken"));
  assert.equal(await status, 1);
  assert.deepEqual(stopEvent(), [
    { event: "stop", because: "failure", reason: "broken; and it did not stop in time", seconds: 0 },
  ]);
});

test("a second signal ends the drain with 1", async () => {
  const { started, stopCalled, status, signal, stopEvent } = scene();
  started.resolve();
  signal();
  await stopCalled.promise;
  signal();
  assert.equal(await status, 1);
  assert.deepEqual(stopEvent(), [{ event: "stop", because: "failure", reason: "a second signal cut the drain off", seconds: 0 }]);
});

test("a failure during the drain, or of the drain: 1", async () => {
  const during = scene();
  during.started.resolve();
  during.signal();
  await during.stopCalled.promise;
  during.failed.resolve(new Error("broken"));
  assert.equal(await during.status, 1);
  const of = scene();
  of.started.resolve();
  of.signal();
  of.drained.reject(new Error("timeout"));
  assert.equal(await of.status, 1);
  assert.deepEqual(of.stopEvent(), [{ event: "stop", because: "failure", reason: "the drain failed: timeout", seconds: 0 }]);
});
