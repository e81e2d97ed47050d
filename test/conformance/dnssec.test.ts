import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, test } from "node:test";
import { playDnssec } from "./dnssec.ts";
import { play } from "./ownCase.ts";
import { AUTHENTIC_MESSAGE } from "./rfc4035-section3.2.3/authenticMessage.ts";
import { BESIDE_ANSWER } from "./rfc4035-section3.2.3/besideAnswer.ts";
import { DELEGATION } from "./rfc4035-section5.2/delegation.ts";
import { SIGNATURE_VALIDITY } from "./rfc4035-section5.3.1/signatureValidity.ts";
import { WILDCARD_EXPANSION } from "./rfc4035-section5.3.4/wildcardExpansion.ts";
import { DENIAL } from "./rfc4035-section5.4/denial.ts";
import { OPT_OUT } from "./rfc5155-section9.2/optOut.ts";
import { DNAME_SYNTHESIS } from "./rfc6672-section5.3.1/dnameSynthesis.ts";
import { ANCESTOR_DELEGATION } from "./rfc6840-section4.1/ancestorDelegation.ts";
import { ALGORITHMS } from "./rfc6840-section5.11/algorithms.ts";
import { NEGATIVE_TRUST_ANCHOR } from "./rfc7646-section3/negativeTrustAnchor.ts";
import { ITERATIONS } from "./rfc9276-section3.2/iterations.ts";
import { COMPACT_DENIAL } from "./rfc9824-section3/compactDenial.ts";

const OWN = {
  "RFC 4035 §3.2.3: authentic messages": AUTHENTIC_MESSAGE,
  "RFC 4035 §3.2.3: what stands beside an answer": BESIDE_ANSWER,
  "RFC 4035 §5.2: delegations": DELEGATION,
  "RFC 4035 §5.3.1: validity of signatures": SIGNATURE_VALIDITY,
  "RFC 4035 §5.3.4: wildcard expansion": WILDCARD_EXPANSION,
  "RFC 4035 §5.4: denial of existence": DENIAL,
  "RFC 5155 §9.2: opt-out": OPT_OUT,
  "RFC 6672 §5.3.1: DNAME": DNAME_SYNTHESIS,
  "RFC 6840 §4.1: ancestor delegations": ANCESTOR_DELEGATION,
  "RFC 6840 §5.11: algorithms": ALGORITHMS,
  "RFC 7646 §3: negative trust anchors": NEGATIVE_TRUST_ANCHOR,
  "RFC 9276 §3.2: NSEC3 iterations": ITERATIONS,
  "RFC 9824 §3: compact denial, and small spans": COMPACT_DENIAL,
} as const;

for (const [section, cases] of Object.entries(OWN)) {
  describe(section, () => {
    for (const one of cases) test(one.title, async () => assert.deepEqual(await play(one), one.expect));
  });
}

const SHARED = "../shared/conformance/dnssec";

test("the DNSSEC and resolver conformance set", async (context) => {
  if (!existsSync(SHARED)) {
    const loud = `RAN WITHOUT THE CONFORMANCE SET: ${SHARED} is absent, only our own cases were played`;
    console.warn(loud);
    context.diagnostic(loud);
    return;
  }
  const failures: string[] = [];
  const tally = await playDnssec(SHARED, (line) => failures.push(line));
  assert.deepEqual(failures, []);
  assert.ok(tally.passed > 400, `only ${tally.passed} steps were played`);
});
