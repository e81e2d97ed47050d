import { ENDPOINT_NAMES } from "./attackEndpoints.ts";
import type { WireAttack } from "./attacker.ts";
import { NEIGHBOURS, TARGETS, type Target } from "./attackTargets.ts";
import { LIES } from "./lies.ts";

/** Random attacks from a seed: the same seed gives the same schedules, whatever came of others. */

/** Uniform whole numbers below a bound. */
export type Dice = (exclusiveMaximum: number) => number;

/** mulberry32: 32 bits of state are enough for tests that have to be repeatable. */
export function diceOf(seed: number): Dice {
  let state = seed >>> 0;
  return (exclusiveMaximum) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * exclusiveMaximum);
  };
}

export type DnsAttack =
  | { kind: "honest" }
  /** One of the lies, told in so many of a hundred cases, so that some answers are true. */
  | { kind: "lie"; lie: number; percent: number }
  /** The unsigned MX records name the trap. */
  | { kind: "forge-unsigned-mx" }
  /** An earlier answer to another question, signatures and all, under this question's id. */
  | { kind: "replay"; percent: number };

/** What goes on while these messages are under way: all of them at the same time. */
export type Step = {
  dns: DnsAttack;
  /** For the first, the second ... connection to any host; the last one holds for all that follow. */
  wire: readonly [WireAttack, ...WireAttack[]];
  targets: readonly Target[];
  /** The receivers refuse every recipient for now: what the relay calls delivered then is with nobody. */
  receivers: "accept" | "refuse";
};

/** The steps share one relay: its connections stay open, its look-ups stay in its cache. */
export type Schedule = { number: number; steps: readonly Step[] };

const MAX_STEPS = 3;
const MAX_TARGETS = 3;

function pick<T>(items: readonly T[], dice: Dice): T {
  const item = items[dice(items.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}

const CLEAR_REPLIES = [
  "454 4.7.0 TLS not available\r\n",
  "502 5.5.1 no such command\r\n",
  "554 5.7.0 go away\r\n",
  "421 4.3.2 later\r\n",
];
/** "Begin", and then the attacker goes on in clear text. */
const FALSE_START = "220 2.0.0 ready\r\n";
/** Answers to everything that a client may say next, as if it had said it. */
const WHOLE_DIALOGUE =
  "250-mx\r\n250-PIPELINING\r\n250-REQUIRETLS\r\n250 8BITMIME\r\n250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n250 2.0.0 queued\r\n";
/** The same up to the content: whatever the receiver then says is taken for its reply to that. */
const DIALOGUE_UP_TO_CONTENT = WHOLE_DIALOGUE.replace(/250 2\.0\.0 queued\r\n$/, "");
const INJECTED = [
  "250 2.0.0 queued\r\n",
  "250-mx\r\n250 8BITMIME\r\n",
  "220 2.0.0 ready\r\n",
  "354 go ahead\r\n",
  "550 5.1.1 no such user\r\n",
  "MAIL FROM:<attacker@evil.invalid>\r\nRCPT TO:<attacker@evil.invalid>\r\n",
  "STARTTLS\r\n",
  "\u0015\u0003\u0003\u0000\u0002\u0002\u0028",
];

/** Octets of a whole session, TLS handshake and message: places to break it at. */
const SESSION_OCTETS = 4000;

function wireAttack(dice: Dice): WireAttack {
  const toward = pick(["relay", "receiver"] as const, dice);
  const at = dice(SESSION_OCTETS);
  const kinds: readonly (() => WireAttack)[] = [
    () => ({ kind: "endpoint", endpoint: pick(ENDPOINT_NAMES, dice) }),
    () => ({ kind: "endpoint", endpoint: pick(ENDPOINT_NAMES, dice) }),
    () => ({ kind: "endpoint", endpoint: pick(ENDPOINT_NAMES, dice) }),
    () => ({ kind: "endpoint", endpoint: pick(ENDPOINT_NAMES, dice) }),
    () => ({ kind: "strip", as: pick(["gone", "XXXXXXXX"] as const, dice) }),
    () => ({ kind: "answer-starttls", reply: pick([...CLEAR_REPLIES, FALSE_START, FALSE_START + WHOLE_DIALOGUE], dice) }),
    () => ({ kind: "inject", toward, before: dice(8), octets: pick(INJECTED, dice) }),
    () => ({ kind: "inject-behind-220", octets: pick(INJECTED, dice) }),
    () => ({ kind: "inject-behind-220", octets: pick([WHOLE_DIALOGUE, DIALOGUE_UP_TO_CONTENT], dice) }),
    () => ({ kind: "inject-behind-220", octets: DIALOGUE_UP_TO_CONTENT }),
    () => ({ kind: "flip", toward, at }),
    () => ({ kind: "cut", toward, at, how: pick(["end", "reset"] as const, dice) }),
    () => (dice(4) === 0 ? { kind: "stall", toward, at } : { kind: "idle" }),
    () => ({ kind: "delay", milliseconds: dice(30) }),
    () => ({ kind: "replay" }),
    () => ({ kind: "idle" }),
    () => ({ kind: "idle" }),
  ];
  return pick(kinds, dice)();
}

function dnsAttack(dice: Dice): DnsAttack {
  const chosen = dice(10);
  if (chosen < 5) return { kind: "honest" };
  if (chosen < 8) return { kind: "lie", lie: dice(LIES.length), percent: pick([100, 100, 50], dice) };
  return chosen === 8 ? { kind: "forge-unsigned-mx" } : { kind: "replay", percent: pick([100, 30, 10], dice) };
}

function stepOf(among: readonly Target[], dice: Dice): Step {
  const wire: [WireAttack, ...WireAttack[]] = [wireAttack(dice)];
  while (dice(2) === 0) wire.push(wireAttack(dice));
  const targets = Array.from({ length: 1 + dice(MAX_TARGETS) }, () => pick(among, dice));
  return { dns: dnsAttack(dice), wire, targets, receivers: dice(4) === 0 ? "refuse" : "accept" };
}

/** A relay leaves a destination alone for a while that fails more often than this in a row; nothing could be learned from that. */
const MAX_FOR_ONE_DOMAIN = 4;

function withinPatience(steps: readonly Step[]): Step[] {
  const sent = new Map<string, number>();
  const mayBeSent = ({ domain }: Target): boolean => {
    const count = (sent.get(domain) ?? 0) + 1;
    sent.set(domain, count);
    return count <= MAX_FOR_ONE_DOMAIN;
  };
  return steps.map((step) => ({ ...step, targets: step.targets.filter(mayBeSent) }));
}

export function scheduleOf(seed: number, number: number): Schedule {
  const dice = diceOf(Math.imul(seed, 1_000_003) + number);
  // What is mixed up between policies shows where one host serves several.
  const among = dice(4) === 0 ? pick(NEIGHBOURS, dice) : TARGETS;
  const steps = Array.from({ length: 1 + dice(MAX_STEPS) }, () => stepOf(among, dice));
  return { number, steps: withinPatience(steps) };
}

/** The same messages while nobody attacks. */
export function withoutAttacks(schedule: Schedule): Schedule {
  const steps = schedule.steps.map(
    (step): Step => ({ ...step, dns: { kind: "honest" }, wire: [{ kind: "idle" }], receivers: "accept" }),
  );
  return { ...schedule, steps };
}
