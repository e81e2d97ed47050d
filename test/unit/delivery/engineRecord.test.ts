import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock, systemRandom } from "../../../src/clock.ts";
import { DeliveryEngine, type DeliveryModuleEvent, type DeliveryOptions } from "../../../src/delivery/engine.ts";
import { name } from "../../../src/dns/name.ts";
import type { NewMessage, Settled, Work } from "../../../src/spool/message.ts";
import type { Store } from "../../../src/spool/store.ts";
import { TrustedRoots } from "../../../src/x509/serverIdentity.ts";
import { FakeResolver } from "../../fake/resolver.ts";

/** What became of a message is recorded, whatever goes wrong with telling its sender. */
type Record = { settled: readonly Settled[]; notices: number };

/** One message to a domain that does not exist: it fails, and its sender is to be told. */
const CONTENT = Buffer.from("Subject: x\r\n\r\nx\r\n");
const WORK: Work = {
  envelope: {
    id: "M1",
    sender: "sender@relay.example",
    acceptedAt: Date.now(),
    smtpUtf8: false,
    eightBitMime: false,
    requireTls: false,
    tlsRequiredNo: false,
    size: CONTENT.length,
  },
  destination: "nowhere.example",
  recipients: [{ address: "user@nowhere.example", destination: "nowhere.example", index: 0, attempts: 0, delayWarned: false }],
  content: CONTENT,
};

async function played(
  changes: Partial<DeliveryOptions>,
  settle: (record: Record) => void = () => undefined,
  work: Work = WORK,
): Promise<{ records: readonly Record[]; troubles: readonly string[]; events: readonly DeliveryModuleEvent[] }> {
  const records: Record[] = [];
  const events: DeliveryModuleEvent[] = [];
  const waiting = [work];
  const ended = Promise.withResolvers<void>();
  const store: Partial<Store> = {
    claim: () => Promise.resolve(waiting.splice(0)),
    nextDueAt: () => Promise.resolve(undefined),
    onWork: () => undefined,
    settle: (_work, settled, generated: readonly { message: NewMessage }[]) => {
      const record = { settled, notices: generated.length };
      records.push(record);
      try {
        settle(record);
        return Promise.resolve();
      } catch (error) {
        return Promise.reject(error);
      }
    },
  };
  const engine = new DeliveryEngine({
    settings: {
      hostname: name("relay.example"),
      port: 25,
      insecureMx: "dane",
      allowLoopback: true,
      tlsPolicies: [],
      tlsRequiredNo: "honour",
      routes: [],
      sourceAddresses: [],
      timeouts: { connectSeconds: 1, commandSeconds: 1 },
      retry: { initialSeconds: 60, maximumSeconds: 60, lifetimeHours: 1, delayWarningHours: 1 },
      maxConnections: 1,
      maxConnectionsPerDestination: 1,
      rates: [],
      drain: "transactions",
      drainSeconds: 1,
    },
    resolver: new FakeResolver({ MX: { "nowhere.example": { status: "insecure", absent: "nxdomain" } } }),
    stsPolicyFor: () => Promise.resolve({ kind: "none", because: "off" }),
    trustedRoots: () => new TrustedRoots([]),
    store: store as Store,
    clock: systemClock,
    random: systemRandom,
    newId: () => "N1",
    onEvent: (event) => {
      events.push(event);
      if (event.kind === "ended") ended.resolve();
    },
    ...changes,
  });
  engine.start();
  await ended.promise;
  await engine.stop();
  const troubles = events.flatMap((event) => (event.kind === "trouble" ? [String(event.error)] : []));
  return { records, troubles, events };
}

const outcomes = (records: readonly Record[]): unknown =>
  records.map(({ settled, notices }) => [settled.map(({ outcome }) => outcome.kind), notices]);

test("a failure is recorded with its notice", async () => {
  const { records, troubles, events } = await played({});
  assert.deepEqual(outcomes(records), [[["failed"], 1]]);
  assert.deepEqual(troubles, []);
  assert.ok(events.some(({ kind }) => kind === "notice"));
});

test("a notice that cannot be composed: recorded without, and the trouble says who has not been told", async () => {
  const newId = (): never => {
    throw new Error("no id");
  };
  const { records, troubles } = await played({ newId });
  assert.deepEqual(outcomes(records), [[["failed"], 0]]);
  assert.deepEqual(troubles, ["Error: <sender@relay.example> was not told that message M1 to nowhere.example is failed: no id"]);
});

test("a notice that the store does not take: recorded without", async () => {
  const { records, troubles, events } = await played({}, ({ notices }) => {
    if (notices > 0) throw new Error("constraint");
  });
  assert.deepEqual(outcomes(records), [
    [["failed"], 1],
    [["failed"], 0],
  ]);
  assert.match(troubles.join(), /was not told .* constraint$/);
  assert.ok(!events.some(({ kind }) => kind === "notice"));
});

test("a settlement that throws: outcomes are recorded as they are", async () => {
  const broken = { ...WORK.recipients[0], notify: 1 as never };
  const { records, troubles } = await played({}, () => undefined, { ...WORK, recipients: [broken] });
  assert.deepEqual(outcomes(records), [[["failed"], 0]]);
  assert.match(troubles.join(), /includes is not a function/);
});

test("a notice without the original, where that is not what was accepted", async () => {
  const { records, troubles } = await played({}, () => undefined, { ...WORK, content: CONTENT.subarray(1) });
  assert.deepEqual(outcomes(records), [[["failed"], 1]]);
  assert.deepEqual(troubles, [`Error: message M1 has ${CONTENT.length - 1} octets of ${CONTENT.length} in the queue`]);
});

/** A message whose domain cannot be looked up: by its age at the start, and what passes before its attempt ends, on the wall and in truth. */
const HOUR = 3_600_000;
const AGES: readonly { title: string; atStart: number; wall: number; truth: number; expect: [string, number] }[] = [
  { title: "its lifetime passed in this process", atStart: 0, wall: 2, truth: 2, expect: ["failed", 1] },
  { title: "a clock that is set forward ends no lifetime", atStart: 0, wall: 240, truth: 0, expect: ["deferred", 0] },
  {
    title: "mail of an earlier run is not given up right after the start",
    atStart: 240,
    wall: 0,
    truth: 0,
    expect: ["deferred", 1],
  },
  { title: "mail of an earlier run, later", atStart: 240, wall: 1, truth: 1, expect: ["failed", 1] },
];
for (const {
  title,
  atStart,
  wall,
  truth,
  expect: [kind, notices],
} of AGES) {
  test(`${title}: ${kind}`, async () => {
    const passed = { wall: 0, truth: 0 };
    const start = WORK.envelope.acceptedAt + atStart * HOUR;
    const clock = { now: () => start + passed.wall * HOUR, monotonic: () => passed.truth * HOUR };
    class Slow extends FakeResolver {
      override resolve: FakeResolver["resolve"] = (owner, type) => {
        Object.assign(passed, { wall, truth });
        return super.resolve(owner, type);
      };
    }
    const { records } = await played({ clock, resolver: new Slow({ MX: { "nowhere.example": { status: "fail" } } }) });
    assert.deepEqual(outcomes(records), [[[kind], notices]]);
  });
}
