import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SmtpClient } from "../fake/smtpClient.ts";
import { type Peer, startPeer } from "../fake/smtpPeer.ts";
import { withoutTrace } from "../fake/submissionServer.ts";
import { startPostgres, type TestPostgres } from "../lab/postgresServer.ts";
import { MortalRelay, type RelayPlan } from "./mortalRelay.ts";
import { type NetworkCut, startNetworkCut } from "./networkCut.ts";

/**
 * Three relays on one queue in a real PostgreSQL, mail coming in at each of them all the time, and in turn: one is killed, one is stopped for
 * longer than its lease while one is cut off from the database, and the database itself crashes and comes back. Every message that got its 250
 * arrives, unchanged; what a replica had when it was lost, the others deliver before it comes back; nothing arrives more than once for each
 * fault and once.
 */
export const FAULTS = ["kill", "stop", "cut", "crash"] as const;
/** With one stopped and one cut off, a single one is left. */
const PHASES: readonly (readonly Fault[])[] = [["kill"], ["stop", "cut"], ["crash"]];
type Fault = (typeof FAULTS)[number];

/** `place`: of the database. In memory its crash is still one of its processes. */
export type CampaignOptions = { block: string; rounds: number; place: "disk" | "memory" };

const LEASE_SECONDS = 5;
const SESSIONS = 2;
const PAUSE_MILLISECONDS = 120;
/** The receiver takes its time over each final dot, so that a fault finds messages between that dot and the record of its reply. */
const RECEIVER_MILLISECONDS = 150;
const DOMAINS = 10;
const LARGE_EVERY = 50;
const LARGE_OCTETS = 400_000;
const BETWEEN_MILLISECONDS = 1000;
const WAIT_MILLISECONDS = 120_000;
const POLL_MILLISECONDS = 50;

type Replica = { name: string; plan: RelayPlan; network: NetworkCut; relay: MortalRelay };
type Tally = { acknowledged: Map<string, string>; refused: number; unanswered: Set<string> };

function contentOf(token: string): string {
  const number = Number(token.split("-")[1]);
  const octets = number % LARGE_EVERY === LARGE_EVERY - 1 ? LARGE_OCTETS : 2000;
  const line = `${token} ${"x".repeat(60)}\r\n`;
  return `Subject: ${token}\r\nDate: x\r\nMessage-ID: <${token}>\r\n\r\n${line.repeat(Math.ceil(octets / line.length))}`;
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WAIT_MILLISECONDS;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `${what}: not within ${WAIT_MILLISECONDS} ms`);
    await delay(POLL_MILLISECONDS);
  }
}

class Campaign {
  readonly #postgres: TestPostgres;
  readonly #peer: Peer;
  readonly #replicas: readonly Replica[];
  readonly tally: Tally = { acknowledged: new Map(), refused: 0, unanswered: new Set() };
  #load: "on" | "off" = "on";
  #counter = 0;
  #seen = 0;
  readonly arrivals = new Map<string, number>();
  readonly lines: string[] = [];

  constructor(postgres: TestPostgres, peer: Peer, replicas: readonly Replica[]) {
    this.#postgres = postgres;
    this.#peer = peer;
    this.#replicas = replicas;
  }

