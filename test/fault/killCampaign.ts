import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { COMMIT_POINTS, type CommitPoint } from "../../src/spool/commitPoint.ts";
import { type Peer, startPeer } from "../fake/smtpPeer.ts";
import { withoutTrace } from "../fake/submissionServer.ts";
import { contentOf, KillLoad, tokenOf } from "./killLoad.ts";
import { MortalRelay, type RelayPlan } from "./mortalRelay.ts";

/**
 * design.md §5 on the whole relay: it is killed again and again under load, and starts again on the same spool. In the end every message that
 * got its 250 has arrived, octet by octet as it was sent, and at most once for each life of the relay; nothing arrived that was not sent.
 *
 * A lane: one relay, one receiver and one spool through many lives; lanes run side by side.
 * Kills, in turn: at each named commit point (the process kills itself there); at a random instant under load; at one during the start.
 * The oracle is what the receiver saw: whatever came with its final dot, and what it said 250 to.
 */
export type CampaignOptions = {
  kills: number;
  seed: string;
  directory: string;
  /** One lane each. */
  lanes: readonly { relay: string; receiver: string }[];
};

export type CampaignReport = {
  kills: number;
  acknowledged: number;
  /** By where it happened: each commit point, and what was under way. */
  landed: ReadonlyMap<Landing, number>;
};

type Landing =
  | CommitPoint
  | "while starting"
  | "between DATA and the final dot"
  | "between the final dot and 250"
  | "with acknowledged messages waiting"
  | "between the receiver's 250 and its record";

export const LANDINGS: readonly Landing[] = [
  ...COMMIT_POINTS,
  "while starting",
  "between DATA and the final dot",
  "between the final dot and 250",
  "with acknowledged messages waiting",
  "between the receiver's 250 and its record",
];

type Kill = { kind: "point"; point: CommitPoint; hit: number } | { kind: "serving" | "starting"; milliseconds: number };

const CLIENTS = 6;
const PORT = 2525;
const RECEIVER_MILLISECONDS = 4;
const LONGEST_SERVING_MILLISECONDS = 400;
const MOST_HITS = 5;
/** Before a relay that is to die while it stops is told to. */
const ACKNOWLEDGED_BEFORE_STOP = 20;
const WAIT_MILLISECONDS = 120_000;
const POLL_MILLISECONDS = 10;

async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  const late = new AbortController();
  const deadline = delay(WAIT_MILLISECONDS, undefined, { signal: late.signal }).then(() => {
    throw new Error(`${what}: not within ${WAIT_MILLISECONDS} ms`);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    deadline.catch(() => undefined);
    late.abort();
  }
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WAIT_MILLISECONDS;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `${what}: not within ${WAIT_MILLISECONDS} ms`);
    await delay(POLL_MILLISECONDS);
  }
}

class Lane {
  readonly landed = new Map<Landing, number>();
  readonly acknowledged = new Set<string>();
  /** Without an answer: they may arrive. */
  readonly #unanswered = new Set<string>();
  /** Acknowledged, and not seen at the receiver yet. */
  readonly #waiting = new Set<string>();
  /** How often each message came. */
  readonly #arrived = new Map<string, number>();
  readonly #plan: RelayPlan;
  readonly #seed: string;
  #startMilliseconds = 0;
  #life = 0;

  constructor(plan: RelayPlan, seed: string) {
    this.#plan = plan;
    this.#seed = seed;
  }

