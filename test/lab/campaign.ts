import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Message, RR_TYPE } from "../../src/dns/message.ts";
import { type DomainName, displayName, isWithin, labelCount } from "../../src/dns/name.ts";
import { typeName } from "../../src/dns/rdataText.ts";
import type { TrustAnchors } from "../../src/dnssec/evidence.ts";
import { createTransport } from "../../src/resolver/socketTransport.ts";
import type { Transport } from "../../src/resolver/transport.ts";
import { loadTrustAnchors } from "../../src/resolver/trustAnchorStore.ts";
import { type AddressBlock, claimBlock } from "./addresses.ts";
import { ancestorsOf, buildWorld, type Question, type World } from "./differentialWorld.ts";
import { Draw } from "./draw.ts";
import { FORGERIES } from "./forgeries.ts";
import { delvOpinion, type Opinion, ourOpinion, sameOpinion, startUnboundJudge, type UnboundJudge, type Way } from "./judges.ts";
import type { Surroundings } from "./messageParts.ts";
import { type MutantServer, questionKey, startMutantServer } from "./mutantServer.ts";
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
  labels: readonly string[];
  message: Message;
};

export type Result = { mutant: Mutant; ours: Opinion; unbound: Opinion };
/** `truth`: what the unspoiled answer is. */
export type Disagreement = Result & { delv: Opinion; truth: Opinion };

export type CampaignOptions = {
  rows: readonly ZoneSigning[];
  seed: number;
  /** Numbers of the mutants. */
  numbers: readonly number[];
  onResult?: (result: Result) => void;
};

const LANES = 2;
const PLACES = { nsd: 2, plain: 3, firstServer: 40, firstJudge: 60 } as const;
const WAYS: readonly Way[] = ["forward", "recursive"];
/** The share of mutants that are authoritative answers, for validators that resolve by themselves. */
const RECURSIVE = 0.25;
/** The share of mutants whose spoiled answer is the one that was asked for. */
const OWN_ANSWER = 0.65;
const TRIES = 50;

/** One of each way: between a server that resolves for others, and a validator; between the server of all zones, and a validator that resolves. */
type Lane = Record<Way, { server: MutantServer; judge: UnboundJudge }>;
type Truth = (name: DomainName, type: number) => Promise<Message>;
type Bench = { world: World; truth: Record<Way, Truth>; lanes: readonly Lane[]; anchors: TrustAnchors; transport: Transport };

