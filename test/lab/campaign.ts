import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Message, RR_TYPE } from "../../src/dns/message.ts";
import { displayName, isWithin, labelCount, name } from "../../src/dns/name.ts";
import { typeName } from "../../src/dns/rdataText.ts";
import type { TrustAnchors } from "../../src/dnssec/evidence.ts";
import { createTransport } from "../../src/resolver/socketTransport.ts";
import type { Transport } from "../../src/resolver/transport.ts";
import { loadTrustAnchors } from "../../src/resolver/trustAnchorStore.ts";
import { type AddressBlock, claimBlock } from "./addresses.ts";
import { ancestorsOf, buildWorld, levelOf, type Question, type Servers, type World } from "./differentialWorld.ts";
import { Draw } from "./draw.ts";
import { FORGERIES } from "./forgeries.ts";
import { delvOpinion, type Opinion, ourOpinion, sameOpinion, startUnboundJudge, type UnboundJudge, type Way } from "./judges.ts";
import { type Surroundings, tidied } from "./messageParts.ts";
import { type Level, type MutantServer, startMutantServer } from "./mutantServer.ts";
import { DATA, type Mutation, SIGNATURES, STRUCTURE } from "./mutations.ts";
import { startNsd } from "./nsd.ts";
import { startUnbound } from "./unbound.ts";
import type { ZoneSigning } from "./zoneSigners.ts";

/**
 * Mutants: true answers, spoiled in one to three ways, served to three validators. Each mutant follows from the seed and its number; only
 * keys and signatures differ from run to run.
 */
export type Mutant = {
  number: number;
  way: Way;
  question: Question;
  /** What was spoiled: the answer to this question; often another than `question`, on the way to it. */
  spoiled: Question;
  /** And whose: of the servers of zones of that many labels. */
  level: number;
  /** The level that answers `question` with authority. */
  ownLevel: number;
  labels: readonly string[];
  message: Message;
};

export type Result = { mutant: Mutant; ours: Opinion; unbound: Opinion };
/**
 * `truth`: what the unspoiled answer is. `delv`: asks one server for everything, and has no opinion of referrals. `tidied`: Unbound's of the mutant
 * without what is no part of its answer; only where it refused what we take. `end`: Unbound's of the name that our aliases end at; only where both took it.
 */
export type Disagreement = Result & { delv?: Opinion; tidied?: Opinion; end?: Opinion; truth: Opinion };

export type CampaignOptions = {
  rows: readonly ZoneSigning[];
  seed: number;
  /** Numbers of the mutants. */
  numbers: readonly number[];
  onResult?: (result: Result) => void;
  onDisagreement?: (disagreement: Disagreement) => void;
};

const LANES = 2;
const PLACES = { firstNsd: 2, plain: 10, firstServer: 40, firstJudge: 60 } as const;
const LEVELS = [0, 1, 2, 3];
/** The share of mutants that are authoritative answers, for validators that resolve by themselves. */
const RECURSIVE = 0.25;
/** The share of mutants whose spoiled answer is the one that was asked for. */
const OWN_ANSWER = 0.65;
const TRIES = 50;

/** One of each way: between a server that resolves for others, and a validator; between the servers of all zones, and a validator that resolves. */
type Lane = Record<Way, { server: MutantServer; judge: UnboundJudge }>;
type Truth = Level["truth"];
/** `truth`: by level. */
type Bench = {
  world: World;
  truth: Record<Way, readonly [Truth, ...Truth[]]>;
  lanes: readonly Lane[];
  anchors: TrustAnchors;
  transport: Transport;
};

/** Runs mutants, and tells on which of them the judges did not agree. */
export async function runCampaign(options: CampaignOptions): Promise<{ incomparable: number }> {
  const directory = await mkdtemp(join(tmpdir(), "dane-relay-differential-"));
  const block = await claimBlock();
  const stops: (() => Promise<void> | void)[] = [() => rm(directory, { recursive: true, force: true }), () => block.release()];
  try {
    const bench = await setUp(directory, block, options.rows, stops);
    let incomparable = 0;
    const numbers = [...options.numbers];
    const work = async (lane: Lane): Promise<void> => {
      for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) {
        const mutant = await mutantOf(number, options.seed, bench);
        const first = await judged(mutant, lane, bench);
        // A packet that was lost, or a pause of the machine, does not repeat itself; a disagreement does.
        const result = sameOpinion(first.ours, first.unbound) ? first : await judged(mutant, lane, bench);
        options.onResult?.(result);
        if (sameOpinion(result.ours, result.unbound)) continue;
        const disagreement = await examined(result, lane, bench);
        if (disagreement === undefined) incomparable += 1;
        else options.onDisagreement?.(disagreement);
      }
    };
    await Promise.all(bench.lanes.map(work));
    return { incomparable };
  } finally {
    for (const stop of stops.toReversed()) await stop();
  }
}