  /** The first life ends in order, so that it leaves what was compiled; its time to start bounds the kills of later starts. */
  async begin(): Promise<void> {
    const began = performance.now();
    const relay = new MortalRelay(this.#plan);
    assert.equal(await within("the first start", relay.ready()), "ready", relay.log());
    assert.equal(await relay.stop(), "0");
    this.#startMilliseconds = performance.now() - began;
  }

  async liveAndDie(): Promise<void> {
    this.#life += 1;
    const kill = this.#kill();
    const peer = await this.#receiver();
    const relay = new MortalRelay({ ...this.#plan, ...(kill.kind === "point" ? { dieAt: kill } : {}) });
    let stopAsked = false;
    const load = new KillLoad(`s${this.#seed}-l${this.#life}`, () => {
      const atStop = kill.kind === "point" && kill.point.endsWith("checkpoint");
      if (!atStop || stopAsked || load.acknowledged.size < ACKNOWLEDGED_BEFORE_STOP) return;
      stopAsked = true;
      void relay.stop();
    });
    try {
      if (kill.kind === "starting") {
        await delay(kill.milliseconds);
        await relay.kill();
      } else if ((await within("start", relay.ready())) === "ready") {
        const submitted = load.run(relay.address, CLIENTS);
        if (kill.kind === "serving") await delay(kill.milliseconds).then(() => relay.kill());
        assert.equal(await within(`death at ${JSON.stringify(kill)}`, relay.ended), "SIGKILL", relay.log());
        await within("the clients' ends", submitted);
      }
      assert.equal(await relay.ended, "SIGKILL", relay.log());
      await until("the receiver's connections end", () => peer.sessions.every(({ ended }) => ended));
      this.#account(kill, load, this.#take(peer));
    } finally {
      await relay.kill();
      await peer.close();
    }
  }

  /** The last life delivers what is left, and is not killed. */
  async end(): Promise<void> {
    const peer = await this.#receiver();
    const relay = new MortalRelay(this.#plan);
    try {
      assert.equal(await within("the last start", relay.ready()), "ready", relay.log());
      await until("the queue is empty", async () => (await relay.queued()) === 0);
      assert.equal(await relay.stop(), "0");
      this.#take(peer);
    } finally {
      await relay.kill();
      await peer.close();
    }
    assert.deepEqual([...this.#waiting], [], "acknowledged and lost");
  }

  #kill(): Kill {
    const [index, turn] = [Math.floor(this.#life / 2), this.#life % 2];
    if (turn === 0) {
      const point = COMMIT_POINTS[index % COMMIT_POINTS.length];
      assert.ok(point !== undefined);
      return { kind: "point", point, hit: point.endsWith("checkpoint") ? 1 : 1 + this.#draw("hit", MOST_HITS) };
    }
    if (index % 4 === 0) return { kind: "starting", milliseconds: this.#draw("start", Math.ceil(this.#startMilliseconds)) };
    return { kind: "serving", milliseconds: this.#draw("serving", LONGEST_SERVING_MILLISECONDS) };
  }

  /** An integer below `limit` that follows from seed, life and name. */
  #draw(name: string, limit: number): number {
    const digest = createHash("sha256").update(`${this.#seed} ${this.#life} ${name}`).digest();
    return digest.readUInt32BE() % Math.max(1, limit);
  }

  /** A fresh one for each life, which takes its time over each final dot, so that kills find messages there. */
  #receiver(): Promise<Peer> {
    const { address, port } = this.#plan.next;
    return startPeer({ address, port, replies: { CONTENT: { reply: "250 2.0.0 queued", delayMs: RECEIVER_MILLISECONDS } } });
  }

  /** Checks whatever came in this life, and counts what the receiver said 250 to for a second time in the relay's history. */
  #take(peer: Peer): { repeated: number } {
    for (const content of peer.sessions.flatMap(({ contents }) => contents)) {
      const token = tokenOf(content);
      assert.equal(withoutTrace(content), contentOf(token), `${token} arrived otherwise than it was sent`);
    }
    const tokens = peer.messages.map(({ content }) => tokenOf(content));
    assert.equal(new Set(tokens).size, tokens.length, `twice in life ${this.#life}: ${tokens.join(" ")}`);
    let repeated = 0;
    for (const token of tokens) {
      const times = this.#arrived.get(token) ?? 0;
      if (times > 0) repeated += 1;
      this.#arrived.set(token, times + 1);
      this.#waiting.delete(token);
    }
    return { repeated };
  }

  #account(kill: Kill, load: KillLoad, { repeated }: { repeated: number }): void {
    for (const token of load.acknowledged) {
      this.acknowledged.add(token);
      if (!this.#arrived.has(token)) this.#waiting.add(token);
    }
    for (const token of load.unanswered) this.#unanswered.add(token);
    for (const token of this.#arrived.keys()) {
      assert.ok(this.acknowledged.has(token) || this.#unanswered.has(token), `${token} was never submitted in full`);
    }
    if (kill.kind === "point") this.#land(kill.point);
    if (kill.kind === "starting") this.#land("while starting");
    if (load.withinContent > 0) this.#land("between DATA and the final dot");
    if (load.unanswered.size > 0) this.#land("between the final dot and 250");
    if (this.#waiting.size > 0) this.#land("with acknowledged messages waiting");
    // Of an earlier kill, which had come before the record.
    if (repeated > 0) this.#land("between the receiver's 250 and its record");
  }

  #land(where: Landing): void {
    this.landed.set(where, (this.landed.get(where) ?? 0) + 1);
  }
}

/** Rejects with what was lost, doubled or torn. */
export async function killCampaign({ kills, seed, directory, lanes }: CampaignOptions): Promise<CampaignReport> {
  let left = kills;
  const run = async ({ relay, receiver }: CampaignOptions["lanes"][number], index: number): Promise<Lane> => {
    const place = join(directory, `lane${index}`);
    mkdirSync(place);
    const listen = { address: relay, port: PORT };
    const lane = new Lane({ directory: place, listen, next: { address: receiver, port: PORT } }, `${seed}.${index}`);
    await lane.begin();
    for (; left > 0; left -= 1) await lane.liveAndDie();
    await lane.end();
    return lane;
  };
  const finished = await Promise.all(lanes.map(run));
  const landed = new Map(
    LANDINGS.map((where) => [where, finished.reduce((sum, lane) => sum + (lane.landed.get(where) ?? 0), 0)]),
  );
  return { kills, acknowledged: finished.reduce((sum, lane) => sum + lane.acknowledged.size, 0), landed };
}

export function reportLines({ kills, acknowledged, landed }: CampaignReport): string[] {
  const places = [...landed].map(([where, count]) => `  ${String(count).padStart(5)} ${where}`);
  return [
    `${kills} kills, ${acknowledged} messages acknowledged, none lost, none torn, none twice in one life; kills landed`,
    ...places,
  ];
}
