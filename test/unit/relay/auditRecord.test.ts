import assert from "node:assert/strict";
import { test } from "node:test";
import type { AuditRecord } from "../../../src/admin/api.ts";
import { auditEvent } from "../../../src/relay/auditRecord.ts";

/** Who did it, from where, to what, and how many it was. */
const CHANGE = { changed: 3, unchanged: 2, busy: 1, unknown: ["M8", "M9"] };
const COUNTS = { changed: 3, unchanged: 2, busy: 1, unknown: 2 };
const MANY = Array.from({ length: 30 }, (_, n) => `M${n}`);

const RECORDS: readonly [name: string, record: AuditRecord, event: object][] = [
  [
    "the command on the relay's machine",
    { actor: { who: "local" }, action: "release", filter: {}, outcome: "done", change: CHANGE },
    { event: "audit", who: "local", action: "release", filter: {}, outcome: "done", ...COUNTS },
  ],
  [
    "a program with the token",
    {
      actor: { who: "token", client: "192.0.2.1" },
      action: "delete",
      filter: { domain: "a.example", sender: "", state: "held", reason: "no", acceptedBefore: 0 },
      outcome: "done",
      change: CHANGE,
    },
    {
      ...{ event: "audit", who: "token", client: "192.0.2.1", action: "delete", outcome: "done", ...COUNTS },
      filter: { domain: "a.example", sender: "", state: "held", reason: "no", acceptedBefore: "1970-01-01T00:00:00.000Z" },
    },
  ],
  [
    "the page, more messages than a line should name",
    { actor: { who: "session", client: "::1" }, action: "hold", filter: { ids: MANY }, outcome: "done", change: CHANGE },
    {
      ...{ event: "audit", who: "session", client: "::1", action: "hold", outcome: "done", ...COUNTS },
      filter: { ids: MANY.slice(0, 20), messages: 30 },
    },
  ],
  [
    "what failed",
    { actor: { who: "token", client: "192.0.2.1" }, action: "retry", filter: { ids: ["M1"] }, outcome: "failed", reason: "disk" },
    {
      event: "audit",
      who: "token",
      client: "192.0.2.1",
      action: "retry",
      filter: { ids: ["M1"] },
      outcome: "failed",
      reason: "disk",
    },
  ],
  [
    "the last moment that there is",
    { actor: { who: "local" }, action: "hold", filter: { acceptedBefore: 8.64e15 }, outcome: "failed", reason: "x" },
    {
      ...{ event: "audit", who: "local", action: "hold", outcome: "failed", reason: "x" },
      filter: { acceptedBefore: "+275760-09-13T00:00:00.000Z" },
    },
  ],
];

for (const [name, record, event] of RECORDS) test(name, () => assert.deepEqual(auditEvent(record), event));
