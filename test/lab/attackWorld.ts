import { type Peer, startPeer } from "../fake/smtpPeer.ts";
import { type Endpoints, startEndpoints } from "./attackEndpoints.ts";
import { type Attacker, startAttacker, type WireAttack } from "./attacker.ts";
import { type Dice, type DnsAttack, diceOf, type Step } from "./attackSchedule.ts";
import { ATTACKED_ROWS, SIGNED_DOMAINS, TRAP, UNSIGNED_DOMAINS } from "./attackTargets.ts";
import type { Asked, DnsProxy, Interference } from "./dnsProxy.ts";
import { type Lab, startLab } from "./lab.ts";
import { LIES } from "./lies.ts";
import type { Receiver } from "./world.ts";

/**
 * The lab with an attacker before every receiver and a forger before the recursor. A lane is one relay's way through it: it has a source
 * address, by which the attackers know it, and a resolver of its own, so that several schedules can be played at once.
 */
export type Lane = {
  source: string;
  resolver: string;
  /** From now on this is what is done to the lane's connections and look-ups. */
  attack: (step: Pick<Step, "dns" | "wire">) => void;
};

export type AttackWorld = {
  lab: Lab;
  lanes: readonly Lane[];
  attackers: readonly Attacker[];
  endpoints: Endpoints;
  trap: Peer;
  /** The domains' own hosts, by name; only they have the keys that TLSA names. */
  receivers: ReadonlyMap<string, Peer>;
  stop: () => Promise<void>;
};

const RECEIVER_PORT = 2525;
const ENDPOINT_PLACE = 240;
const FIRST_LANE_PLACE = 230;
const TTL = 300;
/** Recipients of which the receivers want nothing for now. */
export const REFUSED_PREFIX = "refuse-";
const EXTENSIONS = ["PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 52428800", "DSN", "ENHANCEDSTATUSCODES"];

function startReceiver({ address, identity }: Receiver, port: number): Promise<Peer> {
  return startPeer({
    address,
    port,
    extensions: EXTENSIONS,
    extensionsInTls: [...EXTENSIONS, "REQUIRETLS"],
    starttls: { accept: { key: identity.leaf.keyPem, cert: identity.chainPem } },
    replies: { RCPT: (line) => (line.includes(`<${REFUSED_PREFIX}`) ? "450 4.2.1 not now" : "250 2.1.5 ok") },
  });
}

type Truth = "pass";

/** The forger of one lane: one interference whose behaviour changes with each step. */
class Forger implements Interference {
  readonly #trap: Receiver;
  readonly #dice: Dice;
  #attack: DnsAttack = { kind: "honest" };
  #lie: Interference = {};
  /** Earlier answers, for replays. */
  readonly #answers: Parameters<NonNullable<Interference["answer"]>>[0][] = [];

  constructor(trap: Receiver, dice: Dice) {
    this.#trap = trap;
    this.#dice = dice;
  }

  set attack(attack: DnsAttack) {
    this.#attack = attack;
    const lie = attack.kind === "lie" ? LIES[attack.lie] : undefined;
    this.#lie = lie?.interference({ victims: SIGNED_DOMAINS, trap: this.#trap }) ?? {};
  }

  get claimsAuthentic(): "yes" | "no" {
    return this.#attack.kind === "honest" ? "no" : "yes";
  }

  readonly question = (asked: Asked): ReturnType<NonNullable<Interference["question"]>> | Truth => {
    if (this.#attack.kind === "forge-unsigned-mx" && asked.type === "MX" && UNSIGNED_DOMAINS.includes(asked.name)) {
      return { forge: { answers: [{ type: "MX", name: asked.name, ttl: TTL, data: { preference: 1, exchange: TRAP } }] } };
    }
    return this.#strikes() ? (this.#lie.question?.(asked) ?? "pass") : "pass";
  };

  readonly answer: NonNullable<Interference["answer"]> = (answer, asked) => {
    if (this.#attack.kind !== "replay") return this.#strikes() ? this.#lie.answer?.(answer, asked) : undefined;
    this.#answers.push(answer);
    const earlier = this.#answers[this.#dice(this.#answers.length)];
    if (earlier === undefined || !this.#strikes()) return undefined;
    return { ...earlier, id: answer.id, questions: answer.questions ?? [] };
  };

  #strikes(): boolean {
    return "percent" in this.#attack && this.#dice(100) < this.#attack.percent;
  }
}

type LaneState = { wire: Step["wire"]; connections: number };

async function startLane(lab: Lab, number: number, trap: Receiver, states: Map<string, LaneState>): Promise<Lane> {
  const forger = new Forger(trap, diceOf(number));
  const proxy: DnsProxy = await lab.startLiar(forger);
  const source = lab.block.address(FIRST_LANE_PLACE + number);
  const attack = ({ dns, wire }: Pick<Step, "dns" | "wire">): void => {
    forger.attack = dns;
    states.set(source, { wire, connections: 0 });
  };
  return { source, resolver: proxy.address, attack };
}

/** What the lane's next connection meets. */
function nextAttack(state: LaneState | undefined): WireAttack {
  if (state === undefined) return { kind: "idle" };
  const attack = state.wire[Math.min(state.connections, state.wire.length - 1)];
  state.connections += 1;
  return attack ?? { kind: "idle" };
}

export async function startAttackWorld(laneCount: number): Promise<AttackWorld> {
  const lab = await startLab(ATTACKED_ROWS);
  const stops: (() => Promise<void>)[] = [() => lab.stop()];
  const stop = async (): Promise<void> => {
    for (let last = stops.pop(); last !== undefined; last = stops.pop()) await last();
  };
  try {
    const behind = lab.world.receivers.filter(({ server, name }) => server === "closed" && name !== TRAP);
    const trapReceiver = lab.world.receivers.find(({ name }) => name === TRAP);
    if (trapReceiver === undefined) throw new Error("the table has no trap");
    const trap = await startReceiver(trapReceiver, 25);
    stops.push(() => trap.close());
    const names = [...behind.map(({ name }) => name), ...SIGNED_DOMAINS, ...UNSIGNED_DOMAINS];
    const genuine = behind.map(({ identity }) => identity);
    const endpoints = await startEndpoints(lab.block.address(ENDPOINT_PLACE), lab.pki, names, genuine);
    stops.push(() => endpoints.stop());

    const states = new Map<string, LaneState>();
    const receivers = new Map<string, Peer>();
    const attackers: Attacker[] = [];
    for (const receiver of behind) {
      const peer = await startReceiver(receiver, RECEIVER_PORT);
      stops.push(() => peer.close());
      receivers.set(receiver.name, peer);
      const attacker = await startAttacker({
        address: receiver.address,
        receiver: { address: receiver.address, port: RECEIVER_PORT },
        endpoint: (name) => endpoints.of(name),
        attack: (client) => nextAttack(states.get(client)),
      });
      stops.push(() => attacker.stop());
      attackers.push(attacker);
    }
    const lanes: Lane[] = [];
    for (let number = 0; number < laneCount; number += 1) lanes.push(await startLane(lab, number, trapReceiver, states));
    return { lab, lanes, attackers, endpoints, trap, receivers, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
