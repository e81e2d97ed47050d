import type { Clock } from "../../src/clock.ts";
import { decodeMessage, isMalformed, type ResourceRecord, RR_TYPE } from "../../src/dns/message.ts";
import { type DomainName, name, nameToWire } from "../../src/dns/name.ts";
import { presentRdata, typeName } from "../../src/dns/rdataText.ts";
import { type AlgorithmTable, algorithmTable } from "../../src/dnssec/algorithm.ts";
import { type Resolution, reasonText } from "../../src/dnssec/securityStatus.ts";
import { createForwarder } from "../../src/resolver/forwarder.ts";
import { createResolver, type ValidatingResolver } from "../../src/resolver/resolver.ts";
import type { Source } from "../../src/resolver/source.ts";
import type { Transport } from "../../src/resolver/transport.ts";
import { parseTrustAnchors } from "../../src/resolver/trustAnchorStore.ts";
import { type Fixture, phaseOf, readFixtures, type Step } from "./fixture.ts";
import { iterativeStage } from "./iterative.ts";
import { testAlgorithmTable } from "./testAlgorithms.ts";

/** Plays the DNSSEC and resolver conformance set against the product's own validator, forwarder and recursor. */

export type Tally = { passed: number; failed: number };

type Expected = { status: string; rcode: string; answer: readonly string[] | null };
const BOGUS: Expected = { status: "bogus", rcode: "SERVFAIL", answer: null };

/** Steps that are meant to end otherwise here than in Unbound; undefined: that cannot be played. */
const DEVIATIONS: readonly { fixture: RegExp; steps: readonly number[]; expected: Expected | undefined }[] = [
  // Below an island of trust (an anchor with no anchor above it) Unbound takes the anchor by the signer that the answer names, so that
  // whoever signs a denial "from above" turns the island insecure. Here the anchor of the asked name counts, and the denial is bogus.
  { fixture: /-val_anchor_nx_nosig$/, steps: [1], expected: BOGUS },
  // An alias that is its own target: Unbound answers with the alias and no end, here it is the loop that it is.
  { fixture: /-iter_dname_insec$/, steps: [220_901], expected: { status: "servfail", rcode: "SERVFAIL", answer: null } },
  // These have no answer in the file: Unbound has it from cached DNAME and NSEC records (RFC 8198).
  { fixture: /-val_dnameqtype(_qmin)?$/, steps: [80, 140, 160, 200], expected: undefined },
];

/** What a client of the resolver would see. `unanswered`: a question on the way had no answer. */
type Seen = { status: string; rcode: string; answer: readonly string[]; why: string; unanswered: boolean };

/** One fixture in play: its upstream is a table, its clocks stand still. */
type Stage = { source: Source; seek: (step: number) => void; unanswered: () => boolean };

/** Plays every fixture below `directory`; `report` gets one line for each step that fails. */
export async function playDnssec(directory: string, report: (line: string) => void): Promise<Tally> {
  const tally = { passed: 0, failed: 0 };
  for (const fixture of readFixtures(directory)) {
    const plays = [{ label: "", algorithms: testAlgorithmTable(fixture.testAlgorithms), expected: expectationOf }];
    if (fixture.testAlgorithms.includes("DSA")) {
      const algorithms = algorithmTable({ sha1: "insecure" });
      plays.push({ label: " (default algorithms)", algorithms, expected: expectationWithoutDsa });
    }
    for (const play of plays) await playFixture(fixture, play, tally, report);
  }
  return tally;
}

type Play = { label: string; algorithms: AlgorithmTable; expected: (fixture: Fixture, step: Step) => Expected | undefined };

async function playFixture(fixture: Fixture, play: Play, tally: Tally, report: (line: string) => void): Promise<void> {
  let elapsedSeconds = 0;
  const clock: Clock = {
    now: () => (fixture.clock === null ? 0 : Date.parse(fixture.clock)),
    monotonic: () => elapsedSeconds * 1000,
  };
  const stage: Stage = fixture.mode === "iterative" ? iterativeStage(fixture, clock) : forwardingStage(fixture, clock);
  const validating = resolverFor(fixture, stage.source, clock, play.algorithms, true);
  const unvalidating = resolverFor(fixture, stage.source, clock, play.algorithms, false);
  for (const step of fixture.steps) {
    const expected = play.expected(fixture, step);
    if (expected === undefined) continue;
    elapsedSeconds = step.elapseSeconds;
    stage.seek(step.step);
    const owner = name(step.qname);
    const resolution = await (step.cd ? unvalidating : validating).lookup(owner, typeNumber(step.qtype));
    const seen = seenIn(resolution, owner, stage.unanswered());
    const difference = differenceOf(expected, seen);
    if (difference === undefined) tally.passed += 1;
    else {
      tally.failed += 1;
      report(`${fixture.name}${play.label} step ${step.step} ${step.qname} ${step.qtype}: ${difference}`);
    }
  }
}

function resolverFor(
  fixture: Fixture,
  source: Source,
  clock: Clock,
  algorithms: AlgorithmTable,
  validate: boolean,
): ValidatingResolver {
  const read = parseTrustAnchors(fixture.trustAnchors.join("\n"));
  if (read.kind === "error" && fixture.trustAnchors.length > 0) throw new Error(`${fixture.name}: ${read.reason}`);
  const limit = fixture.nsec3MaxIterations ?? 150;
  return createResolver({
    source,
    anchors: read.kind === "anchors" && validate ? read.anchors : new Map(),
    algorithms,
    clock,
    timeoutSeconds: 10,
    trustCacheEntries: 1000,
    cacheEntries: 1000,
    insecureZones: new Set((fixture.options.domainInsecure ?? []).map(name)),
    nsec3Iterations: { insecureAbove: limit, bogusAbove: Number.POSITIVE_INFINITY },
    requireAllAlgorithms: fixture.options.hardenAlgorithmDowngrade === true,
  });
}

