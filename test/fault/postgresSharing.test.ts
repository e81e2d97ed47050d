import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { systemClock, systemRandom } from "../../src/clock.ts";
import type { Outcome } from "../../src/policy/disposition.ts";
import type { Envelope, RecipientRequest, Work } from "../../src/spool/message.ts";
import { PostgresBodies } from "../../src/spool/postgresBody.ts";
import { PostgresConnection, type PostgresServer } from "../../src/spool/postgresConnection.ts";
import { openPostgresStore, type PostgresStoreOptions } from "../../src/spool/postgresStore.ts";
import type { AdministeredStore } from "../../src/spool/queueAdmin.ts";
import { StoreError } from "../../src/spool/store.ts";
import { ipName, makeAuthority, makeLeaf } from "../fake/certificates.ts";
import { startPostgres } from "../lab/postgresServer.ts";
import { startNetworkCut } from "./networkCut.ts";

/** What several replicas do to each other on one queue, and what a bad server or a bad connection does to one. */
const BLOCK = "127.114.3";
const T0 = 1_700_000_000_000;
const postgres = await startPostgres(`${BLOCK}.1`, "memory");
after(() => postgres.stop());
beforeEach(() => postgres.clear());

const NONE: ReadonlySet<string> = new Set();
const delivered: Outcome = {
  kind: "delivered",
  reply: { code: 250, lines: ["ok"] },
  security: { tls: "dane", dane: "authenticated" },
};
const deferred: Outcome = { kind: "deferred", status: "4.4.1", cause: { kind: "connect", text: "refused\0\ud800" } };
const failed: Outcome = { kind: "failed", status: "5.1.1", cause: { kind: "reply", text: "no such user" } };

function open(options: Partial<PostgresStoreOptions> = {}): Promise<AdministeredStore> {
  const settings = { server: postgres.server, maxConnections: 4, leaseSeconds: 30, clock: systemClock, random: systemRandom };
  return openPostgresStore({ ...settings, onNotice: () => undefined, ...options });
}

async function withReplicas(count: number, run: (replicas: AdministeredStore[]) => Promise<void>): Promise<void> {
  // All at once: one makes the tables, the others wait for it.
  const replicas = await Promise.all(Array.from({ length: count }, () => open()));
  try {
    await run(replicas);
  } finally {
    await Promise.all(replicas.map((replica) => replica.close()));
  }
}

function envelope(id: string): Envelope {
  const flags = { smtpUtf8: false, eightBitMime: false, requireTls: false, tlsRequiredNo: false };
  return { id, sender: "a@sender.example", acceptedAt: T0, size: 0, ...flags };
}

function put(store: AdministeredStore, id: string, ...addresses: readonly [string, ...string[]]): Promise<void> {
  const recipients = addresses.map((address): RecipientRequest => ({ address, destination: address.replace(/^.*@/, "") }));
  const [first, ...rest] = recipients;
  assert.ok(first !== undefined);
  return store.add({ envelope: envelope(id), recipients: [first, ...rest] }, Buffer.from(`content of ${id}\r\n`));
}

function claim(store: AdministeredStore, destinationLimit = 1000): Promise<readonly Work[]> {
  return store.claim({ now: T0 * 2, limit: 100, exclude: NONE, destinationLimit });
}

async function claimOne(store: AdministeredStore): Promise<Work> {
  // What another replica stored is found at the next look.
  await store.queueAdmin.act("retry", {});
  const [work, ...others] = await claim(store);
  assert.ok(work !== undefined && others.length === 0, "exactly one work is due");
  return work;
}

/** `lost` was not heard of for as long as its lease; `survivor` buries it. */
async function bury(survivor: AdministeredStore): Promise<void> {
  await postgres.query("ALTER SYSTEM RESET ALL");
  await postgres.query(
    "UPDATE dane_relay.replica SET until = clock_timestamp() - interval '1 s' WHERE id = (SELECT min(owner) FROM dane_relay.lease)",
  );
  assert.equal((await survivor.health()).kind, "writable");
}

test("no work is claimed twice, and a destination's limit is that of all replicas", async () => {
  await withReplicas(3, async (replicas) => {
    const [first] = replicas;
    assert.ok(first !== undefined);
    await Promise.all(Array.from({ length: 60 }, (_, i) => put(first, `M${i}`, `x@d${i % 2}.example`)));
    for (const replica of replicas) await replica.queueAdmin.act("retry", {});
    const claimed: Work[] = [];
    for (let round = 0; round < 5; round += 1) {
      const works = (await Promise.all(replicas.map((replica) => claim(replica, 7)))).flat();
      claimed.push(...works);
    }
    const ids = claimed.map(({ envelope: { id } }) => id);
    assert.equal(new Set(ids).size, ids.length);
    for (const destination of ["d0.example", "d1.example"]) {
      assert.equal(claimed.filter((work) => work.destination === destination).length, 7, destination);
    }
  });
});

