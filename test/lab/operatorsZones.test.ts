import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { systemClock, systemRandom } from "../../src/clock.ts";
import { name } from "../../src/dns/name.ts";
import { algorithmTable } from "../../src/dnssec/algorithm.ts";
import { createForwarder } from "../../src/resolver/forwarder.ts";
import { createRecursor } from "../../src/resolver/recursor.ts";
import { createResolver } from "../../src/resolver/resolver.ts";
import { createTransport } from "../../src/resolver/socketTransport.ts";
import type { Source } from "../../src/resolver/source.ts";
import { loadTrustAnchors } from "../../src/resolver/trustAnchorStore.ts";
import { typeNumber } from "../fake/dnsWire.ts";
import { claimBlock } from "./addresses.ts";
import { startNsd } from "./nsd.ts";
import { type OperatedZone, operatedZones } from "./operatorsZones.ts";
import { startUnbound } from "./unbound.ts";
import { unboundVerdict } from "./unboundVerdict.ts";

/** What is signed well must be secure: a validator that is too strict holds mail for days. Unbound says the same of every name. */
const QUESTIONS = [
  ["@", "MX", "secure records"],
  ["_25._tcp.mx", "TLSA", "secure records"],
  ["mx", "TXT", "secure nodata"],
  ["absent", "A", "secure nxdomain"],
  ["alias", "A", "secure records"],
  ["x.wild", "A", "secure records"],
  ["x.wild", "MX", "secure nodata"],
  ["host.old", "A", "secure records"],
] as const;
const PLACES = { nsd: 2, plain: 3, judge: 4 } as const;
const TIMEOUT_SECONDS = 20;

describe("zones with more in them than a validator needs", () => {
  const stops: (() => Promise<void> | void)[] = [];
  let zones: readonly OperatedZone[] = [];
  let judgeAddress = "";
  let lookup: (source: Source, owner: string, type: string) => Promise<string>;
  const ways: Record<string, Source> = {};

  before(async () => {
    const directory = await mkdtemp(join(tmpdir(), "dane-relay-operators-"));
    stops.push(() => rm(directory, { recursive: true, force: true }));
    const block = await claimBlock();
    stops.push(() => block.release());
    const server = block.address(PLACES.nsd);
    const built = await operatedZones(directory, server);
    zones = built.zones;
    const files = [built.root, ...zones].map(({ origin, text }) => ({ origin, text, file: join(directory, `zone.${origin}`) }));
    for (const { file, text } of files) await writeFile(file, text);
    const nsd = await startNsd({ name: "nsd", directory, address: server, zones: files });
    stops.push(() => nsd.stop());
    const [trustAnchorFile, rootHintsFile] = [join(directory, "root.ds"), join(directory, "root.hints")];
    await writeFile(trustAnchorFile, `${built.root.ds.join("\n")}\n`);
    await writeFile(rootHintsFile, `. 300 IN NS ns.\nns. 300 IN A ${server}\n`);
    judgeAddress = block.address(PLACES.judge);
    const anchored = { kind: "anchored" as const, trustAnchorFile };
    const judge = await startUnbound({ name: "judge", directory, address: judgeAddress, rootHintsFile, validation: anchored });
    stops.push(() => judge.stop());
    const address = block.address(PLACES.plain);
    const plain = await startUnbound({ name: "plain", directory, address, rootHintsFile, validation: { kind: "none" } });
    stops.push(() => plain.stop());
    const transport = createTransport();
    stops.push(() => transport.close());
    const read = await loadTrustAnchors(trustAnchorFile);
    assert.ok(read.kind === "anchors");
    const { anchors } = read;
    const clock = systemClock;
    const forward = (upstream: string): Source =>
      createForwarder({ upstreams: [{ address: upstream, port: 53 }], transport, clock, timeoutSeconds: TIMEOUT_SECONDS });
    ways["forwarding to a recursor that does not validate"] = forward(address);
    ways["forwarding to a recursor that validates"] = forward(judgeAddress);
    const rootHints = [{ name: name("ns."), addresses: [server] }];
    ways["by iteration"] = createRecursor({ transport, clock, random: systemRandom, rootHints, allowLoopback: true });
    lookup = async (source, owner, type) => {
      const algorithms = algorithmTable({ sha1: "insecure" });
      const caches = { trustCacheEntries: 100, cacheEntries: 100 };
      const resolver = createResolver({ source, anchors, algorithms, clock, timeoutSeconds: TIMEOUT_SECONDS, ...caches });
      const found = await resolver.lookup(name(owner), typeNumber(type));
      return "answer" in found
        ? `${found.status} ${found.answer}`
        : `${found.status}: ${found.reasons.map((one) => one.text).join(": ")}`;
    };
  });

  after(async () => {
    for (const stop of stops.toReversed()) await stop();
  });

  test("every zone, every question, every way", async () => {
    const wrong: string[] = [];
    const note = (what: string, expected: string, seen: string): void => {
      if (seen !== expected) wrong.push(`${what}: ${seen}, not ${expected}`);
    };
    for (const { origin, title } of zones) {
      for (const [owner, type, expected] of QUESTIONS) {
        const asked = owner === "@" ? origin : `${owner}.${origin}`;
        const what = `${title}: ${asked} ${type}`;
        const verdict = await unboundVerdict(judgeAddress, asked.replace(/\.$/, ""), type);
        note(`${what}, Unbound`, expected, `${verdict.status} ${verdict.answer}`);
        for (const [way, source] of Object.entries(ways)) note(`${what}, ${way}`, expected, await lookup(source, asked, type));
      }
    }
    assert.deepEqual(wrong, []);
    assert.equal(zones.length, 10);
  });
});