async function setUp(
  directory: string,
  block: AddressBlock,
  rows: readonly ZoneSigning[],
  stops: (() => Promise<void> | void)[],
): Promise<Bench> {
  const [root, top, zone, child] = LEVELS.map((level) => block.address(PLACES.firstNsd + level));
  if (root === undefined || top === undefined || zone === undefined || child === undefined) throw new Error("too few levels");
  const servers: Servers = [root, top, zone, child];
  const world = await buildWorld(directory, servers, rows);
  for (const [level, address] of servers.entries()) {
    const zones = world.zones.filter(({ origin }) => labelCount(name(origin)) === level);
    // Name servers beside an answer would lead Unbound past the server with the mutants.
    const nsd = await startNsd({ name: `nsd${level}`, directory, address, zones, minimalResponses: true });
    stops.push(() => nsd.stop());
  }
  const address = block.address(PLACES.plain);
  const { rootHintsFile, trustAnchorFile } = world;
  const plain = await startUnbound({ name: "plain", directory, address, rootHintsFile, validation: { kind: "none" } });
  stops.push(() => plain.stop());
  const transport = createTransport();
  stops.push(() => transport.close());
  const truth: Bench["truth"] = {
    forward: [remembered(address, transport, true)],
    recursive: [remembered(root, transport, false), ...[top, zone, child].map((one) => remembered(one, transport, false))],
  };
  const pair = async (way: Way, place: number): Promise<Lane[Way]> => {
    const [first, ...below] = truth[way];
    const at = (level: number) => block.address(PLACES.firstServer + place + level);
    const levels = below.map((one, i) => ({ address: at(i + 1), truth: one }));
    const glue = new Map(servers.map((past, level) => [past, at(level)]));
    const server = await startMutantServer([{ address: at(0), truth: first }, ...levels], glue);
    stops.push(() => server.stop());
    const options = {
      directory: join(directory, `judge${place}`),
      address: block.address(PLACES.firstJudge + place),
      way,
      server: at(0),
      past: servers,
    };
    const judge = await startUnboundJudge({ ...options, trustAnchorFile, transport });
    stops.push(() => judge.daemon.stop());
    return { server, judge };
  };
  const lanes: Lane[] = [];
  for (let i = 0; i < LANES; i += 1) {
    const place = i * (1 + LEVELS.length);
    lanes.push({ forward: await pair("forward", place), recursive: await pair("recursive", place + 1) });
  }
  const read = await loadTrustAnchors(trustAnchorFile);
  if (read.kind === "error") throw new Error(read.reason);
  return { world, truth, lanes, anchors: read.anchors, transport };
}

const WAIT_MILLISECONDS = 5000;

/** True answers, each asked for once, so that their TTLs do not run while the campaign does. */
function remembered(address: string, transport: Transport, recursionDesired: boolean): Truth {
  const known = new Map<string, Promise<Message>>();
  const ask: Truth = async (name, type) => {
    const edns = { udpPayloadSize: 1232, dnssecOk: true };
    const query = { name, type, recursionDesired, checkingDisabled: true, edns };
    const result = await transport.exchange({ address, port: 53 }, query, WAIT_MILLISECONDS);
    if (result.kind !== "response") throw new Error(`no true answer to ${name} ${typeName(type)}: ${result.kind}`);
    return result.message;
  };
  return (name, type) => {
    const key = `${name} ${type}`;
    const message = known.get(key) ?? ask(name, type);
    known.set(key, message);
    return message;
  };
}

const CATEGORIES: readonly (readonly Mutation[])[] = [STRUCTURE, SIGNATURES, DATA, DATA, FORGERIES, FORGERIES];
const HASH_PRIME = 0x9e3779b1;

async function mutantOf(number: number, seed: number, { world, truth: truths }: Bench): Promise<Mutant> {
  const draw = new Draw(Math.imul(seed, HASH_PRIME) + Math.imul(number + 1, 0x85ebca6b));
  const way = draw.chance(RECURSIVE) ? "recursive" : "forward";
  const question = draw.pick(world.questions);
  if (question === undefined) throw new Error("no questions");
  const own = placed(way, question, world);
  const { level, question: spoiled } = draw.chance(OWN_ANSWER) ? own : (draw.pick(onTheWay(way, question, world)) ?? own);
  const ask = ({ level: at, question: { name: owner, type } }: Place): Promise<Message> => {
    const truth = truths[way][at];
    if (truth === undefined) throw new Error(`there is no level ${at}`);
    return truth(owner, type);
  };
  const others = await Promise.all(neighbours(question, world).map((one) => ask(placed(way, one, world))));
  const around: Surroundings = { question: spoiled, others, keys: world.keys, now: Math.floor(Date.now() / 1000), draw };
  const wanted = draw.chance(0.75) ? 1 : draw.chance(0.8) ? 2 : 3;
  const labels: string[] = [];
  let message = await ask({ level, question: spoiled });
  for (let i = 0; i < TRIES && labels.length < wanted; i += 1) {
    const mutation = draw.pick(draw.pick(CATEGORIES) ?? []);
    const changed = mutation?.apply(message, around);
    if (mutation === undefined || changed === undefined) continue;
    labels.push("label" in changed ? changed.label : mutation.label);
    message = "label" in changed ? changed.message : changed;
  }
  return { number, way, question, spoiled, level, ownLevel: own.level, labels, message };
}