function forwardingStage(fixture: Fixture, clock: Clock): Stage {
  let step = 0;
  let missed = false;
  const transport: Transport = {
    exchange: (_server, query) => {
      const { upstream } = phaseOf(fixture, step);
      const entry = upstream?.find((one) => name(one.qname) === query.name && one.qtype === typeName(query.type));
      const message = entry === undefined ? undefined : decodeMessage(Buffer.from(entry.response, "base64"));
      if (message === undefined || isMalformed(message)) missed = true;
      if (message === undefined) return Promise.resolve({ kind: "timeout" });
      if (isMalformed(message)) return Promise.resolve(message);
      return Promise.resolve({ kind: "response", message, transport: "udp", milliseconds: 1 });
    },
  };
  const upstreams = [{ address: "127.12.0.1", port: 53 }] as const;
  return {
    source: createForwarder({ upstreams, transport, clock, timeoutSeconds: 10 }),
    seek: (next) => {
      step = next;
      missed = false;
    },
    unanswered: () => missed,
  };
}

function typeNumber(mnemonic: string): number {
  const known = Object.entries(RR_TYPE).find(([word]) => word === mnemonic);
  if (known === undefined) throw new Error(`no such type: ${mnemonic}`);
  return known[1];
}

/** What a step asks of this validator; undefined: it cannot be played. */
function expectationOf(fixture: Fixture, step: Step): Expected | undefined {
  const { expect } = step;
  // README: "a validator without a record cache skips the step".
  if (step.fromCache === true) return undefined;
  const deviation = DEVIATIONS.find((one) => one.fixture.test(fixture.name) && one.steps.includes(step.step));
  if (deviation !== undefined) return deviation.expected;
  // There is no setting to take stripped signatures for an unsigned zone, and there will be none.
  if (fixture.options.hardenDnssecStripped === false) return BOGUS;
  // The CNAME that was asked for exists; the RCODE speaks of its target (RFC 6604 §3), which was not asked for.
  if (step.qtype === "CNAME" && expect.rcode === "NXDOMAIN" && (expect.answer ?? []).length > 0)
    return { ...expect, rcode: "NOERROR" };
  return expect;
}

/** README step 5: what needs DSA becomes insecure without it, never secure. */
function expectationWithoutDsa(fixture: Fixture, step: Step): Expected | undefined {
  const expected = expectationOf(fixture, step);
  return expected?.status === "secure" ? { ...expected, status: "insecure" } : undefined;
}

function seenIn(resolution: Resolution<ResourceRecord>, asked: DomainName, unanswered: boolean): Seen {
  if (resolution.status === "bogus" || resolution.status === "indeterminate") {
    const why = reasonText(resolution.reasons);
    const tooLong = resolution.reasons.at(-1)?.code === "dname-synthesis" && resolution.status === "indeterminate";
    return { status: resolution.status, rcode: tooLong ? "YXDOMAIN" : "SERVFAIL", answer: [], why, unanswered };
  }
  const records = resolution.aliases.flatMap(({ name: owner, target, dname }) => {
    const cname = { name: owner, type: RR_TYPE.CNAME, rdata: nameToWire(target) };
    return dname === undefined ? [cname] : [{ name: dname.owner, type: RR_TYPE.DNAME, rdata: nameToWire(dname.target) }, cname];
  });
  const all = resolution.answer === "records" ? [...records, ...resolution.records] : records;
  const unsigned = all.filter((record) => record.type !== RR_TYPE.RRSIG);
  const answer = unsigned.map(
    (record) => `${record.name} IN ${typeName(record.type)} ${presentRdata(record.type, record.rdata)}`,
  );
  const rcode = resolution.answer === "nxdomain" ? "NXDOMAIN" : "NOERROR";
  const why = resolution.reasons === undefined ? `${asked} ${resolution.answer}` : reasonText(resolution.reasons);
  return { status: resolution.status, rcode, answer: [...new Set(answer)].sort(), why, unanswered };
}

function differenceOf(expected: Expected, seen: Seen): string | undefined {
  const wanted = `${expected.status} ${expected.rcode}`;
  const got = `${seen.status} ${seen.rcode}`;
  const differs = `expected ${wanted}, seen ${got} (${seen.why})`;
  if (expected.status === "bogus" || expected.status === "servfail") {
    const fails =
      seen.status === "bogus" || (seen.status === "indeterminate" && (seen.unanswered || expected.status === "servfail"));
    return fails ? undefined : differs;
  }
  // A name that a DNAME makes too long is neither there nor absent: the product has no answer of its own for it.
  if (expected.rcode === "YXDOMAIN") return seen.rcode === "YXDOMAIN" ? undefined : differs;
  if (wanted !== got) return differs;
  if (expected.answer === null) return undefined;
  const missing = expected.answer.filter((record) => !seen.answer.includes(record));
  const surplus = seen.answer.filter((record) => !expected.answer?.includes(record));
  if (missing.length + surplus.length === 0) return undefined;
  return `expected answer ${JSON.stringify(expected.answer)}, seen ${JSON.stringify(seen.answer)}`;
}