/** Runs mutants and returns those on which the judges did not agree. */
export async function runCampaign(options: CampaignOptions): Promise<{ disagreements: Disagreement[]; incomparable: number }> {
  const directory = await mkdtemp(join(tmpdir(), "dane-relay-differential-"));
  const block = await claimBlock();
  const stops: (() => Promise<void> | void)[] = [() => rm(directory, { recursive: true, force: true }), () => block.release()];
  try {
    const bench = await setUp(directory, block, options.rows, stops);
    const disagreements: Disagreement[] = [];
    let incomparable = 0;
    const numbers = [...options.numbers];
    const work = async (lane: Lane): Promise<void> => {
      for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) {
        const mutant = await mutantOf(number, options.seed, bench);
        const result = await judged(mutant, lane, bench);
        options.onResult?.(result);
        if (sameOpinion(result.ours, result.unbound)) continue;
        const disagreement = await examined(result, lane, bench);
        if (disagreement === undefined) incomparable += 1;
        else disagreements.push(disagreement);
      }
    };
    await Promise.all(bench.lanes.map(work));
    return { disagreements, incomparable };
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
  const world = await buildWorld(directory, block.address(PLACES.nsd), rows);
  // Name servers beside an answer would lead Unbound past the server with the mutants.
  const authoritative = { address: block.address(PLACES.nsd), zones: world.zones, minimalResponses: true };
  const nsd = await startNsd({ name: "nsd", directory, ...authoritative });
  stops.push(() => nsd.stop());
  const address = block.address(PLACES.plain);
  const { rootHintsFile, trustAnchorFile } = world;
  const plain = await startUnbound({ name: "plain", directory, address, rootHintsFile, validation: { kind: "none" } });
  stops.push(() => plain.stop());
  const transport = createTransport();
  stops.push(() => transport.close());
  const truth = {
    forward: remembered(address, transport, true),
    recursive: remembered(authoritative.address, transport, false),
  };
  const pair = async (way: Way, place: number): Promise<Lane[Way]> => {
    const server = await startMutantServer(block.address(PLACES.firstServer + place), truth[way]);
    stops.push(() => server.stop());
    const judgeAddress = block.address(PLACES.firstJudge + place);
    const options = {
      directory: join(directory, `judge${place}`),
      address: judgeAddress,
      way,
      server: server.address,
      past: authoritative.address,
    };
    const judge = await startUnboundJudge({ ...options, trustAnchorFile, transport });
    stops.push(() => judge.daemon.stop());
    return { server, judge };
  };
  const lanes: Lane[] = [];
  for (let i = 0; i < LANES; i += 1) {
    const place = i * WAYS.length;
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
    const key = questionKey(name, type);
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
  const truth = truths[way];
  const question = draw.pick(world.questions);
  if (question === undefined) throw new Error("no questions");
  const spoiled = draw.chance(OWN_ANSWER) ? question : (draw.pick(onTheWay(question, world)) ?? question);
  const others = await Promise.all(neighbours(question, world).map((one) => truth(one.name, one.type)));
  const around: Surroundings = { question: spoiled, others, keys: world.keys, now: Math.floor(Date.now() / 1000), draw };
  const wanted = draw.chance(0.75) ? 1 : draw.chance(0.8) ? 2 : 3;
  const labels: string[] = [];
  let message = await truth(spoiled.name, spoiled.type);
  for (let i = 0; i < TRIES && labels.length < wanted; i += 1) {
    const mutation = draw.pick(draw.pick(CATEGORIES) ?? []);
    const changed = mutation?.apply(message, around);
    if (mutation === undefined || changed === undefined) continue;
    labels.push("label" in changed ? changed.label : mutation.label);
    message = "label" in changed ? changed.message : changed;
  }
  return { number, way, question, spoiled, labels, message };
}

/** What a validator may ask for on the way to `question`: DS below the top-level domain, DNSKEY of the zones. */
function onTheWay({ name }: Question, { keys }: World): Question[] {
  const below = ancestorsOf(name).filter((one) => labelCount(one) > 1);
  const zones = [...keys.keys()].filter((zone) => isWithin(name, zone) && labelCount(zone) > 0);
  return [...below.map((one) => ({ name: one, type: RR_TYPE.DS })), ...zones.map((one) => ({ name: one, type: RR_TYPE.DNSKEY }))];
}

/** Questions about the zone of `question`, and about some of its parent. */
function neighbours({ name }: Question, { questions, keys }: World): Question[] {
  const zone = ancestorsOf(name).find((one) => labelCount(one) === 2);
  if (zone === undefined) throw new Error(`${name} is not below a top-level domain`);
  const mine = questions.filter((one) => isWithin(one.name, zone));
  const zones = [...keys.keys()].filter((one) => isWithin(one, zone));
  return [...mine, ...zones.flatMap((one) => [RR_TYPE.DS, RR_TYPE.DNSKEY].map((type) => ({ name: one, type })))];
}

async function judged(mutant: Mutant, lane: Lane, { anchors, transport }: Bench): Promise<Result> {
  const { way, question, spoiled, message } = mutant;
  const { server, judge } = lane[way];
  await judge.forget();
  server.serve(new Map([[questionKey(spoiled.name, spoiled.type), message]]));
  const [unbound, ours] = await Promise.all([
    judge.opinion(question),
    ourOpinion({ way, address: server.address }, question, anchors, transport),
  ]);
  return { mutant, ours, unbound };
}

/** That no server told Unbound of a DS record: resolving by itself it does not find the right one where one server has all zones. */
const NO_DS_SERVER = /SERVFAIL no DS for DS/;

/** Undefined where Unbound could not look up what it needed, or cannot even look up the truth. */
async function examined(result: Result, lane: Lane, { anchors, transport, world }: Bench): Promise<Disagreement | undefined> {
  const { way, question } = result.mutant;
  const { server, judge } = lane[way];
  if (way === "recursive" && result.unbound.status === "refused" && NO_DS_SERVER.test(result.unbound.why)) return undefined;
  const delv = await delvOpinion(server.address, question, world);
  server.serve(new Map());
  const truth = await ourOpinion({ way, address: server.address }, question, anchors, transport);
  if (way === "recursive" && truth.status !== "refused") {
    await judge.forget();
    if ((await judge.opinion(question)).status === "refused") return undefined;
  }
  return { ...result, delv, truth };
}

export function questionText({ name, type }: Question): string {
  return `${displayName(name)} ${typeName(type)}`;
}
