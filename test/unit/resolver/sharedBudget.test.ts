import assert from "node:assert/strict";
import { test } from "node:test";
import { type Message, type ResourceRecord, RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { LOOKUP_LIMITS } from "../../../src/dnssec/workBudget.ts";
import type { Source } from "../../../src/resolver/source.ts";
import { anchorsOf, signedTree, validatorOf } from "../../conformance/ownCase.ts";
import { type SigningKey, signingKey, signRrset } from "../../fake/signer.ts";
import { FAKE_WINDOW, fakeDns } from "../../fake/zone.ts";
import { countingAlgorithms } from "../../fault/hostileInternet.ts";

/** What a zone with four servers, each of which answers with forged signatures just below the limit of one answer, may cost. */

const ZONE = name("example.test.");

function forged(message: Message, key: SigningKey, from: number): Message {
  const records = message.answer.filter((one) => one.type !== RR_TYPE.RRSIG);
  const octets = key.sign(Buffer.alloc(0)).length;
  const forgery = (i: number): ResourceRecord =>
    signRrset(records, { ...key, sign: () => Buffer.alloc(octets, 10 * from + i) }, ZONE, FAKE_WINDOW);
  return { ...message, answer: [...records, ...Array.from({ length: 7 }, (_, i) => forgery(i))] };
}

for (const [algorithm, expected] of [
  [13, 4 * 7],
  [14, LOOKUP_LIMITS.costlySignatureChecks],
] as const) {
  test(`algorithm ${algorithm}: four servers that lie cost ${expected} checks of their lies`, async () => {
    const key = signingKey({ seed: "zone", algorithm });
    const dns = fakeDns(signedTree(["example.test MX 10 mail.example.test"], { keys: [key] }));
    let asked = 0;
    const source: Source = {
      ask: async (owner, type) => {
        const answer = await dns.source.ask(owner, type);
        if (answer.kind !== "message" || type !== RR_TYPE.MX) return answer;
        asked += 1;
        return { ...answer, message: forged(answer.message, key, asked), from: `server ${asked}` };
      },
    };
    const { algorithms, checks } = countingAlgorithms();
    const resolution = await validatorOf(source, anchorsOf(dns), { algorithms }).lookup(ZONE, RR_TYPE.MX);
    assert.equal(resolution.status, "bogus");
    assert.equal(checks(), 5 + expected);
  });
}