/** A question, and which of the servers is asked it. */
type Place = { level: number; question: Question };

function placed(way: Way, question: Question, world: World): Place {
  return { level: way === "forward" ? 0 : levelOf(question, world), question };
}

/**
 * What a validator may ask for on the way to `question`: DS below the top-level domain, DNSKEY of the zones; and the question itself of the
 * servers of the zones above, which refer to the zone below, with its DS records or the denial that it has any.
 */
function onTheWay(way: Way, question: Question, world: World): Place[] {
  const { name: owner } = question;
  const below = ancestorsOf(owner).filter((one) => labelCount(one) > 1);
  const zones = [...world.keys.keys()].filter((zone) => isWithin(owner, zone) && labelCount(zone) > 0);
  const asked = [
    ...below.map((one) => ({ name: one, type: RR_TYPE.DS })),
    ...zones.map((one) => ({ name: one, type: RR_TYPE.DNSKEY })),
  ];
  const own = placed(way, question, world);
  const referrals = Array.from({ length: own.level }, (_, level) => ({ level, question })).filter(({ level }) => level > 0);
  return [...asked.map((one) => placed(way, one, world)), ...referrals];
}

/** Questions about the zone of `question`, and about some of its parent. */
function neighbours({ name: owner }: Question, { questions, keys }: World): Question[] {
  const zone = ancestorsOf(owner).find((one) => labelCount(one) === 2);
  if (zone === undefined) throw new Error(`${owner} is not below a top-level domain`);
  const mine = questions.filter((one) => isWithin(one.name, zone));
  const zones = [...keys.keys()].filter((one) => isWithin(one, zone));
  return [...mine, ...zones.flatMap((one) => [RR_TYPE.DS, RR_TYPE.DNSKEY].map((type) => ({ name: one, type })))];
}

async function judged(mutant: Mutant, lane: Lane, { anchors, transport }: Bench): Promise<Result> {
  const { way, question, spoiled, level, message } = mutant;
  const { server, judge } = lane[way];
  await judge.forget();
  server.serve({ level, question: spoiled, message });
  const [unbound, ours] = await Promise.all([
    judge.opinion(question),
    ourOpinion({ way, address: server.addresses[0] }, question, anchors, transport),
  ]);
  return { mutant, ours, unbound };
}

/** Undefined where Unbound cannot even look up the truth. */
async function examined(result: Result, lane: Lane, { anchors, transport, world }: Bench): Promise<Disagreement | undefined> {
  const { way, question, spoiled, level, message } = result.mutant;
  const { server, judge } = lane[way];
  const further: Pick<Disagreement, "delv" | "tidied" | "end"> = {};
  if (!isReferred(result.mutant)) {
    const { server: forwarding } = lane.forward;
    forwarding.serve({ level: 0, question: spoiled, message: { ...message, recursionAvailable: true } });
    further.delv = await delvOpinion(forwarding.addresses[0], question, world);
    forwarding.serve(undefined);
  }
  const { ours, unbound } = result;
  if (ours.status !== "refused" && unbound.status !== "refused" && ours.end !== undefined && ours.end !== question.name)
    further.end = await judge.opinion({ name: ours.end, type: question.type });
  if (ours.status !== "refused" && unbound.status === "refused") {
    await judge.forget();
    server.serve({ level, question: spoiled, message: tidied(result.mutant) });
    further.tidied = await judge.opinion(question);
  }
  server.serve(undefined);
  const truth = await ourOpinion({ way, address: server.addresses[0] }, question, anchors, transport);
  if (way === "recursive" && truth.status !== "refused") {
    await judge.forget();
    if ((await judge.opinion(question)).status === "refused") return undefined;
  }
  return { ...result, ...further, truth };
}

/** Whether what was spoiled is, when it is true, a referral to the zone below. */
function isReferred({ question, spoiled, level, ownLevel }: Mutant): boolean {
  return level < ownLevel && question.name === spoiled.name && question.type === spoiled.type;
}

export function questionText({ name, type }: Question): string {
  return `${displayName(name)} ${typeName(type)}`;
}
