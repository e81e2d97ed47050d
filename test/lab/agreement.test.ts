import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { systemClock, systemRandom } from "../../src/clock.ts";
import { RR_TYPE } from "../../src/dns/message.ts";
import { name } from "../../src/dns/name.ts";
import { algorithmTable } from "../../src/dnssec/algorithm.ts";
import { createForwarder } from "../../src/resolver/forwarder.ts";
import { createRecursor } from "../../src/resolver/recursor.ts";
import { createResolver, type ValidatingResolver } from "../../src/resolver/resolver.ts";
import { parseRootHints } from "../../src/resolver/rootHints.ts";
import { createTransport } from "../../src/resolver/socketTransport.ts";
import type { Source } from "../../src/resolver/source.ts";
import type { Transport } from "../../src/resolver/transport.ts";
import { loadTrustAnchors } from "../../src/resolver/trustAnchorStore.ts";
import { type Lab, startLab } from "./lab.ts";
import { SCENARIOS } from "./scenarios.ts";
import { unboundVerdict, type Verdict } from "./unboundVerdict.ts";

/** Every name of the lab, and names that it has not, by every way to the data: our verdict is Unbound's. */
const TYPES = ["MX", "A", "AAAA", "TLSA", "TXT"] as const;
const PARALLEL = 16;
const TIMEOUT_SECONDS = 5;

type Question = { owner: string; type: (typeof TYPES)[number] };

/** Without the zones behind broken name servers: what these yield depends on what a cache has seen before. */
const ROWS = SCENARIOS.filter(({ zone }) => zone === undefined || zone === "no-zone" || zone.server === undefined);

function owners(lab: Lab): string[] {
  const fromRecords = lab.world.zones.flatMap((zone) => zone.records.map((record) => record.split(" ", 1)[0] ?? ""));
  const absent = lab.world.zones.flatMap(({ origin }) =>
    origin === "" ? ["absent."] : [`${origin}.`, `absent.${origin}.`, `a.b.absent.${origin}.`],
  );
  const tlsaNames = lab.world.receivers.map((receiver) => `_25._tcp.${receiver.name}.`);
  return [...new Set([...fromRecords, ...absent, ...tlsaNames])].filter((owner) => !owner.startsWith("*")).toSorted();
}

async function ours(resolver: ValidatingResolver, question: Question): Promise<Verdict> {
  const resolution = await resolver.lookup(name(question.owner), RR_TYPE[question.type]);
  if (resolution.status === "bogus" || resolution.status === "indeterminate")
    return { status: resolution.status, answer: "none" };
  return { status: resolution.status, answer: resolution.answer };
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}

describe("our validator and Unbound agree on the whole lab", () => {
  let lab: Lab;
  let transport: Transport & { close(): void };
  const expected = new Map<string, Verdict>();
  let questions: Question[];

  before(async () => {
    lab = await startLab(ROWS);
    transport = createTransport();
    questions = owners(lab).flatMap((owner) => TYPES.map((type) => ({ owner, type })));
    await inParallel(questions, async (question) => {
      expected.set(
        `${question.owner} ${question.type}`,
        await unboundVerdict(lab.validatingRecursor, question.owner.replace(/\.$/, ""), question.type),
      );
    });
  });

  after(async () => {
    transport?.close();
    await lab?.stop();
  });

  const compare = async (source: Source): Promise<void> => {
    const read = await loadTrustAnchors(lab.trustAnchorFile);
    assert.ok(read.kind === "anchors");
    const resolver = createResolver({
      source,
      anchors: read.anchors,
      algorithms: algorithmTable({ sha1: "insecure" }),
      clock: systemClock,
      timeoutSeconds: TIMEOUT_SECONDS,
      trustCacheEntries: 10_000,
      cacheEntries: 10_000,
    });
    const differences: string[] = [];
    await inParallel(questions, async (question) => {
      const key = `${question.owner} ${question.type}`;
      const theirs = expected.get(key);
      const mine = await ours(resolver, question);
      if (mine.status !== theirs?.status || mine.answer !== theirs.answer)
        differences.push(`${key}: ours ${mine.status} ${mine.answer}, Unbound's ${theirs?.status} ${theirs?.answer}`);
    });
    assert.deepEqual(differences.toSorted(), []);
    assert.ok(questions.length > 1000);
  };

  const forwarder = (address: string): Source =>
    createForwarder({ upstreams: [{ address, port: 53 }], transport, clock: systemClock, timeoutSeconds: TIMEOUT_SECONDS });

  test("forwarding to a recursor that validates", () => compare(forwarder(lab.validatingRecursor)));
  test("forwarding to a recursor that does not validate", () => compare(forwarder(lab.plainRecursor)));
  test("by iteration from the root", () => {
    const rootHints = parseRootHints(readFileSync(lab.rootHintsFile, "utf8"));
    assert.ok(!("kind" in rootHints));
    return compare(createRecursor({ transport, clock: systemClock, random: systemRandom, rootHints, allowLoopback: true }));
  });
});
