import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freshRun, type Place, RELAYS } from "./endToEnd.ts";
import { type Load, submit } from "./load.ts";
import { median } from "./machine.ts";
import { type ProbeReceiver, probe, startProbeReceiver } from "./probe.ts";
import type { Sender } from "./sender.ts";
import { startPlainSink, until } from "./sink.ts";

/** Milliseconds from the end of DATA to arrival at the next hop: one message at a time with nothing else to do, and beside a load. */
type Latencies = { idle: readonly number[]; loaded: readonly number[] };

const PAIR = ["dane-relay", "postfix"] as const;
const PROBES = 50;
const PAUSE_MILLISECONDS = 20;
const WARM_UP = { messages: 5000 };
const ARRIVAL_MILLISECONDS = 180_000;
const PROBE_PORT = 2500;

async function probes(relay: Sender, receiver: ProbeReceiver, name: string, goOn: (count: number) => boolean): Promise<number[]> {
  const milliseconds: number[] = [];
  while (goOn(milliseconds.length)) {
    milliseconds.push(await probe(relay, receiver, `${name} ${milliseconds.length}`));
    await delay(PAUSE_MILLISECONDS);
  }
  return milliseconds;
}

function oneRun(who: keyof typeof RELAYS, load: Omit<Load, "token">, place: Place): Promise<Latencies> {
  return freshRun(place, async (run) => {
    const sink = await startPlainSink(run.directory, { address: run.sink, port: run.port });
    const receiver = await startProbeReceiver({ address: run.sink, port: PROBE_PORT });
    try {
      const listen = { address: run.relay, port: run.port };
      const target = { kind: "route", sink, probe: receiver } as const;
      const relay = await RELAYS[who]({ directory: join(run.directory, "relay"), listen, target });
      try {
        await submit({ ...load, ...WARM_UP, token: run.token }, relay);
        await until(
          () => sink.received() >= WARM_UP.messages,
          ARRIVAL_MILLISECONDS,
          () => `${who}: the warm-up did not arrive`,
        );
        await probes(relay, receiver, `${run.token} warm`, (count) => count < PROBES);
        const idle = await probes(relay, receiver, `${run.token} idle`, (count) => count < PROBES);
        let going = true;
        const submitted = submit({ ...load, token: run.token }, relay).finally(() => {
          going = false;
        });
        const loaded = await probes(relay, receiver, `${run.token} loaded`, () => going);
        await submitted;
        return { idle, loaded };
      } finally {
        await relay.stop();
      }
    } finally {
      await receiver.close();
      await sink.stop();
    }
  });
}

function high(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.95)] ?? Number.NaN;
}

/** Lines to print; medians of the rounds' medians and 95th percentiles. */
export async function benchLatency(load: Omit<Load, "token">, rounds: number, place: Place): Promise<string[]> {
  const runs = new Map<string, Latencies[]>(PAIR.map((who) => [who, []]));
  for (let round = 0; round < rounds; round += 1)
    for (const who of round % 2 === 0 ? PAIR : PAIR.toReversed()) runs.get(who)?.push(await oneRun(who, load, place));
  const of = (who: string, kind: keyof Latencies, figure: (values: readonly number[]) => number): string =>
    median((runs.get(who) ?? []).map((run) => figure(run[kind]))).toFixed(2);
  return [
    `latency: milliseconds from the end of DATA to arrival, idle (${PROBES} messages, one at a time) and beside ${load.messages} messages of ${load.bytes} octets in ${load.sessions} sessions, medians of ${rounds} rounds`,
    ...PAIR.map(
      (who) =>
        `  ${who.padEnd(11)} idle median ${of(who, "idle", median)}  95% ${of(who, "idle", high)}  under load median ${of(who, "loaded", median)}  95% ${of(who, "loaded", high)}`,
    ),
  ];
}
