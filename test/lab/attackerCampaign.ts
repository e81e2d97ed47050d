import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import type { DeliveryEngine } from "../../src/delivery/engine.ts";
import type { Work } from "../../src/spool/message.ts";
import { MemoryStore } from "../fake/memoryStore.ts";
import { ensurePackages } from "../packages.ts";
import type { Tapped } from "./attacker.ts";
import { evidenceOf, judge, judgeIdle, markOf, type Sent, type Violation } from "./attackOracle.ts";
import { type Schedule, type Step, scheduleOf, withoutAttacks } from "./attackSchedule.ts";
import { TARGETS, type Target } from "./attackTargets.ts";
import { type AttackWorld, type Lane, REFUSED_PREFIX, startAttackWorld } from "./attackWorld.ts";

/**
 * `node test/lab/attackerCampaign.ts --schedules 5000 --seed 1`: random attack schedules against the delivery engine and the validating
 * resolver of `--source` (default: src/), with real sockets and the lab's DNS. Each schedule is played again while nobody attacks.
 * Exit status 1 when anything fared worse than its policy promises.
 */
const SOURCE = join(import.meta.dirname, "..", "..", "src");

/** The relay's code as it is in some directory: the project's, or a copy with a bug planted in it. */
export type RelayCode = {
  engine: typeof import("../../src/delivery/engine.ts");
  resolver: typeof import("../../src/resolver/openResolver.ts");
  name: typeof import("../../src/dns/name.ts");
  clock: typeof import("../../src/clock.ts");
};

export async function loadRelay(source = SOURCE): Promise<RelayCode> {
  const load = (file: string): Promise<unknown> => import(pathToFileURL(join(source, file)).href);
  return {
    engine: (await load("delivery/engine.ts")) as RelayCode["engine"],
    resolver: (await load("resolver/openResolver.ts")) as RelayCode["resolver"],
    name: (await load("dns/name.ts")) as RelayCode["name"],
    clock: (await load("clock.ts")) as RelayCode["clock"],
  };
}

/** Under attack much ends in a timeout; while nobody attacks nothing must, however busy the machine is. */
type Patience = { connectSeconds: number; commandSeconds: number; lookupSeconds: number };
const SHORT: Patience = { connectSeconds: 1, commandSeconds: 1, lookupSeconds: 1 };
const LONG: Patience = { connectSeconds: 30, commandSeconds: 60, lookupSeconds: 30 };

const DOMAINS_WITH_LEVEL = TARGETS.flatMap(({ domain, level }) => (level === undefined ? [] : [{ domain, level }]));
const YEAR_MILLISECONDS = 365 * 86_400_000;
const CLOSING_MILLISECONDS = 5000;
/** Even with every look-up and every connection in its timeout. */
const ATTEMPT_MILLISECONDS = 120_000;

type Relay = { engine: DeliveryEngine; store: MemoryStore; trouble: readonly unknown[]; stop: () => Promise<void> };

async function startRelay(code: RelayCode, world: AttackWorld, lane: Lane, patience: Patience): Promise<Relay> {
  const { systemClock: clock, systemRandom: random } = code.clock;
  const resolver = await code.resolver.openResolver(
    {
      mode: "forward",
      upstreams: [{ address: lane.resolver, port: 53 }],
      trustAnchorFile: world.lab.trustAnchorFile,
      rootHintsFile: world.lab.rootHintsFile,
      sha1: "insecure",
      insecureZones: [],
      forwardZones: [],
      timeoutSeconds: patience.lookupSeconds,
      probe: {},
      allowLoopback: true,
    },
    {
      clock,
      random,
      onVerdict: () => undefined,
      onValidation: () => undefined,
      onExchange: () => undefined,
      onTrustAnchor: () => undefined,
    },
  );
  const store = new MemoryStore();
  const trouble: unknown[] = [];
  const expiresAt = clock.now() + YEAR_MILLISECONDS;
  const engine = new code.engine.DeliveryEngine({
    settings: {
      hostname: code.name.name("relay.lab"),
      port: 25,
      insecureMx: "dane",
      allowLoopback: true,
      tlsPolicies: DOMAINS_WITH_LEVEL.map(({ domain, level }) =>
        level === "dane-only" ? { domain, level } : { domain, level, expiresAt },
      ),
      tlsRequiredNo: "honour",
      routes: [],
      sourceAddresses: [lane.source],
      timeouts: { connectSeconds: patience.connectSeconds, commandSeconds: patience.commandSeconds },
      retry: { initialSeconds: 300, maximumSeconds: 14_400, lifetimeHours: 120, delayWarningHours: 4 },
      maxConnections: 50,
      maxConnectionsPerDestination: 5,
    },
    resolver: resolver.resolver,
    store,
    clock,
    random,
    newId: () => "generated",
    onEvent: (event) => {
      if (event.kind === "trouble") trouble.push(event.error);
    },
  });
  engine.start();
  const stop = async (): Promise<void> => {
    await engine.stop();
    resolver.close();
  };
  return { engine, store, trouble, stop };
}

function workFor(target: Target, token: string, content: string, receivers: Step["receivers"]): Work {
  const prefix = receivers === "refuse" ? REFUSED_PREFIX : "";
  const address = `${prefix}${token}@${target.domain}`;
  const envelope = {
    id: token,
    sender: `${token}@sender.lab`,
    acceptedAt: Date.now(),
    smtpUtf8: false,
    eightBitMime: false,
    requireTls: target.requireTls === "yes",
    tlsRequiredNo: false,
    size: content.length,
  };
  const recipient = { address, destination: target.domain, index: 0, attempts: 0, delayWarned: false };
  return { envelope, destination: target.domain, recipients: [recipient], content: Buffer.from(content, "latin1") };
}