test("a lost lease: the work is another's, and what the loser delivered all the same is not sent again", async () => {
  await withReplicas(2, async ([loser, other]) => {
    assert.ok(loser !== undefined && other !== undefined);
    await put(loser, "M1", "x@a.example", "y@a.example");
    const old = await claimOne(loser);
    assert.equal(await loser.holds?.(old), "held");
    await bury(other);
    assert.equal(await loser.holds?.(old), "lost");
    const taken = await claimOne(other);
    assert.equal(await other.holds?.(taken), "held");
    await loser.settle(
      old,
      [
        { index: 0, outcome: delivered },
        { index: 1, outcome: deferred, nextAttemptAt: T0 + 1 },
      ],
      [],
    );
    assert.equal(await other.holds?.(taken), "lost");
    const again = { outcome: deferred, nextAttemptAt: T0 * 3 };
    await other.settle(
      taken,
      [0, 1].map((index) => ({ index, ...again })),
      [],
    );
    const last = await claimOne(other);
    assert.deepEqual(
      last.recipients.map(({ address, attempts }) => [address, attempts]),
      [["y@a.example", 0]],
    );
    await other.settle(last, [{ index: 1, outcome: delivered }], []);
    assert.equal(await other.queueAdmin.show("M1"), undefined);
  });
});

test("after the database was away for longer than the leases, nobody is buried who is heard of again", async () => {
  await withReplicas(2, async ([one, other]) => {
    assert.ok(one !== undefined && other !== undefined);
    await put(one, "M1", "x@a.example");
    const work = await claimOne(one);
    await postgres.query("UPDATE dane_relay.replica SET until = clock_timestamp() - interval '1 s'");
    assert.equal((await other.health()).kind, "writable");
    assert.equal(await one.holds?.(work), "held");
    assert.equal((await other.health()).kind, "writable");
    assert.equal(await one.holds?.(work), "held");
  });
});

test("a lost lease: a failure and its notice are left to the new owner", async () => {
  await withReplicas(2, async ([loser, other]) => {
    assert.ok(loser !== undefined && other !== undefined);
    await put(loser, "M1", "x@a.example");
    const old = await claimOne(loser);
    await bury(other);
    const taken = await claimOne(other);
    const message = { envelope: envelope("D1"), recipients: [{ address: "a@s.example", destination: "s.example" }] as const };
    await loser.settle(old, [{ index: 0, outcome: failed }], [{ message, content: Buffer.alloc(300_000, "n") }]);
    assert.equal(await other.holds?.(taken), "held");
    await other.settle(taken, [{ index: 0, outcome: deferred, nextAttemptAt: T0 * 3 }], []);
    assert.deepEqual(await other.counts(), { incoming: 0, active: 0, deferred: 1, held: 0, oldestAcceptedAt: T0 });
    assert.deepEqual(await postgres.query("SELECT id FROM dane_relay.body"), []);
    // The loser lives on under a new number.
    assert.equal((await claimOne(loser)).envelope.id, "M1");
  });
});

test("a connection that breaks while a message is committed: the message is there, once, and the client has its 250", async () => {
  const network = await startNetworkCut(`${BLOCK}.2`, postgres.server);
  const store = await open({ server: { ...postgres.server, host: network.address, port: network.port } });
  try {
    await put(store, "M1", "x@a.example");
    network.swallowAnswer();
    await put(store, "M2", "x@a.example");
    assert.deepEqual(await postgres.query("SELECT id FROM dane_relay.message ORDER BY id"), [{ id: "M1" }, { id: "M2" }]);
    const works = await claim(store);
    const [first, second] = works;
    assert.ok(first !== undefined && second !== undefined);
    network.swallowAnswer();
    await store.settle(first, [{ index: 0, outcome: delivered }], []);
    network.swallowAnswer();
    await store.settle(second, [{ index: 0, outcome: deferred, nextAttemptAt: T0 * 2 }], []);
    const work = await claimOne(store);
    assert.deepEqual([work.envelope.id, work.recipients[0].attempts], [second.envelope.id, 1]);
  } finally {
    await store.close();
    await network.close();
  }
});

test("a claim whose answer is lost comes back", async () => {
  const network = await startNetworkCut(`${BLOCK}.2`, postgres.server);
  const store = await open({ server: { ...postgres.server, host: network.address, port: network.port } });
  try {
    await put(store, "M1", "x@a.example");
    network.swallowAnswer();
    await assert.rejects(claim(store), StoreError);
    assert.equal((await store.health()).kind, "writable");
    assert.equal((await claimOne(store)).envelope.id, "M1");
  } finally {
    await store.close();
    await network.close();
  }
});

