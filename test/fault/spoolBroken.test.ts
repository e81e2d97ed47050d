import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { SmtpClient } from "../fake/smtpClient.ts";
import { type Peer, startPeer } from "../fake/smtpPeer.ts";
import { withoutTrace } from "../fake/submissionServer.ts";
import { BrokenDisk, compileBrokenDisk, type Order } from "./brokenDisk.ts";
import { MortalRelay, type RelayPlan } from "./mortalRelay.ts";

/**
 * The disk fails below SQLite, in the middle of the relay's life: whoever is told 250 is told so of what a power cut leaves, others get 4yz and
 * nothing of theirs is sent; what was delivered meanwhile is recorded when the disk works again, and not sent twice; no hand is needed.
 */
const NETWORK = "127.136.1";
const PORT = 2525;
const PATIENCE_MILLISECONDS = 120_000;
/** Inline in the database, some thirty pages. */
const LARGE_OCTETS = 120_000;
const LARGE_BATCH = 20;
/** Their content is several times what the log takes before somebody looks after it. */
const LARGE_MESSAGES = 1000;

const library = ((): string => {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-library-"));
  after(() => rmSync(directory, { recursive: true, force: true }));
  return compileBrokenDisk(directory);
})();

function contentOf(token: string, octets = 0): string {
  return `Subject: ${token}\r\nDate: x\r\nMessage-ID: <${token}>\r\n\r\n${`${token} line\r\n`.repeat(1 + octets / (token.length + 7))}`;
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MILLISECONDS;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `not in time: ${what}`);
    await delay(20);
  }
}

/** One relay, its disk, and a receiver that keeps every reply to a content back until it is told to go on. */
class Rig {
  readonly disk: BrokenDisk;
  readonly acknowledged = new Set<string>();
  readonly refused = new Set<string>();
  readonly #plan: RelayPlan;
  readonly peer: Peer;
  #gate = Promise.withResolvers<void>();
  relay: MortalRelay;

  static async start(directory: string, place: number): Promise<Rig> {
    const gate: { rig?: Rig } = {};
    const peer = await startPeer({
      address: `${NETWORK}.${place + 1}`,
      port: PORT,
      replies: { CONTENT: () => ({ reply: "250 2.0.0 queued", until: gate.rig?.gate ?? Promise.resolve() }) },
    });
    const rig = new Rig(directory, { listen: { address: `${NETWORK}.${place}`, port: PORT }, next: peer, directory }, peer);
    gate.rig = rig;
    await rig.begin();
    return rig;
  }