  /** One client session after the other at one replica, whatever becomes of it. */
  async #session(replica: Replica): Promise<void> {
    while (this.#load === "on") {
      const client = await SmtpClient.open(replica.relay.address).catch(() => undefined);
      while (client !== undefined && this.#load === "on" && !client.ended) {
        await this.#submit(client, replica);
        await delay(PAUSE_MILLISECONDS);
      }
      client?.destroy();
      await delay(PAUSE_MILLISECONDS);
    }
  }

  async #submit(client: SmtpClient, replica: Replica): Promise<void> {
    const number = this.#counter++;
    const token = `${replica.name}-${number}`;
    if (!(await client.begin("a@sender.example", `u@d${number % DOMAINS}.example`)).startsWith("354")) return;
    client.write(`${contentOf(token)}.\r\n`);
    const reply = await client.reply();
    if (reply.startsWith("250")) this.tally.acknowledged.set(token, replica.name);
    else if (reply === "") this.tally.unanswered.add(token);
    else {
      assert.match(reply, /^4/, token);
      // A refusal while the database was lost in the middle leaves it open whether the message was stored.
      this.tally.unanswered.add(token);
      this.tally.refused += 1;
    }
  }

  #take(): void {
    for (const { content } of this.#peer.messages.slice(this.#seen)) {
      const whole = withoutTrace(content);
      const token = /^Subject: (.*)\r$/m.exec(whole)?.[1] ?? "none";
      assert.equal(whole, contentOf(token));
      this.arrivals.set(token, (this.arrivals.get(token) ?? 0) + 1);
    }
    this.#seen = this.#peer.messages.length;
  }

  #repeated(): number {
    return [...this.arrivals.values()].reduce((sum, count) => sum + count - 1, 0);
  }

  #missing(of?: Replica): readonly string[] {
    this.#take();
    const { acknowledged } = this.tally;
    return [...acknowledged.keys()].filter(
      (token) => !this.arrivals.has(token) && (of === undefined || acknowledged.get(token) === of.name),
    );
  }

  /** Everything that the lost replica had taken by now arrives without it. */
  async #takenOver(replica: Replica, fault: Fault): Promise<void> {
    const waiting = new Set(this.#missing(replica));
    const began = performance.now();
    await until(
      `what ${replica.name} had when it was lost arrives`,
      () => !this.#missing(replica).some((token) => waiting.has(token)),
    );
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    this.lines.push(
      `${fault} of ${replica.name}: ${waiting.size} acknowledged there had not arrived, taken over within ${seconds} s`,
    );
  }

  async #fault(fault: Fault, replica: Replica): Promise<void> {
    switch (fault) {
      case "kill":
        await replica.relay.kill();
        await this.#takenOver(replica, fault);
        replica.relay = new MortalRelay(replica.plan);
        assert.equal(await replica.relay.ready(), "ready", replica.relay.log());
        return;
      case "stop":
        process.kill(replica.relay.pid, "SIGSTOP");
        try {
          await Promise.all([this.#takenOver(replica, fault), delay(LEASE_SECONDS * 1600)]);
        } finally {
          process.kill(replica.relay.pid, "SIGCONT");
        }
        return;
      case "cut": {
        const { refused } = this.tally;
        replica.network.stall();
        await Promise.all([this.#takenOver(replica, fault), delay(LEASE_SECONDS * 1600)]);
        await until("mail is refused without a database", () => this.tally.refused > refused);
        replica.network.reset();
        return;
      }
      case "crash": {
        const before = this.arrivals.size;
        await this.#postgres.crash();
        await delay(BETWEEN_MILLISECONDS);
        await this.#postgres.restart();
        await until(
          "mail goes on after the database came back",
          () => this.#missing().length >= 0 && this.arrivals.size > before + 20,
        );
        this.lines.push("crash of the database: mail goes on");
        return;
      }
      default:
        fault satisfies never;
    }
  }

  #victim(index: number): Replica {
    const replica = this.#replicas[index % this.#replicas.length];
    assert.ok(replica !== undefined);
    return replica;
  }

  async run(rounds: number): Promise<void> {
    const load = this.#replicas.flatMap((replica) => Array.from({ length: SESSIONS }, () => this.#session(replica)));
    try {
      for (let round = 0; round < rounds; round += 1) {
        for (const together of PHASES) {
          await delay(BETWEEN_MILLISECONDS);
          const repeated = this.#repeated();
          await Promise.all(together.map((fault) => this.#fault(fault, this.#victim(FAULTS.indexOf(fault) + round))));
          this.#take();
          this.lines.push(`${together.join(" and ")}: ${this.#repeated() - repeated} messages came once more`);
        }
      }
      await delay(BETWEEN_MILLISECONDS);
    } finally {
      this.#load = "off";
    }
    await Promise.all(load);
    await until("everything acknowledged arrives", () => this.#missing().length === 0);
    await until("the queue is empty", async () => {
      const [row] = await this.#postgres.query(
        "SELECT (SELECT count(*) FROM dane_relay.message) + (SELECT count(*) FROM dane_relay.work) + (SELECT count(*) FROM dane_relay.lease) AS n",
      );
      return Number(row?.n) === 0;
    });
    const [bodies] = await this.#postgres.query("SELECT count(*) AS n FROM dane_relay.body WHERE complete");
    assert.equal(Number(bodies?.n), 0, "bodies leave with their messages");
    this.#take();
  }
}

export type CampaignResult = {
  lines: readonly string[];
  acknowledged: number;
  refused: number;
  lost: readonly string[];
  /** Arrivals of a message beyond the first, the most of any message, and in total. */
  mostRepetitions: number;
  repetitions: number;
};

export async function runCampaign({ block, rounds, place }: CampaignOptions): Promise<CampaignResult> {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-replicas-"));
  const postgres = await startPostgres(`${block}.1`, place);
  const peer = await startPeer({
    address: `${block}.2`,
    replies: { CONTENT: { reply: "250 2.0.0 queued", delayMs: RECEIVER_MILLISECONDS } },
  });
  const replicas: Replica[] = [];
  try {
    for (const [index, name] of ["a", "b", "c"].entries())
      replicas.push(await startReplica(name, index, { directory, block, postgres, peer }));
    const campaign = new Campaign(postgres, peer, replicas);
    await campaign.run(rounds);
    const stopped = replicas.map(async ({ relay }) => assert.equal(await relay.stop(), "0", relay.log().slice(-2000)));
    await Promise.all(stopped);
    const { acknowledged, refused, unanswered } = campaign.tally;
    const counts = [...campaign.arrivals];
    for (const [token] of counts) assert.ok(acknowledged.has(token) || unanswered.has(token), `${token} was never submitted`);
    return {
      lines: campaign.lines,
      acknowledged: acknowledged.size,
      refused,
      lost: [...acknowledged.keys()].filter((token) => !campaign.arrivals.has(token)),
      mostRepetitions: Math.max(...counts.map(([, count]) => count - 1)),
      repetitions: counts.reduce((sum, [, count]) => sum + count - 1, 0),
    };
  } finally {
    for (const { relay, network } of replicas) {
      await relay.kill();
      await network.close();
    }
    await peer.close();
    await postgres.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function startReplica(
  name: string,
  index: number,
  { directory, block, postgres, peer }: { directory: string; block: string; postgres: TestPostgres; peer: Peer },
): Promise<Replica> {
  const network = await startNetworkCut(`${block}.${10 + index}`, postgres.server);
  const own = join(directory, name);
  mkdirSync(own);
  const { user = "", password = "", database } = postgres.server;
  const plan: RelayPlan = {
    directory: own,
    listen: { address: `${block}.${20 + index}`, port: 2525 },
    next: peer,
    settings: {
      spool: `postgres://${user}:${encodeURIComponent(password)}@${network.address}:${network.port}/${database}`,
      stateDirectory: join(own, "state"),
      postgres: { leaseSeconds: LEASE_SECONDS },
    },
    delivery: { retry: { initialSeconds: 1, maximumSeconds: 2 } },
  };
  const relay = new MortalRelay(plan);
  assert.equal(await relay.ready(), "ready", relay.log());
  return { name, plan, network, relay };
}