test("content in chunks: in the database in pieces, checked, gone with its message", async () => {
  await withReplicas(1, async ([store]) => {
    assert.ok(store !== undefined);
    const content = Buffer.from(Array.from({ length: 1_500_000 }, (_, i) => (i * 7 + (i >> 9)) & 0xff));
    const writer = store.begin();
    for (let at = 0; at < content.length; at += 10_000) await writer.write(Buffer.from(content.subarray(at, at + 10_000)));
    const { size: _, ...rest } = envelope("M1");
    await writer.commit(rest, [{ address: "x@a.example", destination: "a.example" }]);
    const pieces = await postgres.query("SELECT max(length(bytes)) AS most, count(*)::integer AS n FROM dane_relay.chunk");
    assert.ok(Number(pieces[0]?.n) > 4 && Number(pieces[0]?.most) <= 256 * 1024, JSON.stringify(pieces));
    const work = await claimOne(store);
    const read: Buffer[] = [];
    for await (const piece of store.content("M1")) read.push(piece);
    assert.ok(Buffer.concat(read).equals(content));
    await postgres.query("UPDATE dane_relay.chunk SET bytes = set_byte(bytes, 5, 255 - get_byte(bytes, 5)) WHERE number = 2");
    await assert.rejects(async () => {
      for await (const piece of store.content("M1")) assert.ok(piece.length > 0);
    }, /is not what was stored/);
    await store.settle(work, [{ index: 0, outcome: delivered }], []);
    assert.deepEqual(await postgres.query("SELECT body FROM dane_relay.chunk"), []);
  });
});

test("content that nobody goes on with is swept, and whoever comes back to it is told", async () => {
  await withReplicas(1, async ([store]) => {
    assert.ok(store !== undefined);
    const writer = store.begin();
    await writer.write(Buffer.alloc(300_000, "x"));
    await postgres.query("UPDATE dane_relay.body SET touched = touched - interval '2 hours'");
    const connection = new PostgresConnection(postgres.server, { maxConnections: 1 });
    await new PostgresBodies(connection).sweep();
    await connection.close();
    assert.deepEqual(await postgres.query("SELECT id FROM dane_relay.body"), []);
    await assert.rejects(writer.write(Buffer.alloc(300_000, "x")), /given up/);
  });
});

const SERVERS: readonly { name: string; sql: string; refused?: RegExp; notice?: RegExp }[] = [
  { name: "fsync off", sql: "ALTER SYSTEM SET fsync = off", refused: /fsync is off/ },
  { name: "full_page_writes off", sql: "ALTER SYSTEM SET full_page_writes = off", notice: /full_page_writes is off/ },
  { name: "read-only", sql: "ALTER SYSTEM SET default_transaction_read_only = on", refused: /read-only/ },
  { name: "synchronous_commit off, which the session overrules", sql: "ALTER SYSTEM SET synchronous_commit = off" },
];

for (const { name, sql, refused, notice } of SERVERS) {
  test(`a server with ${name}`, async () => {
    await postgres.query(sql);
    await postgres.query("SELECT pg_reload_conf()");
    try {
      const notices: string[] = [];
      const opening = open({ onNotice: (text) => notices.push(text) });
      if (refused !== undefined) {
        await assert.rejects(opening, (error) => error instanceof StoreError && refused.test(error.message));
        return;
      }
      await (await opening).close();
      assert.equal(notices.length, notice === undefined ? 0 : 1);
      if (notice !== undefined) assert.match(notices[0] ?? "", notice);
    } finally {
      await postgres.query("ALTER SYSTEM RESET ALL");
      await postgres.query("SELECT pg_reload_conf()");
    }
  });
}

test("a schema of a newer release is refused, and a database that is not there is told of without its password", async () => {
  await (await open()).close();
  await postgres.query("UPDATE dane_relay.schema_version SET version = 99");
  await assert.rejects(open(), /newer release \(schema 99/);
  const nowhere = { ...postgres.server, port: 9 };
  await assert.rejects(open({ server: nowhere }), (error) => {
    assert.ok(error instanceof StoreError && error.kind === "io");
    assert.match(error.message, /postgres:\/\/127\.114\.3\.1:9\/postgres/);
    assert.ok(!error.message.includes(postgres.server.password ?? "?"));
    return true;
  });
});

test("TLS to the database: the server's certificate is verified, and its name", async () => {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-database-ca-"));
  try {
    const authority = makeAuthority({ commonName: "Database CA" });
    const leaf = makeLeaf({ issuer: authority, generalNames: [ipName([127, 114, 3, 1])] });
    const caFile = join(directory, "ca.pem");
    const otherCaFile = join(directory, "other.pem");
    writeFileSync(caFile, authority.certificatePem);
    writeFileSync(otherCaFile, makeAuthority({ commonName: "Another CA" }).certificatePem);
    const secured = (file: string, host = postgres.server.host): PostgresServer => {
      return { ...postgres.server, host, tls: { mode: "verify-full", caFile: file } };
    };
    await assert.rejects(open({ server: secured(caFile) }), /does not support SSL/);
    await postgres.secure(leaf.certificatePem, leaf.keyPem);
    const sessions =
      "SELECT count(*)::integer AS n FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name = 'dane-relay'";
    const store = await open({ server: secured(caFile) });
    assert.ok(Number((await postgres.query(sessions))[0]?.n) > 0);
    await store.close();
    await assert.rejects(
      open({ server: secured(otherCaFile) }),
      (error) => error instanceof StoreError && /certificate/.test(error.message),
    );
    const network = await startNetworkCut(`${BLOCK}.2`, postgres.server);
    try {
      const elsewhere = { ...secured(caFile, network.address), port: network.port };
      await assert.rejects(open({ server: elsewhere }), /does not match certificate/);
    } finally {
      await network.close();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
