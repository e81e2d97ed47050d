import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { systemClock } from "../src/clock.ts";
import { decodeMessage, isMalformed, type Message, RR_TYPE } from "../src/dns/message.ts";
import { name } from "../src/dns/name.ts";
import { presentRdata } from "../src/dns/rdataText.ts";
import type { AlgorithmTable } from "../src/dnssec/algorithm.ts";
import { createResolver } from "../src/resolver/resolver.ts";
import type { Source } from "../src/resolver/source.ts";
import { parseTrustAnchors } from "../src/resolver/trustAnchorStore.ts";
import { encodeMessage, record, response } from "../test/fake/dnsWire.ts";
import { dnskeyRecord, dsRecord, signingKey, signRrset } from "../test/fake/signer.ts";

/**
 * What the cache costs: MX answers of so many names that were found secure, each decoded from a message of its own as they come from the
 * network. Signatures are not computed, which changes what is looked up how fast and nothing of what is kept.
 */
export async function cacheMemory(counts: readonly number[]): Promise<string[]> {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const key = signingKey({ seed: "memory" });
  const root = name(".");
  const now = Math.floor(Date.now() / 1000);
  const window = { inception: now - 86_400, expiration: now + 30 * 86_400 };
  const keys = [dnskeyRecord(root, key)];
  const trusting: AlgorithmTable = {
    signatures: new Map([[key.algorithm, { mnemonic: "any", importKey: () => ({ kind: "key", verifies: () => true }) }]]),
    digests: new Map([[2, { mnemonic: "any", octets: 32, digest: () => dsRecord(root, key).rdata.subarray(4) }]]),
  };
  const template = signRrset([record("n.example MX 10 mx.n.example")], key, root, window);
  const source: Source = {
    ask: async (owner, type) => {
      if (type === RR_TYPE.DNSKEY)
        return { kind: "message", message: response({ answer: [...keys, signRrset(keys, key, root, window)] }) };
      const mx = record(`${owner} MX 10 mx.${owner}`);
      const rrsig = { ...template, name: owner };
      return { kind: "message", message: fromWire(response({ answer: [mx, rrsig] })), from: "192.0.2.1" };
    },
  };
  const anchors = parseTrustAnchors(`. DS ${presentRdata(RR_TYPE.DS, dsRecord(root, key).rdata)}`);
  if (anchors.kind === "error") throw new Error(anchors.reason);
  const lines: string[] = [];
  const resolver = createResolver({
    source,
    anchors: anchors.anchors,
    algorithms: trusting,
    clock: systemClock,
    timeoutSeconds: 10,
    trustCacheEntries: 1000,
    cacheEntries: Math.max(...counts) + 1,
    cacheOctets: Number.MAX_SAFE_INTEGER,
  });
  collect();
  const before = occupied();
  let filled = 0;
  for (const count of counts) {
    for (; filled < count; filled += 1) {
      const resolution = await resolver.lookup(name(`d${filled}.example.`), RR_TYPE.MX);
      if (resolution.status !== "secure") throw new Error(JSON.stringify(resolution));
    }
    collect();
    const octets = occupied() - before;
    lines.push(`  ${count} names: ${(octets / 2 ** 20).toFixed(0)} MiB, ${(octets / count).toFixed(0)} octets each`);
  }
  return [`memory of the cache of answers (one MX record each)`, ...lines];
}

function occupied(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function fromWire(message: Message): Message {
  const decoded = decodeMessage(encodeMessage(message));
  if (isMalformed(decoded)) throw new Error(decoded.reason);
  return decoded;
}
