import assert from "node:assert/strict";
import { test } from "node:test";
import { name } from "../../../src/dns/name.ts";
import type { ValidatingResolver } from "../../../src/resolver/resolver.ts";
import { zoneOf } from "../../../src/rollover/authoritativeServers.ts";

test("why the zone of a host could not be found is said in words", async () => {
  const reasons = [
    { code: "lookup-failed", text: "the SOA could not be looked up" },
    { code: "lookup-failed", text: "no answer in time" },
  ] as const;
  const resolver: Pick<ValidatingResolver, "lookup"> = { lookup: () => Promise.resolve({ status: "indeterminate", reasons }) };
  assert.deepEqual(await zoneOf(name("_25._tcp.mx.example.org"), resolver as ValidatingResolver), {
    kind: "unknown",
    reason: "the zone of _25._tcp.mx.example.org could not be found: the SOA could not be looked up: no answer in time",
  });
});
