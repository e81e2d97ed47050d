import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { systemClock, systemRandom } from "../../src/clock.ts";
import type { Outcome } from "../../src/policy/disposition.ts";
import type { RecipientRequest } from "../../src/spool/message.ts";
import { PostgresConnection } from "../../src/spool/postgresConnection.ts";
import { FIRST_FUNCTIONS } from "../../src/spool/postgresFunctions.ts";
import { PostgresFold } from "../../src/spool/postgresStatistics.ts";
import { openPostgresStore } from "../../src/spool/postgresStore.ts";
import { FIRST_TABLES } from "../../src/spool/postgresTables.ts";
import type { AdministeredStore } from "../../src/spool/queueAdmin.ts";
import { startPostgres } from "../lab/postgresServer.ts";

/** The tally of the shared queue is what a count of the queue would be, whoever changes it, before and after it is folded, and after an upgrade. */
const T0 = 1_700_000_000_000;
const postgres = await startPostgres("127.136.10.1", "memory");
after(() => postgres.stop());
beforeEach(() => postgres.clear());

function open(): Promise<AdministeredStore> {
  const settings = { server: postgres.server, maxConnections: 4, leaseSeconds: 30, clock: systemClock, random: systemRandom };
  return openPostgresStore({ ...settings, onNotice: () => undefined });
}

async function withStores(count: number, run: (stores: readonly AdministeredStore[]) => Promise<void>): Promise<void> {
  const stores = await Promise.all(Array.from({ length: count }, open));
  try {
    await run(stores);
  } finally {
    await Promise.all(stores.map((store) => store.close()));
  }
}

async function put(store: AdministeredStore, number: number): Promise<void> {
  const flags = { smtpUtf8: false, eightBitMime: false, requireTls: false, tlsRequiredNo: false };
  const recipient = (local: string, domain: number): RecipientRequest => ({
    address: `${local}${number}@d${domain}.example`,
    destination: `d${domain}.example`,
  });
  const recipients = [recipient("x", number % 3), recipient("y", number % 3), recipient("z", number % 5)] as const;
  const envelope = { id: `M${number}`, sender: "a@b.example", acceptedAt: T0 + number, size: 0, ...flags };
  await store.add({ envelope, recipients }, Buffer.from("x"));
}

function deferredBy(text: string): Outcome {
  return { kind: "deferred", status: "4.4.1", cause: { kind: "connect", text } };
}

const delivered: Outcome = { kind: "delivered", reply: { code: 250, lines: ["ok"] }, security: { tls: "none", dane: "no-tlsa" } };

/** Takes some works and settles each recipient in the way of its number. */
async function attempt(store: AdministeredStore, turn: number): Promise<void> {
  const works = await store.claim({ now: Date.now(), limit: 15, exclude: new Set() });
  for (const [place, work] of works.entries()) {
    const settled = work.recipients.map(({ index, address }) => {
      const way = (turn + place + index) % 4;
      if (way === 0) return { index, outcome: delivered };
      const outcome = deferredBy(way === 1 ? `<${address}> is greylisted` : `reason ${way}`);
      return { index, outcome, nextAttemptAt: Date.now() };
    });
    await store.settle(work, settled, []);
  }
}

const RECOUNT = `SELECT destination, reason, sum(r.works)::int AS works, count(*)::int AS entries, sum(r.recipients)::int AS recipients
  FROM dane_relay.work CROSS JOIN LATERAL dane_relay.reasons(work.recipients) r GROUP BY 1, 2 ORDER BY 1, 2`;
const TALLY = `SELECT destination, reason, sum(works)::int AS works, sum(entries)::int AS entries, sum(recipients)::int AS recipients
  FROM (SELECT * FROM dane_relay.tally WHERE reason <> '' AND destination <> '' UNION ALL SELECT * FROM dane_relay.tally_change) c GROUP BY 1, 2 HAVING sum(recipients) <> 0 ORDER BY 1, 2`;

/** The sums of each destination and each reason, where there is nothing left to fold. */
const SUMS = `SELECT destination, reason, works::int, entries::int, recipients::int FROM dane_relay.tally WHERE '' IN (destination, reason) ORDER BY 1, 2`;
const SUMMED = `SELECT coalesce(destination, '') AS destination, coalesce(reason, '') AS reason, sum(works)::int AS works, sum(entries)::int AS entries,
  sum(recipients)::int AS recipients FROM (${RECOUNT}) r GROUP BY GROUPING SETS ((destination), (reason)) ORDER BY 1, 2`;

async function requireExact(when: string): Promise<void> {
  const [tally, recount] = [await postgres.query(TALLY), await postgres.query(RECOUNT)];
  assert.deepEqual(tally, recount, when);
}

async function fold(): Promise<void> {
  const connection = new PostgresConnection(postgres.server, { maxConnections: 1 });
  try {
    await new PostgresFold(connection).fold();
  } finally {
    await connection.close();
  }
}

