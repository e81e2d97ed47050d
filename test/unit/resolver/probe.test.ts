import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Message, RR_TYPE } from "../../../src/dns/message.ts";
import { name, ROOT } from "../../../src/dns/name.ts";
import { algorithmTable } from "../../../src/dnssec/algorithm.ts";
import { probeUpstream, probeValidation } from "../../../src/resolver/probe.ts";
import type { ExchangeResult, ServerAddress, Transport } from "../../../src/resolver/transport.ts";
import { anchorsOf, signedTree, without } from "../../conformance/ownCase.ts";
import { FAKE_NOW, fakeDns, type Tamper } from "../../fake/zone.ts";

function validation(tamper?: Tamper) {
  const dns = fakeDns(signedTree(["good.example.test A 192.0.2.1", "bad.example.test A 192.0.2.2"]), tamper);
  return {
    source: dns.source,
    anchors: anchorsOf(dns),
    algorithms: algorithmTable({ sha1: "insecure" }),
    clock: { now: () => FAKE_NOW * 1000, monotonic: () => 0 },
    timeoutSeconds: 10,
    trustCacheEntries: 100,
  };
}

const spoilBad: Tamper = (message, owner) =>
  owner === name("bad.example.test.") ? { ...message, answer: message.answer.slice(0, 1) } : message;
const NAMES = { zone: ROOT, good: name("good.example.test"), bad: name("bad.example.test") };

describe("the validation probe", () => {
  test("a signed SOA holds, its copy with a wrong bit does not: validating", async () => {
    assert.deepEqual(await probeValidation(validation(), { zone: ROOT }), { kind: "validating" });
  });

  test("stripped signatures: not validating, and it says so", async () => {
    const probe = await probeValidation(
      validation((message) => without(message, RR_TYPE.RRSIG)),
      { zone: ROOT },
    );
    assert.match(
      probe.kind === "notValidating" ? probe.reason : "validating",
      /which is signed, was found bogus: .*no signature/,
    );
  });

  test("a validator that calls everything insecure is not validating", async () => {
    const probe = await probeValidation({ ...validation(), insecureZones: new Set([ROOT]) }, { zone: ROOT });
    assert.match(probe.kind === "notValidating" ? probe.reason : "validating", /found insecure/);
  });

  test("names of one's own: one good, one bad", async () => {
    assert.deepEqual(await probeValidation(validation(spoilBad), NAMES), { kind: "validating" });
    const probe = await probeValidation(validation(), NAMES);
    assert.match(
      probe.kind === "notValidating" ? probe.reason : "validating",
      /bad\.example\.test, whose signature is wrong, was found secure/,
    );
  });
});

describe("the probe of an upstream", () => {
  const upstream: ServerAddress = { address: "10.0.0.10", port: 53 };
  const dns = fakeDns([{ name: "." }]);
  type Behaviour = (message: Message, type: number, udpPayloadSize: number) => ExchangeResult["kind"] | Message;

  async function probe(behaviour: Behaviour): Promise<string> {
    const transport: Transport = {
      exchange: (_server, query) => {
        const result = behaviour(dns.answer(query.name, query.type), query.type, query.edns?.udpPayloadSize ?? 0);
        if (typeof result !== "string")
          return Promise.resolve({ kind: "response", message: result, transport: "udp", milliseconds: 1 });
        return Promise.resolve(result === "timeout" ? { kind: "timeout" } : { kind: "unreachable", reason: "refused" });
      },
    };
    const report = await probeUpstream(upstream, { transport, zone: ROOT, timeoutMilliseconds: 1000 });
    return report.kind === "passes" ? `passes: ${report.verdict}` : `${report.missing}: ${report.verdict}`;
  }

  const rows: readonly (readonly [string, Behaviour, RegExp])[] = [
    ["that passes everything", (message) => message, /^passes: upstream 10\.0\.0\.10 passes/],
    ["that is silent", () => "timeout", /^answer: upstream 10\.0\.0\.10 does not answer \(no answer in time\)/],
    ["that cannot be reached", () => "unreachable", /^answer: .*refused/],
    ["that refuses", (message) => ({ ...message, rcode: 5 }), /^answer: .*RCODE 5/],
    [
      "without EDNS",
      ({ edns: _, ...message }) => without(message, RR_TYPE.RRSIG),
      /^edns: .*does not speak EDNS.*: use resolver\.mode recursive, or an upstream that passes DNSSEC$/,
    ],
    [
      "that strips signatures",
      (message) => without(message, RR_TYPE.RRSIG),
      /^signatures: upstream 10\.0\.0\.10 strips RRSIG records: use/,
    ],
    ["that strips denials", (message) => without(message, RR_TYPE.NSEC), /^denials: /],
    [
      "that strips the signatures of denials",
      (message) => ({ ...message, authority: message.authority.filter((one) => one.type !== RR_TYPE.RRSIG) }),
      /^denials: /,
    ],
    ["that has no TCP", (message, _type, size) => (size === 512 ? "unreachable" : message), /^bigAnswers: .*DNSKEY by TCP/],
  ];
  for (const [what, behaviour, verdict] of rows) {
    test(`one ${what}`, async () => assert.match(await probe(behaviour), verdict));
  }
});
