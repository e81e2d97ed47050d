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
import { delvOpinion, type Opinion, ourOpinion, sameOpinion, startUnboundJudge, type UnboundJudge } from "./judges.ts";
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
/** The share of mutants whose spoiled answer is the one that was asked for. */
const OWN_ANSWER = 0.65;
const TRIES = 50;

type Lane = { server: MutantServer; judge: UnboundJudge };
type Truth = (name: DomainName, type: number) => Promise<Message>;
type Bench = { world: World; truth: Truth; lanes: readonly Lane[]; anchors: TrustAnchors; transport: Transport };

/** Runs mutants and returns those on which the judges did not agree. */
export async function runCampaign(options: CampaignOptions): Promise<{ disagreements: Disagreement[] }> {
  const directory = await mkdtemp(join(tmpdir(), "dane-relay-differential-"));
  const block = await claimBlock();
  const stops: (() => Promise<void> | void)[] = [() => rm(directory, { recursive: true, force: true }), () => block.release()];
  try {
    const bench = await setUp(directory, block, options.rows, stops);
    const disagreements: Disagreement[] = [];
    const numbers = [...options.numbers];
    const work = async (lane: Lane): Promise<void> => {
      for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) {
        const mutant = await mutantOf(number, options.seed, bench);
        const result = await judged(mutant, lane, bench);
        options.onResult?.(result);
        if (!sameOpinion(result.ours, result.unbound)) disagreements.push(await examined(result, lane, bench));
      }
    };
    await Promise.all(bench.lanes.map(work));
    return { disagreements };
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
  const nsd = await startNsd({ name: "nsd", directory, address: block.address(PLACES.nsd), zones: world.zones });
  stops.push(() => nsd.stop());
  const address = block.address(PLACES.plain);
  const { rootHintsFile, trustAnchorFile } = world;
  const plain = await startUnbound({ name: "plain", directory, address, rootHintsFile, validation: { kind: "none" } });
  stops.push(() => plain.stop());
  const transport = createTransport();
  stops.push(() => transport.close());
  const truth = remembered(address, transport);
  const lanes: Lane[] = [];
  for (let i = 0; i < LANES; i += 1) {
    const server = await startMutantServer(block.address(PLACES.firstServer + i), truth);
    stops.push(() => server.stop());
    const judge = await startUnboundJudge({
      directory: join(directory, `judge${i}`),
      address: block.address(PLACES.firstJudge + i),
      upstream: server.address,
      trustAnchorFile,
      transport,
    });
    stops.push(() => judge.daemon.stop());
    lanes.push({ server, judge });
  }
  const read = await loadTrustAnchors(trustAnchorFile);
  if (read.kind === "error") throw new Error(read.reason);
  return { world, truth, lanes, anchors: read.anchors, transport };
}

const WAIT_MILLISECONDS = 5000;

/** True answers, each asked for once, so that their TTLs do not run while the campaign does. */
function remembered(address: string, transport: Transport): Truth {
  const known = new Map<string, Promise<Message>>();
  const ask: Truth = async (name, type) => {
    const edns = { udpPayloadSize: 1232, dnssecOk: true };
    const query = { name, type, recursionDesired: true, checkingDisabled: true, edns };
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

async function mutantOf(number: number, seed: number, { world, truth }: Bench): Promise<Mutant> {
  const draw = new Draw(Math.imul(seed, HASH_PRIME) + Math.imul(number + 1, 0x85ebca6b));
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
  return { number, question, spoiled, labels, message };
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

async function judged(mutant: Mutant, { server, judge }: Lane, { anchors, transport }: Bench): Promise<Result> {
  await judge.forget();
  server.serve(new Map([[questionKey(mutant.spoiled.name, mutant.spoiled.type), mutant.message]]));
  const [unbound, ours] = await Promise.all([
    judge.opinion(mutant.question),
    ourOpinion(server.address, mutant.question, anchors, transport),
  ]);
  return { mutant, ours, unbound };
}

async function examined(result: Result, { server }: Lane, { anchors, transport, world }: Bench): Promise<Disagreement> {
  const delv = await delvOpinion(server.address, result.mutant.question, world);
  server.serve(new Map());
  const truth = await ourOpinion(server.address, result.mutant.question, anchors, transport);
  return { ...result, delv, truth };
}

export function questionText({ name, type }: Question): string {
  return `${displayName(name)} ${typeName(type)}`;
}