  private constructor(directory: string, plan: RelayPlan, peer: Peer) {
    this.disk = new BrokenDisk(library, directory, join(directory, "spool"));
    this.#plan = { ...plan, delivery: { retry: { initialSeconds: 1, maximumSeconds: 1 } } };
    this.peer = peer;
    this.#gate.resolve();
    this.relay = new MortalRelay({ ...this.#plan, environment: this.disk.environment });
  }

  get gate(): Promise<void> {
    return this.#gate.promise;
  }

  async begin(): Promise<void> {
    assert.equal(await this.relay.ready(), "ready", this.relay.log());
  }

  /** From now on the receiver keeps its replies to itself. */
  hold(): void {
    this.#gate = Promise.withResolvers();
  }

  release(): void {
    this.#gate.resolve();
  }

  /** Sends one message for each token, over one connection; the replies. */
  async send(tokens: readonly string[], octets?: number): Promise<readonly string[]> {
    const client = await SmtpClient.open(this.relay.address);
    const replies: string[] = [];
    for (const token of tokens) {
      const reply = await client.send(contentOf(token, octets));
      replies.push(reply);
      (reply.startsWith("250 ") ? this.acknowledged : this.refused).add(token);
    }
    client.destroy();
    return replies;
  }

  /** Tokens in the order in which they came whole, whatever was answered. */
  get arrived(): readonly string[] {
    return this.peer.sessions.flatMap(({ contents }) =>
      contents.map((content) => {
        const token = /^Subject: (.*)\r$/m.exec(content.toString("latin1", 0, 2000))?.[1] ?? "none";
        const octets = token.startsWith("large") ? LARGE_OCTETS : undefined;
        assert.equal(withoutTrace(content), contentOf(token, octets));
        return token;
      }),
    );
  }

  async readiness(): Promise<{ status: number; text: string }> {
    const response = await fetch(`http://${this.#plan.listen.address}:9025/readyz`);
    return { status: response.status, text: await response.text() };
  }

  async drained(): Promise<void> {
    await until("the queue is empty", async () => (await this.relay.queued()) === 0);
  }

  /** The machine goes down and comes up with a disk that works. */
  async cutPower(): Promise<void> {
    await this.relay.kill();
    this.disk.cutPower();
    this.release();
    this.relay = new MortalRelay(this.#plan);
    await this.begin();
  }

  /** Everything acknowledged arrived, what was refused did not, and of the rest only `twice` came twice. */
  async account(twice: readonly string[]): Promise<void> {
    await this.drained();
    const { arrived } = this;
    assert.deepEqual(
      [...this.acknowledged].filter((token) => !arrived.includes(token)),
      [],
      "lost",
    );
    assert.deepEqual(
      [...this.refused].filter((token) => arrived.includes(token)),
      [],
      "refused, and sent",
    );
    const repeated = arrived.filter((token, index) => arrived.indexOf(token) !== index);
    assert.deepEqual(
      repeated.filter((token) => !twice.includes(token)),
      [],
      "repeated",
    );
    assert.equal(new Set(repeated).size, repeated.length, "more than twice");
  }

  async close(): Promise<void> {
    this.release();
    await this.relay.kill();
    await this.peer.close();
  }
}

let places = 0;

function withRig(name: string, run: (rig: Rig) => Promise<void>): void {
  test(name, async () => {
    const directory = mkdtempSync(join(tmpdir(), "dane-relay-broken-"));
    places += 2;
    try {
      const rig = await Rig.start(directory, places);
      try {
        await run(rig);
      } finally {
        await rig.close();
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}

/** The spool cannot be written for a while. */
async function outage(rig: Rig, name: string, order: Order, reply: RegExp): Promise<void> {
  rig.hold();
  await rig.send([`${name}-under-way`]);
  await until("it is with the receiver", () => rig.arrived.includes(`${name}-under-way`));
  rig.disk.order(order);
  const said = rig.relay.log().length;
  const replies = await Promise.all(["a", "b", "c"].map((client) => rig.send([`${name}-${client}1`, `${name}-${client}2`])));
  for (const one of replies.flat()) assert.match(one, reply);
  const { status, text } = await rig.readiness();
  assert.equal(status, 503);
  assert.ok(text.includes("spool"), text);
  // The receiver takes it now, and that cannot be recorded yet.
  rig.release();
  await until("it is said that it cannot", () => rig.relay.log().includes("could not be recorded", said));
  assert.equal(await rig.relay.queued(), 1);
  rig.disk.heal();
  await rig.drained();
  assert.equal((await rig.readiness()).status, 200);
  for (const one of await rig.send([`${name}-after`])) assert.match(one, /^250 /);
  await rig.drained();
}

withRig(
  "the log fails in the middle: refused while it lasts, recorded afterwards, and a power cut takes nothing",
  async (rig) => {
    const outages: readonly (readonly [string, Order, RegExp])[] = [
      ["fsync", "queue.db-wal fsync EIO", /^451 4\.3\.0 /],
      ["write", "queue.db-wal write EIO", /^451 4\.3\.0 /],
      ["full", "queue.db-wal write ENOSPC", /^452 4\.3\.1 /],
      ["short", "queue.db-wal write short", /^452 4\.3\.1 /],
    ];
    for (const [name, order, reply] of outages) await outage(rig, name, order, reply);
    await rig.account([]);
    rig.hold();
    await rig.send(["waiting-1", "waiting-2"]);
    rig.disk.order("queue.db-wal fsync EIO");
    await rig.send(["too-late"]);
    await rig.cutPower();
    await rig.account(["waiting-1", "waiting-2"]);
  },
);

withRig("an fsync that failed once proves nothing later, and a log that cannot be moved is told of", async (rig) => {
  rig.hold();
  for (const number of [1, 2, 3, 4, 5, 6]) {
    rig.disk.order("queue.db-wal fsync EIO once");
    await Promise.all([rig.send([`${number}-a`]), rig.send([`${number}-b`])]);
    assert.ok(!rig.disk.ordered, "it failed");
  }
  assert.ok(rig.acknowledged.size > 0);
  for (const order of ["queue.db write EIO", "queue.db fsync EIO"] as const) {
    const name = `large-${order.replaceAll(/[ .]/g, "-")}`;
    rig.disk.order(order);
    const { size } = rig.refused;
    for (let number = 0; rig.refused.size === size; number += LARGE_BATCH) {
      assert.ok(number < LARGE_MESSAGES, "the log grows without an end");
      const batch = Array.from({ length: LARGE_BATCH }, (_, index) => rig.send([`${name}-${number + index}`], LARGE_OCTETS));
      for (const reply of (await Promise.all(batch)).flat()) assert.match(reply, /^(?:250|45[12]) /);
    }
    const { status, text } = await rig.readiness();
    assert.equal(status, 503);
    assert.match(text, /log cannot be moved into the database/);
    rig.disk.heal();
    for (const reply of await rig.send([`${name}-after`], LARGE_OCTETS)) assert.match(reply, /^250 /);
  }
  await rig.cutPower();
  await rig.account([...rig.acknowledged]);
});
