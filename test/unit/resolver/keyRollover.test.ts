import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { algorithmTable } from "../../../src/dnssec/algorithm.ts";
import type { TrustAnchors } from "../../../src/dnssec/evidence.ts";
import { createResolver } from "../../../src/resolver/resolver.ts";
import type { Source } from "../../../src/resolver/source.ts";
import { KEY_REFRESH_SECONDS, MAX_NEW_ZONES, Validator, type ValidatorOptions } from "../../../src/resolver/validator.ts";
import { anchorsOf, signedTree } from "../../conformance/ownCase.ts";
import { signingKey } from "../../fake/signer.ts";
import { FAKE_NOW, type FakeDns, fakeDns, type Tamper, type ZoneDefinition } from "../../fake/zone.ts";

/** Zones whose keys change while they are remembered, trust anchors that change, and trees that are deeper than anybody's. */
const ASK = name("mail.example.test");
const RECORDS = ["mail.example.test A 192.0.2.1", "other.example.test A 192.0.2.2"];

function tree(seed: string, tamper?: Tamper): FakeDns {
  return fakeDns(signedTree(RECORDS, { keys: [signingKey({ seed })] }), tamper);
}

/** A validator whose source changes with `current`, and whose clock is `time`, in seconds. */
function world(first: FakeDns) {
  const state = { dns: first, time: 0, asked: [] as string[] };
  const source: Source = {
    ask: (owner, type) => {
      state.asked.push(`${owner} ${type}`);
      return state.dns.source.ask(owner, type);
    },
  };
  const options: ValidatorOptions = {
    source,
    anchors: anchorsOf(first),
    algorithms: algorithmTable({ sha1: "insecure" }),
    clock: { now: () => FAKE_NOW * 1000, monotonic: () => state.time * 1000 },
    timeoutSeconds: 10,
    trustCacheEntries: 100,
  };
  const countOf = (owner: string, type: number): number => state.asked.filter((one) => one === `${name(owner)} ${type}`).length;
  return { state, options, countOf };
}

describe("a zone with other keys than are remembered", () => {
  test("its keys are asked for again, and the answer is secure", async () => {
    const { state, options } = world(tree("before"));
    const validator = new Validator(options);
    assert.equal((await validator.lookup(ASK, RR_TYPE.A)).status, "secure");
    state.dns = tree("after");
    assert.equal((await validator.lookup(ASK, RR_TYPE.A)).status, "secure");
  });

  test("the zone above changed its keys, and what it says of the zone below is believed again", async () => {
    const definitions = (seed: string): ZoneDefinition[] => [
      { name: "." },
      { name: "test.", keys: [signingKey({ seed })] },
      { name: "example.test.", records: RECORDS },
    ];
    const { state, options } = world(fakeDns(definitions("before")));
    const validator = new Validator(options);
    assert.equal((await validator.lookup(name("test"), RR_TYPE.SOA)).status, "secure");
    state.dns = fakeDns(definitions("after"));
    assert.equal((await validator.lookup(ASK, RR_TYPE.A)).status, "secure");
  });

  test("signatures by a key that the zone does not have are bogus, and its keys are asked for once in a while only", async () => {
    const forged = tree("forged");
    const lying: Tamper = (message, owner, type) => (type === RR_TYPE.A ? forged.answer(owner, type) : message);
    const honest = tree("honest");
    const { state, options, countOf } = world(honest);
    const validator = new Validator(options);
    assert.equal((await validator.lookup(ASK, RR_TYPE.A)).status, "secure");
    const keysAsked = countOf("example.test", RR_TYPE.DNSKEY);
    state.dns = tree("honest", lying);
    for (let i = 0; i < 20; i += 1) assert.equal((await validator.lookup(ASK, RR_TYPE.A)).status, "bogus");
    assert.equal(countOf("example.test", RR_TYPE.DNSKEY), keysAsked + 1);
    state.time += KEY_REFRESH_SECONDS + 1;
    for (let i = 0; i < 20; i += 1) assert.equal((await validator.lookup(ASK, RR_TYPE.A)).status, "bogus");
    assert.equal(countOf("example.test", RR_TYPE.DNSKEY), keysAsked + 2);
  });

  test("what cannot be proved does not replace what was", async () => {
    const { state, options } = world(tree("honest"));
    const validator = new Validator(options);
    assert.equal((await validator.lookup(ASK, RR_TYPE.A)).status, "secure");
    const forged = tree("forged");
    state.dns = tree("honest", (message, owner, type) =>
      type === RR_TYPE.DNSKEY || owner === ASK ? forged.answer(owner, type) : message,
    );
    assert.equal((await validator.lookup(ASK, RR_TYPE.A)).status, "bogus");
    assert.equal((await validator.lookup(name("other.example.test"), RR_TYPE.A)).status, "secure");
  });
});

test("answers are forgotten when the trust anchors change", async () => {
  const { options } = world(tree("honest"));
  let anchors: TrustAnchors = anchorsOf(tree("honest"));
  const resolver = createResolver({ ...options, anchors: () => anchors, cacheEntries: 100 });
  assert.equal((await resolver.lookup(ASK, RR_TYPE.A)).status, "secure");
  anchors = new Map([[name("."), { ds: [], keys: [] }]]);
  assert.equal((await resolver.lookup(ASK, RR_TYPE.A)).status, "bogus");
});

test("a tree of signed zones that is too deep is not followed to its end at once", async () => {
  const depth = MAX_NEW_ZONES + 8;
  const names = Array.from(
    { length: depth },
    (_, i) => `${Array.from({ length: i + 1 }, (_unused, j) => `z${i - j}`).join(".")}.`,
  );
  const deepest = names.at(-1) ?? "";
  const definitions = [
    { name: "." },
    ...names.map((one) => ({ name: one, records: one === deepest ? [`${deepest} A 192.0.2.1`] : [] })),
  ];
  const { options } = world(fakeDns(definitions));
  const validator = new Validator(options);
  const first = await validator.lookup(name(deepest), RR_TYPE.A);
  assert.equal(first.status, "indeterminate");
  assert.ok(validator.trustCounts.entries <= MAX_NEW_ZONES, `${validator.trustCounts.entries} zones were judged`);
  // What was found out is kept: nobody honest is kept from an answer for ever.
  assert.equal((await validator.lookup(name(deepest), RR_TYPE.A)).status, "secure");
});