async function inTime<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not end within ${ATTEMPT_MILLISECONDS} ms`)), ATTEMPT_MILLISECONDS);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function send(relay: Relay, target: Target, token: string, receivers: Step["receivers"]): Promise<Sent> {
  const content = `Subject: ${token}\r\n\r\nA secret: ${token}.\r\n.\r\nThe end.\r\n`;
  const settled = await inTime(relay.store.deliver(workFor(target, token, content, receivers)), `${target.name} (${token})`);
  const outcome = settled[0]?.outcome;
  if (outcome === undefined) throw new Error(`nothing was recorded for ${token}`);
  return { target, token, content, outcome };
}

/** What the relay said may still be under way to those who listen. */
async function tappedUntilClosed(world: AttackWorld, lane: Lane): Promise<readonly Tapped[]> {
  const tapped = world.attackers.flatMap((attacker) => attacker.take(lane.source));
  const deadline = performance.now() + CLOSING_MILLISECONDS;
  while (tapped.some(({ open }) => open) && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
  return tapped;
}

let played = 0;

/** Plays one schedule with a fresh relay; resolves with what went wrong. */
async function play(
  schedule: Schedule,
  code: RelayCode,
  world: AttackWorld,
  lane: Lane,
  patience: Patience,
): Promise<{ sent: readonly Sent[]; violations: readonly Violation[] }> {
  played += 1;
  const tag = `m${played}x`;
  const mark = markOf(world);
  const relay = await startRelay(code, world, lane, patience);
  const sent: Sent[] = [];
  try {
    for (const step of schedule.steps) {
      lane.attack(step);
      const first = sent.length;
      const sending = step.targets.map((target, i) => send(relay, target, `${tag}${first + i}x`, step.receivers));
      sent.push(...(await Promise.all(sending)));
    }
  } finally {
    await relay.stop();
  }
  const evidence = evidenceOf(world, mark, await tappedUntilClosed(world, lane));
  const judged = sent.flatMap((one) => (patience === LONG ? judgeIdle(one, evidence) : judge(one, evidence)));
  const troubles = relay.trouble.map((error) => ({ target: "", token: "", what: `the relay ran into a bug: ${String(error)}` }));
  return { sent, violations: [...judged, ...troubles] };
}

export type CampaignResult = {
  schedules: number;
  messages: number;
  /** Under attack, by outcome. */
  outcomes: Record<"delivered" | "deferred" | "failed", number>;
  violations: readonly (Violation & { schedule: number; attacked: "yes" | "no" })[];
};

export type CampaignOptions = {
  code: RelayCode;
  world: AttackWorld;
  seed: number;
  schedules: number;
  /** "first": ends with the first violation. */
  until: "end" | "first";
  /** "also": each schedule is played a second time while nobody attacks. */
  idle: "also" | "never";
};

/** As many schedules at once as the world has lanes. */
export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const { code, world, seed, until } = options;
  const outcomes: CampaignResult["outcomes"] = { delivered: 0, deferred: 0, failed: 0 };
  const violations: CampaignResult["violations"][number][] = [];
  let next = 0;
  let messages = 0;
  const mayGoOn = (): boolean => next < options.schedules && (until === "end" || violations.length === 0);
  const run = async (lane: Lane): Promise<void> => {
    while (mayGoOn()) {
      const schedule = scheduleOf(seed, next);
      next += 1;
      const attacked = await play(schedule, code, world, lane, SHORT);
      messages += attacked.sent.length;
      for (const { outcome } of attacked.sent) outcomes[outcome.kind] += 1;
      violations.push(...attacked.violations.map((one) => ({ ...one, schedule: schedule.number, attacked: "yes" as const })));
      if (options.idle === "never") continue;
      const idle = await play(withoutAttacks(schedule), code, world, lane, LONG);
      violations.push(...idle.violations.map((one) => ({ ...one, schedule: schedule.number, attacked: "no" as const })));
    }
  };
  await Promise.all(world.lanes.map(run));
  return { schedules: next, messages, outcomes, violations };
}

export const LANES = 4;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      schedules: { type: "string", default: "5000" },
      seed: { type: "string", default: "1" },
      source: { type: "string", default: SOURCE },
    },
  });
  ensurePackages();
  const world = await startAttackWorld(LANES);
  try {
    const code = await loadRelay(values.source);
    const began = performance.now();
    const result = await runCampaign({
      ...{ code, world, until: "end", idle: "also" },
      ...{ seed: Number(values.seed), schedules: Number(values.schedules) },
    });
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    const { delivered, deferred, failed } = result.outcomes;
    console.log(
      `${result.schedules} schedules of seed ${values.seed} in ${seconds} s, each also without attack; ${result.messages} messages under attack: ` +
        `${delivered} delivered, ${deferred} deferred, ${failed} failed; ${result.violations.length} violations`,
    );
    for (const violation of result.violations) {
      console.log(JSON.stringify({ ...violation, plan: scheduleOf(Number(values.seed), violation.schedule) }));
    }
    if (result.violations.length > 0) process.exitCode = 1;
  } finally {
    await world.stop();
  }
}

if (import.meta.main) await main();
