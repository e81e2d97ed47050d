import assert from "node:assert/strict";
import { test } from "node:test";
import type { ValidationProbe } from "../../../src/resolver/probe.ts";
import { SourceSelection } from "../../../src/resolver/sourceSelection.ts";
import { ValidationMonitor, type ValidationState } from "../../../src/resolver/validationMonitor.ts";

function selection(): SourceSelection {
  const source = { ask: () => Promise.resolve({ kind: "failed" as const, reason: "nobody is asked here" }) };
  return new SourceSelection({
    mode: "recursive",
    upstreams: [],
    forward: () => source,
    recursive: () => source,
    probe: () => Promise.reject(new Error("no upstream to probe")),
    forwardZones: [],
  });
}

/** Lets promises settle without letting time pass. */
async function settle(): Promise<void> {
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
}

test("the monitor reports the first result and every change, looks sooner while broken, and takes a failed probe for broken", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const results: (ValidationProbe | Error)[] = [
    { kind: "notValidating", reason: "stripped" },
    { kind: "notValidating", reason: "stripped" },
    { kind: "validating" },
    new Error("out of sockets"),
  ];
  let probes = 0;
  const seen: ValidationState[] = [];
  const monitor = new ValidationMonitor({
    selection: selection(),
    probe: () => {
      const result = results[probes];
      probes += 1;
      return result instanceof Error || result === undefined ? Promise.reject(result) : Promise.resolve(result);
    },
    onChange: (state) => seen.push(state),
  });
  assert.equal(monitor.state.kind, "unknown");
  monitor.start();
  await settle();
  assert.deepEqual(
    seen.map(({ kind, mode }) => [kind, mode]),
    [["notValidating", "recursive"]],
  );
  t.mock.timers.tick(20_000);
  await settle();
  assert.equal(probes, 2);
  assert.equal(seen.length, 1, "the same result is not reported again");
  t.mock.timers.tick(20_000);
  await settle();
  assert.equal(seen.at(-1)?.kind, "validating");
  t.mock.timers.tick(20_000);
  await settle();
  assert.equal(probes, 3, "what works is looked at less often");
  t.mock.timers.tick(280_000);
  await settle();
  assert.equal(seen.at(-1)?.kind, "notValidating");
  assert.match(seen.at(-1)?.reason ?? "", /out of sockets/);
  monitor.stop();
  t.mock.timers.tick(1_000_000);
  await settle();
  assert.equal(probes, 4, "a stopped monitor asks nothing");
});
