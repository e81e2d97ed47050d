import assert from "node:assert/strict";
import { test } from "node:test";
import { type Arrival, dateTime, type TraceFacts, traceHeaders } from "../../../src/submission/traceHeaders.ts";

const NOW = Date.UTC(2026, 10, 3, 4, 5, 6);
const ARRIVAL: Arrival = {
  helo: "client.example",
  address: "192.0.2.1",
  protocol: "ESMTP",
  secure: false,
  authenticated: false,
  smtpUtf8: false,
};
const FACTS: TraceFacts = {
  arrival: ARRIVAL,
  hostname: "relay.example",
  id: "0MWR04UXJ",
  recipients: ["u@dest.example"],
  now: NOW,
  hasDate: true,
  hasMessageId: true,
  headerAbsent: false,
};

function received(arrival: Partial<Arrival>, facts: Partial<TraceFacts> = {}): string {
  return traceHeaders({ ...FACTS, ...facts, arrival: { ...ARRIVAL, ...arrival } });
}

test("one recipient", () => {
  assert.equal(
    received({}),
    "Received: from client.example ([192.0.2.1])\r\n\tby relay.example with ESMTP id 0MWR04UXJ\r\n\tfor <u@dest.example>;\r\n\tTue, 03 Nov 2026 04:05:06 +0000\r\n",
  );
});

test("several recipients do not learn of each other", () => {
  assert.ok(!received({}, { recipients: ["u@dest.example", "v@dest.example"] }).includes("dest.example"));
});

for (const [helo, shown] of [
  ["[192.0.2.9]", "[192.0.2.9]"],
  ["[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"],
  ["localhost", "localhost"],
  ["under_score.example", "[192.0.2.1]"],
  ["a.example(by", "[192.0.2.1]"],
  ["x\r\nX-Injected:y", "[192.0.2.1]"],
  ["münchen.example", "[192.0.2.1]"],
  ["192.0.2.9", "[192.0.2.1]"],
  ["", "[192.0.2.1]"],
  ["false", "false"],
] as const) {
  test(`HELO ${JSON.stringify(helo)} is shown as ${shown}`, () => {
    assert.ok(received({ helo }).startsWith(`Received: from ${shown} ([192.0.2.1])\r\n\tby relay.example `), received({ helo }));
  });
}

test("an IPv6 client", () => {
  assert.ok(received({ address: "2001:db8::7" }).startsWith("Received: from client.example ([IPv6:2001:db8::7])\r\n"));
});

for (const [arrival, protocol] of [
  [{ protocol: "SMTP" }, "SMTP"],
  [{}, "ESMTP"],
  [{ secure: true }, "ESMTPS"],
  [{ authenticated: true }, "ESMTPA"],
  [{ secure: true, authenticated: true }, "ESMTPSA"],
  [{ smtpUtf8: true }, "UTF8SMTP"],
  [{ smtpUtf8: true, secure: true, authenticated: true }, "UTF8SMTPSA"],
] as const) {
  test(`with ${protocol} (RFC 3848, RFC 6531 §4.3)`, () => {
    assert.ok(received(arrival).includes(` with ${protocol} id `));
  });
}

test("Date and Message-ID are added when missing, in this order behind Received", () => {
  const lines = received({}, { hasDate: false, hasMessageId: false }).split("\r\n");
  assert.deepEqual(lines.slice(-3), ["Date: Tue, 03 Nov 2026 04:05:06 +0000", "Message-ID: <0MWR04UXJ@relay.example>", ""]);
  assert.ok(!received({}).includes("Message-ID"));
  assert.ok(received({}, { hasDate: false }).includes("\r\nDate: "));
  assert.ok(!received({}, { hasMessageId: false }).includes("\r\nDate: "));
});

test("content without a header section stays the body", () => {
  assert.ok(received({}, { headerAbsent: true }).endsWith("+0000\r\n\r\n"));
});

test("dates are those of RFC 5322 §3.3", () => {
  assert.equal(dateTime(Date.UTC(2026, 0, 1, 23, 59, 59)), "Thu, 01 Jan 2026 23:59:59 +0000");
});
