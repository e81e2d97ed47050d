import assert from "node:assert/strict";
import { test } from "node:test";
import type { Trace } from "../../../src/delivery/ledger.ts";
import { settlementOf } from "../../../src/delivery/settlement.ts";
import type { Outcome } from "../../../src/policy/disposition.ts";
import type { Notify, QueuedRecipient, Work } from "../../../src/spool/message.ts";

const HOUR = 3_600_000;
const RETRY = { initialSeconds: 300, maximumSeconds: 14_400, lifetimeHours: 120, delayWarningHours: 4 };
const TRACE: Trace = { tls: "dane", dane: "authenticated", dnssec: { mx: "secure", address: "secure", tlsa: "secure" } };
const DELIVERED: Outcome = {
  kind: "delivered",
  reply: { code: 250, lines: ["ok"] },
  security: { tls: "dane", dane: "authenticated" },
  dsn: "ours",
};
const PASSED_ON: Outcome = { ...DELIVERED, dsn: "passed-on" };
const FAILED: Outcome = { kind: "failed", status: "5.1.1", cause: { kind: "reply", text: "no such user" } };
const DEFERRED: Outcome = { kind: "deferred", status: "4.7.5", cause: { kind: "tls-policy", text: "no match" } };

type Case = {
  title: string;
  outcome: Outcome;
  ageHours?: number;
  notify?: readonly Notify[];
  warned?: true;
  purpose?: "tls-report";
  expect: string;
};
const CASES: readonly Case[] = [
  { title: "delivered, nothing asked", outcome: DELIVERED, expect: "delivered, nobody told" },
  {
    title: "delivered, success asked, next host knows no DSN",
    outcome: DELIVERED,
    notify: ["SUCCESS"],
    expect: "delivered, told relayed",
  },
  {
    title: "delivered, success asked, next host reports it",
    outcome: PASSED_ON,
    notify: ["SUCCESS"],
    expect: "delivered, nobody told",
  },
  { title: "failed", outcome: FAILED, expect: "failed 5.1.1, told failed" },
  { title: "failed, NOTIFY=NEVER", outcome: FAILED, notify: ["NEVER"], expect: "failed 5.1.1, nobody told" },
  { title: "failed, NOTIFY=SUCCESS only", outcome: FAILED, notify: ["SUCCESS"], expect: "failed 5.1.1, nobody told" },
  { title: "deferred, young", outcome: DEFERRED, ageHours: 1, expect: "deferred 4.7.5 until +300 s, nobody told" },
  {
    title: "deferred, old enough for a warning",
    outcome: DEFERRED,
    ageHours: 5,
    expect: "deferred 4.7.5 until +300 s, warned, told delayed",
  },
  {
    title: "deferred, warned before",
    outcome: DEFERRED,
    ageHours: 5,
    warned: true,
    expect: "deferred 4.7.5 until +300 s, nobody told",
  },
  {
    title: "deferred, no warning wanted",
    outcome: DEFERRED,
    ageHours: 5,
    notify: ["FAILURE"],
    expect: "deferred 4.7.5 until +300 s, warned, nobody told",
  },
  {
    title: "deferred at the end of the lifetime keeps the last cause's code",
    outcome: DEFERRED,
    ageHours: 120,
    expect: "failed 4.7.5, told failed",
  },
  {
    title: "a TLS report of yesterday (RFC 8460 §5.5)",
    outcome: DEFERRED,
    ageHours: 23,
    purpose: "tls-report",
    notify: ["NEVER"],
    expect: "deferred 4.7.5 until +300 s, warned, nobody told",
  },
  {
    title: "a TLS report after a day",
    outcome: DEFERRED,
    ageHours: 24,
    purpose: "tls-report",
    notify: ["NEVER"],
    expect: "failed 4.7.5, nobody told",
  },
  { title: "expired, NOTIFY=NEVER", outcome: DEFERRED, ageHours: 121, notify: ["NEVER"], expect: "failed 4.7.5, nobody told" },
];

function workFor(entry: Case): { work: Work; recipient: QueuedRecipient } {
  const recipient: QueuedRecipient = {
    index: 0,
    address: "user@example.org",
    destination: "example.org",
    attempts: 0,
    delayWarned: entry.warned === true,
    ...(entry.notify === undefined ? {} : { notify: entry.notify }),
  };
  const envelope: Work["envelope"] = {
    id: "A1",
    sender: "s@example.net",
    acceptedAt: 0,
    smtpUtf8: false,
    eightBitMime: false,
    requireTls: false,
    tlsRequiredNo: false,
    ...(entry.purpose === undefined ? {} : { purpose: entry.purpose }),
    size: 1,
  };
  return { recipient, work: { envelope, destination: "example.org", recipients: [recipient] } };
}

function described(entry: Case): string {
  const { work, recipient } = workFor(entry);
  const now = (entry.ageHours ?? 0) * HOUR;
  const result = settlementOf(work, [{ recipient, outcome: entry.outcome, trace: TRACE }], {
    now,
    span: { since: 0, mayExpire: "yes" },
    retry: RETRY,
    random: () => 0.5,
  });
  const [settled] = result.settled;
  assert.ok(settled);
  const status = settled.outcome.kind === "delivered" ? "delivered" : `${settled.outcome.kind} ${settled.outcome.status}`;
  const due = settled.nextAttemptAt === undefined ? "" : ` until +${(settled.nextAttemptAt - now) / 1000} s`;
  const warned = settled.delayWarned === true ? ", warned" : "";
  const told = result.notices.length === 0 ? "nobody told" : `told ${result.notices.map((notice) => notice.action).join(", ")}`;
  return `${status}${due}${warned}, ${told}`;
}

for (const entry of CASES) test(`${entry.title}: ${entry.expect}`, () => assert.equal(described(entry), entry.expect));

test("recipients of one message that fail together are told of in one notice", () => {
  const { work, recipient } = workFor({ title: "", outcome: FAILED, expect: "" });
  const second = { ...recipient, index: 1 };
  const outcomes = [recipient, second].map((one) => ({ recipient: one, outcome: FAILED, trace: TRACE }));
  const result = settlementOf(work, outcomes, { now: 0, span: { since: 0, mayExpire: "yes" }, retry: RETRY, random: () => 0.5 });
  assert.deepEqual(
    result.notices.map((notice) => [notice.action, notice.recipients.length]),
    [["failed", 2]],
  );
});
