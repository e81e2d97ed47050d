import assert from "node:assert/strict";
import { test } from "node:test";
import { createLog, type DeliveryEvent, type LogEvent, type LogOptions, levelOf, maskAddress } from "../../../src/log.ts";

const DELIVERED: DeliveryEvent = {
  event: "delivery",
  id: "q1",
  recipient: "Bob@example.org",
  domain: "example.org",
  host: "mx.example.org",
  address: "192.0.2.1",
  attempt: 1,
  outcome: "delivered",
  tls: "dane",
  dane: "authenticated",
  dnssec: { mx: "secure", address: "secure", tlsa: "secure" },
  tlsa: "3 1 1 abcd",
  protocol: "TLSv1.3",
  cipher: "TLS_AES_256_GCM_SHA384",
  group: "X25519MLKEM768",
  reply: "250 2.0.0 ok",
  status: "2.0.0",
  seconds: 0.12,
};

/** The lines that `events` make. */
function lines(events: readonly LogEvent[], options: Partial<LogOptions> = {}): readonly string[] {
  const written: string[] = [];
  const log = createLog({
    level: "info",
    format: "json",
    recipients: "full",
    now: () => Date.UTC(2027, 0, 31),
    destination: { write: (line: string) => written.push(line) },
    ...options,
  });
  for (const event of events) log.event(event);
  return written;
}

test("json: level and time, then exactly the event, in one line", () => {
  const [line = "", ...rest] = lines([DELIVERED]);
  assert.deepEqual(rest, []);
  assert.equal(line, `${JSON.stringify({ level: "info", time: "2027-01-31T00:00:00.000Z", ...DELIVERED })}\n`);
});

test("json: line ends in what a peer said do not make lines", () => {
  const [line = ""] = lines([{ ...DELIVERED, reply: "250 a\r\n{}\u2028" }]);
  assert.equal(line.indexOf("\n"), line.length - 1);
});

test("text: one line for people, quoted where it must be", () => {
  const [line] = lines([{ ...DELIVERED, reason: 'a "b"\n c', dane: "mismatch" }], { format: "text" });
  assert.equal(
    line,
    "2027-01-31T00:00:00.000Z info delivery id=q1 recipient=Bob@example.org domain=example.org host=mx.example.org address=192.0.2.1 attempt=1 " +
      'outcome=delivered tls=dane dane=mismatch dnssec.mx=secure dnssec.address=secure dnssec.tlsa=secure tlsa="3 1 1 abcd" protocol=TLSv1.3 ' +
      'cipher=TLS_AES_256_GCM_SHA384 group=X25519MLKEM768 reply="250 2.0.0 ok" status=2.0.0 seconds=0.12 reason="a \\"b\\"\\n c"\n',
  );
});

const LEVELS: readonly { event: LogEvent; level: string }[] = [
  { event: DELIVERED, level: "info" },
  { event: { ...DELIVERED, outcome: "deferred", tls: "dane:noconnect" }, level: "info" },
  { event: { ...DELIVERED, outcome: "deferred", tls: "!dane:nocertmatch" }, level: "warn" },
  { event: { ...DELIVERED, outcome: "deferred", tls: "!dane?" }, level: "warn" },
  { event: { ...DELIVERED, outcome: "failed", tls: "may:none" }, level: "warn" },
  { event: { event: "accepted", id: "q", client: "192.0.2.1", sender: "", recipients: 1, bytes: 1 }, level: "info" },
  { event: { event: "bounce", id: "b", about: "q", action: "failed", recipient: "a@b", recipients: [] }, level: "info" },
  { event: { event: "dnssec", state: "validating", source: "forward", reason: "" }, level: "info" },
  {
    event: { event: "sts", state: "policy", domain: "example.org", mode: "enforce", id: "1", maxAgeSeconds: 60 },
    level: "info",
  },
  {
    event: {
      event: "sts",
      state: "failed",
      domain: "example.org",
      mode: "enforce",
      failure: "sts-policy-fetch-error",
      reason: "404",
    },
    level: "warn",
  },
  // RFC 8461 §10.2: no alert where the policy is being removed.
  {
    event: {
      event: "sts",
      state: "failed",
      domain: "example.org",
      mode: "none",
      failure: "sts-policy-fetch-error",
      reason: "404",
    },
    level: "info",
  },
  { event: { event: "sts", state: "trouble", reason: "disk full" }, level: "error" },
  { event: { event: "dnssec", state: "not-validating", source: "forward", reason: "stripped" }, level: "error" },
  { event: { event: "queue", state: "unwritable" }, level: "error" },
  { event: { event: "queue", state: "left-behind" }, level: "warn" },
  { event: { event: "queue", state: "ok" }, level: "info" },
  { event: { event: "stop", because: "signal" }, level: "info" },
  { event: { event: "stop", because: "failure" }, level: "error" },
  { event: { event: "config", key: "delivery.tlsPolicies", reason: "expired" }, level: "warn" },
  { event: { event: "start", version: "1", hostname: "h", listen: [], admin: "", spool: "", resolver: "auto" }, level: "info" },
];

test("levels: policy that held mail back is a warning, what an operator must act on an error; less is left out", () => {
  for (const { event, level } of LEVELS) assert.equal(levelOf(event), level, JSON.stringify(event));
  const errors = lines(
    LEVELS.map(({ event }) => event),
    { level: "error" },
  );
  assert.equal(errors.length, LEVELS.filter(({ level }) => level === "error").length);
});

const EVERYWHERE: readonly LogEvent[] = [
  {
    event: "accepted",
    id: "q",
    client: "192.0.2.1",
    sender: "alice@a.example",
    recipients: 2,
    bytes: 1,
  },
  {
    ...DELIVERED,
    outcome: "failed",
    recipient: '"b ob"@b.example',
    reply: '550 5.1.1 <"b ob"@b.example>: no such user (bob@b.example)',
    reason: "mx said: bob@[192.0.2.9] unknown",
  },
  {
    event: "bounce",
    id: "b",
    about: "q",
    action: "failed",
    recipient: "alice@a.example",
    recipients: ["bob@b.example", '"b ob"@b.example'],
  },
];

test("recipients: domain and hash leave no local part anywhere in a line", () => {
  for (const recipients of ["domain", "hash"] as const) {
    for (const format of ["json", "text"] as const) {
      for (const line of lines(EVERYWHERE, { recipients, format })) assert.doesNotMatch(line, /alice|bob|b ob/, line);
    }
  }
  const [, , bounce = ""] = lines(EVERYWHERE, { recipients: "domain" });
  assert.deepEqual(JSON.parse(bounce).recipients, ["*@b.example", "*@b.example"]);
  const [, delivery = ""] = lines(EVERYWHERE, { recipients: "hash" });
  assert.match(JSON.parse(delivery).reply, /^550 5\.1\.1 <[0-9a-f]{16}@b\.example>: no such user \([0-9a-f]{16}@b\.example\)$/);
});

test("recipients: the hash tells addresses apart and is the same each time; the null sender stays", () => {
  assert.equal(maskAddress("bob@b.example", "hash"), maskAddress("bob@b.example", "hash"));
  assert.notEqual(maskAddress("bob@b.example", "hash"), maskAddress("Bob@b.example", "hash"));
  assert.equal(maskAddress("", "hash"), "");
  assert.equal(maskAddress("", "domain"), "");
  assert.equal(maskAddress("postmaster", "domain"), "*");
  assert.equal(maskAddress('"a@b"@c.example', "domain"), "*@c.example");
});
