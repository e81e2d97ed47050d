import assert from "node:assert/strict";
import { test } from "node:test";
import { noOutcomes, type OutcomeGroup } from "../../../src/admin/outcomeSeries.ts";
import { relayVerdict, type VerdictNeeds } from "../../../src/admin/relayVerdict.ts";

const NOW = 1_700_000_000_000;
const HOUR = 3_600_000;
const COUNTS = { incoming: 0, active: 0, deferred: 0, held: 0 };

const FINE: VerdictNeeds = {
  facts: {
    version: "1",
    hostname: "relay.example",
    startedAt: NOW,
    now: NOW,
    validation: { kind: "validating", mode: "forward", source: "", reason: "" },
    exceptions: [],
    connections: { inbound: 0, outbound: 0 },
  },
  checks: [{ name: "spool", status: "ok", text: "mail can be kept" }],
  counts: { kind: "known", value: COUNTS },
  lastHour: [],
};

function attempts(group: OutcomeGroup, count: number, delivered = 0): VerdictNeeds["lastHour"] {
  return [{ minute: 0, counts: { ...noOutcomes(), [group]: count }, delivered }];
}

const VERDICTS: readonly { what: string; change: Partial<VerdictNeeds>; kind: string; says: RegExp }[] = [
  { what: "nothing wrong", change: {}, kind: "fine", says: /nothing waits/ },
  {
    what: "some mail waits",
    change: { counts: { kind: "known", value: { ...COUNTS, deferred: 2, oldestAcceptedAt: NOW - HOUR } } },
    kind: "fine",
    says: /2 messages in the queue, of which 2 were tried/,
  },
  {
    what: "a check is degraded",
    change: { checks: [{ name: "dnssec", status: "degraded", text: "not validating" }] },
    kind: "degraded",
    says: /^dnssec: not validating$/,
  },
  {
    what: "a check failed, another is degraded",
    change: {
      checks: [
        { name: "dnssec", status: "degraded", text: "not validating" },
        { name: "spool", status: "failed", text: "the disk is full" },
      ],
    },
    kind: "trouble",
    says: /^spool: the disk is full \| dnssec: not validating$/,
  },
  { what: "nothing was checked", change: { checks: [] }, kind: "trouble", says: /nothing could be checked/ },
  {
    what: "the queue does not answer",
    change: { counts: { kind: "unknown", reason: "no answer within 5 s" } },
    kind: "trouble",
    says: /the queue cannot be asked: no answer within 5 s/,
  },
  {
    what: "mail waits for long",
    change: { counts: { kind: "known", value: { ...COUNTS, deferred: 1, oldestAcceptedAt: NOW - 5 * HOUR } } },
    kind: "degraded",
    says: /has waited for 5h/,
  },
  {
    what: "nothing gets out",
    change: { lastHour: attempts("not-tried", 5) },
    kind: "degraded",
    says: /none of the 5 .* port 25/,
  },
  { what: "DNS fails", change: { lastHour: attempts("dns", 9) }, kind: "degraded", says: /none of the 9 .* resolver first/ },
  { what: "somebody interferes", change: { lastHour: attempts("refused", 9) }, kind: "degraded", says: /interferes/ },
  { what: "few attempts in vain", change: { lastHour: attempts("dns", 4) }, kind: "fine", says: /./ },
  { what: "some got out", change: { lastHour: attempts("authenticated", 9, 1) }, kind: "fine", says: /./ },
];

for (const { what, change, kind, says } of VERDICTS) {
  test(`the verdict when ${what}`, () => {
    const verdict = relayVerdict({ ...FINE, ...change });
    assert.equal(verdict.kind, kind);
    assert.match(verdict.reasons.join(" | "), says);
  });
}
