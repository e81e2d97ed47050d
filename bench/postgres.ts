import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock, systemRandom } from "../src/clock.ts";
import { openPostgresStore } from "../src/spool/postgresStore.ts";
import { MortalRelay } from "../test/fault/mortalRelay.ts";
import { runCampaign } from "../test/fault/replicaCampaign.ts";
import { startPostgres, type TestPostgres } from "../test/lab/postgresServer.ts";
import type { Place } from "./endToEnd.ts";
import { startPlainSink } from "./sink.ts";

/** The shared spool: messages a second with one, two and three replicas, what a million queued messages cost, and the fault campaign at length. */
export type PostgresBench = { rounds: number; messages: number; bytes: number; queued: number };

const BLOCK = "127.114.4";
const CAMPAIGN_BLOCK = "127.114.5";
const REPLICAS = [1, 2, 3];
const SESSIONS = 20;
const DESTINATIONS = 10_000;
const CLAIMS = 20;
const POLL_MILLISECONDS = 20;

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

async function throughput(
  postgres: TestPostgres,
  count: number,
  { messages, bytes }: PostgresBench,
  place: Place,
): Promise<string> {
  await postgres.clear();
  const { user = "", password = "", host, port, database } = postgres.server;
  const sink = await startPlainSink(place.directory, { address: `${BLOCK}.2`, port: 2500 + count });
  const relays = Array.from({ length: count }, (_, index) => {
    const directory = join(place.directory, `replicas${count}-${index}`);
    mkdirSync(directory);
    return new MortalRelay({
      directory,
      listen: { address: `${BLOCK}.${10 + index}`, port: 2525 },
      next: sink,
      settings: {
        spool: `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`,
        stateDirectory: join(directory, "state"),
        log: { level: "warn" },
      },
    });
  });
  try {
    await Promise.all(relays.map((relay) => relay.ready()));
    const began = performance.now();
    const sources = relays.map(async ({ address }) => {
      const share = ["-d", "-s", `${Math.ceil(SESSIONS / count)}`, "-m", `${Math.ceil(messages / count)}`, "-l", `${bytes}`];
      const source = spawn("/usr/sbin/smtp-source", [...share, "-f", "a@s.example", "-t", "u@d.example", address], {
        stdio: "ignore",
      });
      await once(source, "exit");
    });
    await Promise.all(sources);
    const accepted = performance.now() - began;
    while (sink.received() < messages) await delay(POLL_MILLISECONDS);
    const delivered = performance.now() - began;
    const rate = (milliseconds: number): string => ((messages * 1000) / milliseconds).toFixed(0);
    return `${count} replicas: ${rate(accepted)} accepted/s, ${rate(delivered)} delivered/s end to end`;
  } finally {
    await Promise.all(relays.map((relay) => relay.stop()));
    await sink.stop();
  }
}

const FILL = (queued: number): string => `
  INSERT INTO dane_relay.message (id, sender, accepted_at, flags, size, checksum, content)
    SELECT 'M' || lpad(i::text, 9, '0'), 's@s.example', i, 0, 100, 0, repeat('x', 100)::bytea FROM generate_series(1, ${queued}) AS i;
  INSERT INTO dane_relay.work (message, destination, due, recipients)
    SELECT seq, 'd' || (seq % ${DESTINATIONS}) || '.example', accepted_at,
      jsonb_build_array(jsonb_build_object('index', 0, 'address', 'u@d.example', 'destination', 'd.example', 'attempts', 0, 'delayWarned', false, 'due', accepted_at))
    FROM dane_relay.message`;

async function milliseconds(step: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await step();
  return performance.now() - began;
}

async function longQueue(postgres: TestPostgres, { queued }: PostgresBench): Promise<readonly string[]> {
  await postgres.clear();
  const open = () =>
    openPostgresStore({
      server: postgres.server,
      maxConnections: 10,
      leaseSeconds: 30,
      clock: systemClock,
      random: systemRandom,
      onNotice: () => undefined,
    });
  await (await open()).close();
  await postgres.query(FILL(queued));
  // As autovacuum would before long.
  await postgres.query("VACUUM ANALYZE");
  let opened: Awaited<ReturnType<typeof open>> | undefined;
  const start = await milliseconds(async () => {
    opened = await open();
  });
  if (opened === undefined) throw new Error("the spool did not open");
  const store = opened;
  try {
    const claims: number[] = [];
    for (let i = 0; i < CLAIMS; i += 1) {
      const request = { now: Date.now(), limit: 50, exclude: new Set<string>(), room: () => 5, destinationLimit: 20 };
      claims.push(await milliseconds(() => store.claim(request)));
    }
    const counts = await milliseconds(() => store.counts());
    const list = await milliseconds(() => store.queueAdmin.list({}, { limit: 50 }));
    const domain = await milliseconds(() => store.queueAdmin.list({ domain: "d77.example" }, { limit: 50 }));
    const byDestination = await milliseconds(() => store.queueAdmin.statistics("destination", 20));
    const byReason = await milliseconds(() => store.queueAdmin.statistics("reason", 20));
    return [
      `${queued} messages to ${DESTINATIONS} destinations: open and first look ${start.toFixed(0)} ms; a claim of 50 works ${median(claims).toFixed(1)} ms (median), ${Math.max(...claims).toFixed(1)} (most)`,
      `counts ${counts.toFixed(0)} ms, list ${list.toFixed(0)}, list of one domain ${domain.toFixed(0)}, statistics by destination ${byDestination.toFixed(0)}, by reason ${byReason.toFixed(0)}`,
    ];
  } finally {
    await store.close();
  }
}

export async function benchPostgres(options: PostgresBench, place: Place): Promise<readonly string[]> {
  const lines: string[] = [];
  const postgres = await startPostgres(`${BLOCK}.1`, "disk");
  try {
    for (const count of REPLICAS) lines.push(await throughput(postgres, count, options, place));
    lines.push(...(await longQueue(postgres, options)));
  } finally {
    await postgres.stop();
  }
  const { rounds } = options;
  if (rounds === 0) return lines;
  const result = await runCampaign({ block: CAMPAIGN_BLOCK, rounds, place: "disk" });
  const { acknowledged, refused, repetitions, mostRepetitions, lost } = result;
  return [
    ...lines,
    ...result.lines,
    `${rounds} rounds: ${acknowledged} acknowledged, ${refused} refused, ${lost.length} lost, ${repetitions} repetitions (of one message at most ${mostRepetitions})`,
  ];
}
