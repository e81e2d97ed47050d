import assert from "node:assert/strict";
import { mock, test } from "node:test";
import type { DomainCheck } from "../../../src/delivery/domainCheck.ts";
import { type ExceptionEvent, ExceptionWatch, exceptionText } from "../../../src/delivery/exceptionWatch.ts";
import { demandOf, exceptionsOf, type TlsPolicySetting } from "../../../src/delivery/tlsPolicies.ts";

const HOUR = 3_600_000;
const START = Date.UTC(2026, 10, 20);

function exception(domain: string, hours: number): TlsPolicySetting {
  return { domain, level: "may", reason: "ticket 1", expiresAt: START + hours * HOUR };
}

/** Time that the test moves; what was told, as `hours since the start: what domain`. */
function scene(t: { after: (fn: () => void) => void }, check?: (domain: string) => Promise<DomainCheck>) {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: START });
  const told: string[] = [];
  const events: ExceptionEvent[] = [];
  const watch = new ExceptionWatch({
    clock: { now: () => Date.now(), monotonic: () => Date.now() },
    check: check ?? (() => Promise.resolve({ kind: "met", text: "fine" })),
    onEvent: (event) => {
      events.push(event);
      const hours = (Date.now() - START) / HOUR;
      told.push(`${hours}: ${event.kind === "expired" ? "expired" : event.check.kind} ${event.exception.domain}`);
    },
  });
  t.after(() => {
    watch.stop();
    mock.timers.reset();
  });
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 20; i += 1) await Promise.resolve();
  };
  const pass = async (hours: number): Promise<void> => {
    for (let i = 0; i < hours; i += 1) {
      mock.timers.tick(HOUR);
      await settle();
    }
  };
  return { watch, told, events, settle, pass };
}

test("checked at the start and 72 hours before the end, and its end is told, each once", async (t) => {
  const { watch, told, settle, pass } = scene(t);
  watch.watch([exception("a.example", 200)]);
  await settle();
  assert.deepEqual(told, ["0: met a.example"]);
  await pass(400);
  assert.deepEqual(told, ["0: met a.example", "128: met a.example", "200: expired a.example"]);
});

test("an exception for months outlives the longest timer", async (t) => {
  const { watch, told, settle, pass } = scene(t);
  watch.watch([exception("a.example", 24 * 60)]);
  await settle();
  await pass(24 * 61);
  assert.deepEqual(told, ["0: met a.example", `${24 * 57}: met a.example`, `${24 * 60}: expired a.example`]);
});

test("within the last 72 hours one check is enough; an expired one is told at the start and never checked", async (t) => {
  const { watch, told, settle, pass } = scene(t);
  watch.watch([exception("soon.example", 10), exception("over.example", -1)]);
  await settle();
  assert.deepEqual(told, ["0: met soon.example", "0: expired over.example"]);
  await pass(11);
  assert.deepEqual(told.slice(2), ["10: expired soon.example"]);
});

test("what is not relaxed is no exception", async (t) => {
  const { watch, told, settle } = scene(t);
  const policies: TlsPolicySetting[] = [
    { domain: "a.example", level: "dane-only" },
    { domain: "b.example", level: "dane", expiresAt: START + HOUR },
  ];
  assert.deepEqual(exceptionsOf(policies), []);
  watch.watch(policies);
  await settle();
  assert.deepEqual(told, []);
});

test("a reload: what is new is checked, what was told is not told again, what is gone is forgotten", async (t) => {
  const { watch, told, settle, pass } = scene(t);
  watch.watch([exception("a.example", 100), exception("b.example", 100)]);
  await settle();
  watch.watch([exception("b.example", 100), exception("c.example", 100)]);
  await settle();
  assert.deepEqual(told, ["0: met a.example", "0: met b.example", "0: met c.example"]);
  await pass(101);
  assert.deepEqual(told.slice(3), ["28: met b.example", "28: met c.example", "100: expired b.example", "100: expired c.example"]);
});

test("a pattern is not asked for; a check that breaks ends nothing", async (t) => {
  const { watch, told, settle } = scene(t, (domain) =>
    domain === "a.example" ? Promise.reject(new Error("bug")) : Promise.resolve({ kind: "unmet", text: "no match" }),
  );
  watch.watch([exception(".x.example", 100), exception("a.example", 100), exception("b.example", 100)]);
  await settle();
  assert.deepEqual(told, ["0: undecided .x.example", "0: undecided a.example", "0: unmet b.example"]);
});

test("after stop nothing is told, not even of a check under way", async (t) => {
  const under = Promise.withResolvers<DomainCheck>();
  const { watch, told, settle } = scene(t, () => under.promise);
  watch.watch([exception("a.example", 100)]);
  await settle();
  watch.stop();
  under.resolve({ kind: "met", text: "late" });
  await settle();
  assert.deepEqual(told, []);
});

test("the words: what, until when, why, and what to do", () => {
  const [of] = exceptionsOf([exception("a.example", 72)]);
  assert.ok(of !== undefined);
  const texts = [
    exceptionText({ kind: "expired", exception: of }),
    ...(["met", "unmet", "undecided"] as const).map((kind) =>
      exceptionText({ kind: "checked", exception: of, check: { kind, text: "mx1 does x" } }),
    ),
  ];
  assert.deepEqual(texts, [
    "the exception for a.example (may) expired at 2026-11-23T00:00:00.000Z and counts no more: remove it; its reason was: ticket 1",
    "the exception for a.example (may) until 2026-11-23T00:00:00.000Z is not needed any more: mx1 does x: remove it; its reason was: ticket 1",
    "the exception for a.example (may) until 2026-11-23T00:00:00.000Z is still needed: without it mail would wait, since mx1 does x; its reason was: ticket 1",
    "whether the exception for a.example (may) until 2026-11-23T00:00:00.000Z is still needed cannot be told now: mx1 does x; its reason was: ticket 1",
  ]);
});

test("an exception counts until its end, and not a moment longer; the message may still ask", () => {
  const settings = { tlsPolicies: [exception("a.example", 1)], tlsRequiredNo: "honour" } as const;
  const envelope = { id: "1", sender: "", acceptedAt: 0, smtpUtf8: false, eightBitMime: false, size: 0 };
  const asks = (requireTls: boolean, tlsRequiredNo: boolean) => ({
    destination: "a.example",
    envelope: { ...envelope, requireTls, tlsRequiredNo },
  });
  const end = START + HOUR;
  const unspecified = { level: "may", levelFrom: "operator", messageTls: "unspecified" } as const;
  assert.deepEqual(demandOf(asks(false, false), settings, end - 1), unspecified);
  assert.deepEqual(demandOf(asks(false, false), settings, end), { ...unspecified, level: "dane", levelFrom: "default" });
  assert.deepEqual(demandOf(asks(true, false), settings, end - 1), { ...unspecified, messageTls: "required" });
  assert.deepEqual(demandOf(asks(false, true), settings, end - 1), { ...unspecified, messageTls: "not-required" });
  assert.deepEqual(demandOf(asks(false, true), { ...settings, tlsRequiredNo: "ignore" }, end - 1), unspecified);
});
