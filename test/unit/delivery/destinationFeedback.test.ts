import assert from "node:assert/strict";
import { test } from "node:test";
import { feedbackOf } from "../../../src/delivery/destinationFeedback.ts";
import type { RecipientOutcome } from "../../../src/delivery/ledger.ts";
import type { CauseKind } from "../../../src/policy/disposition.ts";

const REPLY = { lines: ["text"] };

function outcome(kind: "delivered" | "failed" | CauseKind, code?: number, tls = "may:none"): RecipientOutcome {
  const reply = code === undefined ? {} : { reply: { ...REPLY, code } };
  const cause = { kind: kind as CauseKind, text: "text", ...reply };
  const result =
    kind === "delivered" || kind === "failed" ? { kind, status: "5.0.0", cause } : { kind: "deferred", status: "4.0.0", cause };
  return { outcome: result, trace: { tls } } as unknown as RecipientOutcome;
}

const CASES: readonly (readonly [string, readonly RecipientOutcome[], ReturnType<typeof feedbackOf>])[] = [
  ["delivered", [outcome("delivered")], "answered"],
  ["failed for good", [outcome("failed")], "answered"],
  ["4yz to a recipient: greylisting is an answer", [outcome("reply", 450)], "answered"],
  ["421 in a transaction", [outcome("reply", 421)], "unavailable"],
  ["450 instead of a greeting", [outcome("reply", 450, "may:noconnect")], "unavailable"],
  ["554 instead of a greeting, under DANE", [outcome("reply", 554, "dane:noconnect")], "unavailable"],
  ["no connection", [outcome("connect", undefined, "may:noconnect")], "unavailable"],
  ["the connection broke in the transaction", [outcome("connect")], "unavailable"],
  ["the certificate does not match", [outcome("tls-policy", undefined, "!dane:nocertmatch")], "unavailable"],
  ["bogus", [outcome("dnssec", undefined, "dane?")], "unavailable"],
  ["SERVFAIL", [outcome("dns", undefined, "dane?")], "unavailable"],
  ["our own disk", [outcome("local")], "nothing"],
  ["one recipient answered for, one not", [outcome("connect"), outcome("delivered")], "answered"],
  ["our own trouble beside theirs", [outcome("local"), outcome("connect")], "unavailable"],
];

for (const [title, outcomes, expected] of CASES) test(title, () => assert.equal(feedbackOf(outcomes), expected));
