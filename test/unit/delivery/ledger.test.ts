import assert from "node:assert/strict";
import { test } from "node:test";
import { Ledger, type Trace } from "../../../src/delivery/ledger.ts";
import type { Outcome } from "../../../src/policy/disposition.ts";
import type { QueuedRecipient } from "../../../src/spool/message.ts";

const OUTCOME: Outcome = { kind: "failed", status: "5.1.1", cause: { kind: "reply", text: "no such user" } };
const TRACE: Trace = {
  tls: "may:none",
  dane: "no-tlsa",
  dnssec: { mx: "insecure", address: "insecure", tlsa: "not-asked" },
};

test("the work of recording grows with the recipients, not with their square", () => {
  const COUNT = 2000;
  let reads = 0;
  const recipients = Array.from(
    { length: COUNT },
    (_, number): QueuedRecipient => ({
      get index() {
        reads += 1;
        return number;
      },
      address: `u${number}@example.org`,
      destination: "example.org",
      attempts: 0,
      delayWarned: false,
    }),
  );
  const ledger = new Ledger(recipients);
  for (const recipient of recipients) ledger.record(recipient, { next: "no", outcome: OUTCOME }, TRACE);
  assert.ok(reads <= 5 * COUNT, `${reads} looks at ${COUNT} recipients`);
  assert.deepEqual(ledger.open(), []);
  assert.deepEqual(
    ledger.report().map(({ recipient }) => recipient.address),
    recipients.map(({ address }) => address),
  );
});

test("who is closed already, or not part of the attempt, is not recorded", () => {
  const recipient = { index: 3, address: "u@example.org", destination: "example.org", attempts: 0, delayWarned: false };
  const ledger = new Ledger([recipient]);
  ledger.record(recipient, { next: "no", outcome: OUTCOME }, TRACE);
  for (const wrong of [recipient, { ...recipient, index: 4 }])
    assert.throws(() => ledger.record(wrong, { next: "no", outcome: OUTCOME }, TRACE), /is not open in this attempt/);
});
