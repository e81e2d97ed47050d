import { fork } from "node:child_process";
import { once } from "node:events";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { systemRandom } from "../src/clock.ts";
import { algorithmTable } from "../src/dnssec/algorithm.ts";
import { createForwarder } from "../src/resolver/forwarder.ts";
import { createResolver } from "../src/resolver/resolver.ts";
import { createTransport } from "../src/resolver/socketTransport.ts";
import { anchorsOf } from "../test/conformance/ownCase.ts";
import { FAKE_NOW } from "../test/fake/zone.ts";
import { type HostileCase, hostileInternet } from "../test/fault/hostileInternet.ts";
import type { Place } from "./endToEnd.ts";
import { ownCpuSeconds } from "./lookupLoad.ts";
import { median } from "./machine.ts";

/**
 * What the zones of test/fault/hostileInternet.ts cost the resolver: CPU of one look-up with empty caches, and the longest time that the
 * event loop did not turn meanwhile. Medians of so many look-ups; the longest of all too, with what else ran on the machine in it.
 */
const SERVER_PLACE = 60;
const WARM_UP = 5;
const RESOLUTION_MILLISECONDS = 1;

type Cost = { cpuMilliseconds: number; held: number; messages: number };

export async function benchHostile(rounds: number, { block }: Place): Promise<string[]> {
  const address = block.address(SERVER_PLACE);
  const server = fork(new URL("hostileServer.ts", import.meta.url).pathname, [address]);
  try {
    const [port] = await once(server, "message");
    const internet = hostileInternet();
    const lines: string[] = [];
    for (const one of internet.cases) {
      const costs: Cost[] = [];
      for (let round = 0; round < rounds + WARM_UP; round += 1)
        costs.push(await cost(one, { address, port: Number(port) }, anchorsOf(internet)));
      lines.push(line(one, costs.slice(WARM_UP)));
    }
    return [`hostile zones: one look-up with empty caches, medians of ${rounds}`, ...lines];
  } finally {
    server.disconnect();
  }
}

async function cost(
  one: HostileCase,
  upstream: { address: string; port: number },
  anchors: ReturnType<typeof anchorsOf>,
): Promise<Cost> {
  const clock = { now: () => FAKE_NOW * 1000, monotonic: () => performance.now() };
  const transport = createTransport({ clock, random: systemRandom });
  const forwarder = createForwarder({ upstreams: [upstream], transport, clock, timeoutSeconds: 10 });
  let messages = 0;
  const source: typeof forwarder = {
    ask: (name, type, options) => {
      messages += 1;
      return forwarder.ask(name, type, options);
    },
  };
  const caches = { trustCacheEntries: 1000, cacheEntries: 1000 };
  const algorithms = algorithmTable({ sha1: "insecure" });
  const resolver = createResolver({ source, anchors, algorithms, clock, timeoutSeconds: 10, ...caches });
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MILLISECONDS });
  delay.enable();
  await new Promise((resolve) => setTimeout(resolve, 2 * RESOLUTION_MILLISECONDS));
  delay.reset();
  const before = ownCpuSeconds();
  const resolution = await resolver.lookup(...one.ask);
  const cpuMilliseconds = (ownCpuSeconds() - before) * 1000;
  await new Promise((resolve) => setTimeout(resolve, 2 * RESOLUTION_MILLISECONDS));
  delay.disable();
  transport.close();
  if (resolution.status !== one.status) throw new Error(`${one.title}: ${JSON.stringify(resolution)}`);
  return { cpuMilliseconds, held: delay.max / 1e6, messages };
}

function line({ title }: HostileCase, costs: readonly Cost[]): string {
  const of = (key: keyof Cost): readonly number[] => costs.map((one) => one[key]);
  const held = `held ms ${median(of("held")).toFixed(1).padStart(5)} (longest ${Math.max(...of("held"))
    .toFixed(1)
    .padStart(5)})`;
  const cpu = `CPU ms ${median(of("cpuMilliseconds")).toFixed(1).padStart(5)} for ${median(of("messages"))} messages`;
  return `  ${cpu}  ${held}  ${title}`;
}