test("three replicas store, settle, hold and delete: the tally is the count, and folding changes nothing of it", async () => {
  await withStores(3, async (stores) => {
    const [first] = stores;
    assert.ok(first !== undefined);
    for (let turn = 0; turn < 6; turn += 1) {
      const each = stores.map(async (store, replica) => {
        for (let number = 0; number < 10; number += 1) await put(store, turn * 100 + replica * 10 + number);
        await Promise.all([attempt(store, turn), fold()]);
      });
      await Promise.all(each);
      await first.queueAdmin.act("hold", { domain: "d1.example" });
      await first.queueAdmin.act("release", { domain: "d1.example" });
      await first.queueAdmin.act("delete", { domain: "d4.example" });
      await requireExact(`turn ${turn}`);
    }
    const before = await first.queueAdmin.statistics("reason", 20);
    assert.ok(
      before.some(({ key }) => key === "*@d1.example is greylisted"),
      JSON.stringify(before),
    );
    await fold();
    assert.deepEqual(await postgres.query("SELECT * FROM dane_relay.tally_change"), []);
    await requireExact("folded");
    assert.deepEqual(await postgres.query(SUMS), await postgres.query(SUMMED));
    assert.deepEqual(await first.queueAdmin.statistics("reason", 20), before);
    await first.queueAdmin.act("delete", {});
    assert.deepEqual(await first.queueAdmin.statistics("destination", 20), []);
    await fold();
    assert.deepEqual(await postgres.query("SELECT * FROM dane_relay.tally"), [], "what is nowhere any more takes no row");
  });
});

/** A recipient as the first release wrote it: without the group of its reason. */
function asBefore(address: string, cause?: string): object {
  const outcome =
    cause === undefined ? {} : { lastOutcome: { kind: "deferred", status: "4.2.0", cause: { kind: "reply", text: cause } } };
  const destination = address.replace(/^.*@/, "");
  return { address, destination, index: 0, attempts: cause === undefined ? 0 : 1, delayWarned: false, due: T0, ...outcome };
}

async function storeAsBefore(id: string, recipient: object & { destination?: string }): Promise<void> {
  const works = JSON.stringify([{ destination: recipient.destination, due: T0, recipients: [recipient] }]);
  await postgres.query(
    `SET search_path = dane_relay; SELECT store('${id}', 's@s.example', ${T0}, 0, NULL, NULL, 1, 0, NULL, 'x', '${works}'::jsonb)`,
  );
}

test("a reason that only young entries have, behind many older ones", async () => {
  await withStores(1, async ([store]) => {
    assert.ok(store !== undefined);
    await postgres.query(`SET search_path = dane_relay;
      INSERT INTO message (id, sender, accepted_at, flags, size, checksum, content)
        SELECT 'M' || lpad(i::text, 9, '0'), 's@s.example', i, 0, 1, 0, 'x' FROM generate_series(1, 3001) AS i;
      INSERT INTO work (message, destination, due, recipients) SELECT seq, 'd' || (accepted_at / 1000) || '.example', accepted_at,
        jsonb_build_array(jsonb_build_object('address', 'u@d.example', 'group', CASE WHEN accepted_at > 2500 THEN 'young' ELSE 'old' END)) FROM message`);
    for (const folded of [false, true]) {
      if (folded) await fold();
      assert.deepEqual(await store.queueAdmin.statistics("reason", 9), [
        { key: "old", messages: 2500, recipients: 2500, oldestAcceptedAt: 1 },
        { key: "young", messages: 501, recipients: 501, oldestAcceptedAt: 2000 },
      ]);
    }
  });
});

test("a queue of schema 1 is counted when it is upgraded, and what a replica of that release still does", async () => {
  await postgres.query(`CREATE SCHEMA dane_relay; SET search_path = dane_relay;
    CREATE TABLE schema_version (one integer PRIMARY KEY CHECK (one = 1), version integer NOT NULL); INSERT INTO schema_version VALUES (1, 1);
    ${FIRST_TABLES}${FIRST_FUNCTIONS}`);
  for (const number of [1, 2, 3])
    await storeAsBefore(`OLD${number}`, asBefore(`u${number}@a.example`, `<u${number}@a.example> is greylisted`));
  await storeAsBefore("OLD4", asBefore("u@b.example"));
  await withStores(2, async ([store]) => {
    assert.ok(store !== undefined);
    await requireExact("upgraded");
    await storeAsBefore("OLD5", asBefore("u5@a.example", "<u5@a.example> is greylisted"));
    await requireExact("after an old replica stored");
    assert.deepEqual(await store.queueAdmin.statistics("reason", 9), [
      { key: "*@a.example is greylisted", messages: 4, recipients: 4, oldestAcceptedAt: T0 },
      { key: "not tried yet", messages: 1, recipients: 1, oldestAcceptedAt: T0 },
    ]);
    assert.deepEqual(await store.queueAdmin.statistics("destination", 1), [
      { key: "a.example", messages: 4, recipients: 4, oldestAcceptedAt: T0, reason: "*@a.example is greylisted" },
    ]);
    assert.deepEqual(await postgres.query("SELECT version FROM dane_relay.schema_version"), [{ version: 2 }]);
    assert.equal((await store.claim({ now: Date.now(), limit: 9, exclude: new Set() })).length, 5);
  });
});
