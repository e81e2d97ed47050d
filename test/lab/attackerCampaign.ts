import { parseArgs } from "node:util";
import type { Work } from "../../src/spool/message.ts";
import { ensurePackages } from "../packages.ts";
import {
  type AttackedRelay,
  LONG,
  loadRelay,
  type Patience,
  type RelayCode,
  SHORT,
  SOURCE,
  startAttackedRelay,
} from "./attackedRelay.ts";
import type { Tapped } from "./attacker.ts";
import { evidenceOf, judge, judgeIdle, markOf, type Sent, type Violation } from "./attackOracle.ts";
import { type Schedule, type Step, scheduleOf, withoutAttacks } from "./attackSchedule.ts";
import type { Target } from "./attackTargets.ts";
import { type AttackWorld, type Lane, REFUSED_PREFIX, startAttackWorld } from "./attackWorld.ts";

/**
 * `node test/lab/attackerCampaign.ts --schedules 5000 --seed 1`: random attack schedules against the delivery engine and the validating
 * resolver of `--source` (default: src/), with real sockets and the lab's DNS. Each schedule is played again while nobody attacks.
 * Exit status 1 when anything fared worse than its policy promises.
 */
const CLOSING_MILLISECONDS = 5000;
/** Even with every look-up and every connection in its timeout. */
const ATTEMPT_MILLISECONDS = 120_000;

/** A line with a dot only is among what must arrive as it is. */
export function contentOf(token: string): string {
  return `Subject: ${token}\r\n\r\nA secret: ${token}.\r\n.\r\nThe end.\r\n`;
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

async function send(relay: AttackedRelay, target: Target, token: string, receivers: Step["receivers"]): Promise<Sent> {
  const content = contentOf(token);
  const settled = await inTime(relay.store.deliver(workFor(target, token, content, receivers)), `${target.name} (${token})`);
  const outcome = settled[0]?.outcome;
  if (outcome === undefined) throw new Error(`nothing was recorded for ${token}`);
  return {
    target,
    token,
    content,
    outcome: { kind: outcome.kind, text: outcome.kind === "delivered" ? "" : outcome.cause.text },
  };
}

/** What the relay said may still be under way to those who listen. */
export async function tappedUntilClosed(world: AttackWorld, lane: Lane): Promise<readonly Tapped[]> {
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
  const relay = await startAttackedRelay(code, world, lane, patience);
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
  const troubles = relay.trouble.map(
    (error): Violation => ({ sort: "trouble", target: "", token: "", what: `the relay met a bug of its own: ${String(error)}` }),
  );
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
  /** "first": ends with the first message below policy. */
  until: "end" | "first";
  /** "also": each schedule is played a second time while nobody attacks. */
  idle: "also" | "never";
  /** Called before each schedule. */
  onProgress?: (number: number, violations: number) => void;
};

export function isBelowPolicy({ sort }: Violation): boolean {
  return sort === "below-policy";
}

/** As many schedules at once as the world has lanes. */
export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const { code, world, seed, until } = options;
  const outcomes: CampaignResult["outcomes"] = { delivered: 0, deferred: 0, failed: 0 };
  const violations: CampaignResult["violations"][number][] = [];
  let next = 0;
  let messages = 0;
  const mayGoOn = (): boolean => next < options.schedules && (until === "end" || !violations.some(isBelowPolicy));
  const run = async (lane: Lane): Promise<void> => {
    while (mayGoOn()) {
      options.onProgress?.(next, violations.length);
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

export const LANES = 6;

const PROGRESS_EVERY = 250;

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
      onProgress: (number, violations) => {
        if (number % PROGRESS_EVERY === 0) console.error(`${number} schedules begun, ${violations} violations until now`);
      },
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
