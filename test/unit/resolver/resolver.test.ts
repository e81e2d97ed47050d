import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Message, RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { algorithmTable } from "../../../src/dnssec/algorithm.ts";
import { reasonText } from "../../../src/dnssec/securityStatus.ts";
import { createResolver, type ResolverOptions, type Verdict } from "../../../src/resolver/resolver.ts";
import type { Source } from "../../../src/resolver/source.ts";
import { anchorsOf, signedTree } from "../../conformance/ownCase.ts";
import { signingKey, signRrset } from "../../fake/signer.ts";
import { FAKE_NOW, FAKE_WINDOW, type FakeDns, fakeDns, type Tamper, type ZoneDefinition } from "../../fake/zone.ts";

const RECORDS = [
  "example.test 600 MX 10 mail.example.test",
  "mail.example.test 300 A 192.0.2.1",
  "mail.example.test 300 A 192.0.2.2",
  "mail.example.test 300 AAAA 2001:db8::1",
  "_25._tcp.mail.example.test 300 TLSA 3 1 1 abcd",
  'example.test 300 TXT "v=TLSRPTv1" "; rua"',
  "alias.example.test 300 CNAME mail.example.test",
];

function world(options: { zones?: readonly ZoneDefinition[]; tamper?: Tamper; overrides?: Partial<ResolverOptions> } = {}) {
  const dns: FakeDns = fakeDns(options.zones ?? signedTree(RECORDS), options.tamper);
  let seconds = 0;
  const verdicts: Verdict[] = [];
  const resolver = createResolver({
    source: dns.source,
    anchors: anchorsOf(dns),
    algorithms: algorithmTable({ sha1: "insecure" }),
    clock: { now: () => (FAKE_NOW + seconds) * 1000, monotonic: () => seconds * 1000 },
    timeoutSeconds: 10,
    trustCacheEntries: 100,
    cacheEntries: 100,
    onVerdict: (verdict) => verdicts.push(verdict),
    ...options.overrides,
  });
  const asked = () => dns.asked.map((one) => `${one.name} ${one.type}`);
  return { resolver, dns, asked, verdicts, pass: (more: number) => (seconds += more) };
}

describe("look-ups", () => {
  test("give the data of each type, with status, end of the chain and TTL", async () => {
    const { resolver } = world();
    const mx = await resolver.resolve(name("example.test"), "MX");
    const expected = { status: "secure", answer: "records", aliases: [], name: "example.test.", ttlSeconds: 600 };
    assert.deepEqual(mx, { ...expected, records: [{ preference: 10, exchange: "mail.example.test." }] });
    const records = async (owner: string, type: "A" | "AAAA" | "TLSA" | "TXT") => {
      const resolution = await resolver.resolve(name(owner), type);
      return "records" in resolution ? resolution.records : resolution;
    };
    assert.deepEqual(await records("mail.example.test", "A"), ["192.0.2.1", "192.0.2.2"]);
    assert.deepEqual(await records("mail.example.test", "AAAA"), ["2001:db8::1"]);
    assert.deepEqual(await records("_25._tcp.mail.example.test", "TLSA"), [
      { usage: 3, selector: 1, matchingType: 1, data: Buffer.from("abcd", "hex") },
    ]);
    assert.deepEqual(await records("example.test", "TXT"), [[Buffer.from("v=TLSRPTv1"), Buffer.from("; rua")]]);
  });

  test("tell every alias with its own status: the whole is as weak as its weakest hop", async () => {
    const zones = [
      ...signedTree(["alias.example.test CNAME mail.plain.test"]),
      { name: "plain.test.", unsigned: true, records: ["mail.plain.test A 192.0.2.3"] },
    ];
    const resolution = await world({ zones }).resolver.resolve(name("alias.example.test"), "A");
    assert.equal(resolution.status, "insecure");
    assert.deepEqual("aliases" in resolution && resolution.aliases, [
      { name: "alias.example.test.", target: "mail.plain.test.", status: "secure" },
    ]);
    assert.equal("name" in resolution && resolution.name, "mail.plain.test.");
  });

  test("a record of the asked type that is malformed leaves no shorter list", async () => {
    const zones = signedTree(["_25._tcp.example.test TLSA 3 1 1 abcd", "_25._tcp.example.test TYPE52 \\# 2 0301"]);
    const resolution = await world({ zones }).resolver.resolve(name("_25._tcp.example.test"), "TLSA");
    assert.equal(resolution.status, "indeterminate");
    assert.equal(resolution.reasons?.at(-1)?.code, "malformed");
  });

  test("reasons read outermost first, and carry the extended error", async () => {
    const late = signedTree(["example.test MX 10 mail.example.test"], {
      window: { inception: FAKE_NOW - 200, expiration: FAKE_NOW - 100 },
    });
    const resolution = await world({ zones: late }).resolver.resolve(name("example.test"), "MX");
    assert.ok(resolution.status === "bogus");
    assert.match(
      reasonText(resolution.reasons),
      /^the MX of example\.test is bogus: the keys of example\.test .*expired 100 seconds ago$/,
    );
    assert.equal(resolution.ede, 7);
  });
});

describe("the cache of answers", () => {
  test("asks nothing again within the TTL, and tells what is left of it", async () => {
    const { resolver, asked, verdicts, pass } = world();
    await resolver.resolve(name("mail.example.test"), "A");
    const before = asked().length;
    pass(299);
    const again = await resolver.resolve(name("mail.example.test"), "A");
    assert.equal(asked().length, before);
    assert.equal("ttlSeconds" in again && again.ttlSeconds, 1);
    assert.equal(verdicts.length, 1);
    pass(1);
    await resolver.resolve(name("mail.example.test"), "A");
    assert.equal(asked().length, before + 1);
  });

  test("keeps a denial for the lesser of SOA TTL and MINIMUM (RFC 2308 §5)", async () => {
    const { resolver, asked, pass } = world();
    const ask = () => resolver.resolve(name("mail.example.test"), "TLSA");
    const first = await ask();
    assert.equal("ttlSeconds" in first && first.ttlSeconds, 300);
    const before = asked().length;
    pass(299);
    await ask();
    assert.equal(asked().length, before);
    pass(1);
    await ask();
    assert.equal(asked().length, before + 1);
  });

  test("keeps nothing beyond the end of its signature", async () => {
    const zones = signedTree(["example.test MX 10 mail.example.test"], {
      window: { inception: FAKE_NOW - 100, expiration: FAKE_NOW + 40 },
    });
    const { resolver, pass } = world({ zones });
    assert.equal((await resolver.resolve(name("example.test"), "MX")).status, "secure");
    pass(41);
    assert.equal((await resolver.resolve(name("example.test"), "MX")).status, "bogus");
  });

  test("keeps what does not hold for a short time only", async () => {
    let broken = true;
    const tamper: Tamper = (message, _owner, type) =>
      broken && type === RR_TYPE.MX ? { ...message, answer: message.answer.slice(0, 1) } : message;
    const { resolver, pass } = world({ tamper });
    const ask = async () => (await resolver.resolve(name("example.test"), "MX")).status;
    assert.equal(await ask(), "bogus");
    broken = false;
    assert.equal(await ask(), "bogus");
    pass(30);
    assert.equal(await ask(), "secure");
  });

  test("remembers what is proved about zones for all their names", async () => {
    const { resolver, asked } = world();
    await resolver.resolve(name("example.test"), "MX");
    const chain = asked().length;
    await resolver.resolve(name("mail.example.test"), "A");
    assert.equal(asked().length, chain + 1);
    assert.deepEqual(resolver.counts().answers, { entries: 2, hits: 0, misses: 2 });
  });

  test("holds no more than its share of memory, whatever a zone sends", async () => {
    const many = Array.from({ length: 500 }, (_, i) => `many.example.test 300 A 192.0.${i >> 8}.${i & 255}`);
    const zones = signedTree([...RECORDS, ...many]);
    const { resolver, asked } = world({ zones, overrides: { cacheOctets: 50_000 } });
    const questions = async (owner: string): Promise<number> => {
      const before = asked().length;
      await resolver.resolve(name(owner), "A");
      return asked().length - before;
    };
    await questions("mail.example.test");
    assert.equal(await questions("mail.example.test"), 0);
    assert.equal(await questions("many.example.test"), 1);
    assert.equal(await questions("many.example.test"), 1);
    assert.equal(await questions("mail.example.test"), 0);
  });

  test("equal questions under way are asked once", async () => {
    const { resolver, asked } = world();
    const results = await Promise.all(Array.from({ length: 20 }, () => resolver.resolve(name("example.test"), "MX")));
    assert.deepEqual(new Set(results.map((one) => one.status)), new Set(["secure"]));
    assert.equal(new Set(asked()).size, asked().length);
  });
});

describe("bounds of one look-up", () => {
  test("a source that never answers ends indeterminate when the time is over", async () => {
    const silent: Source = { ask: () => new Promise(() => undefined) };
    const { resolver } = world({ overrides: { source: silent, timeoutSeconds: 0.02 } });
    const resolution = await resolver.resolve(name("example.test"), "MX");
    assert.equal(resolution.status, "indeterminate");
    assert.match(reasonText(resolution.reasons ?? [{ code: "malformed", text: "" }]), /within 0\.02 seconds/);
  });

  test("names with a hundred labels, aliased to each other, do not cost questions without end", async () => {
    const deep = (first: string) => `${first}.${"a.".repeat(100)}example.test`;
    const zones = signedTree([
      `start.example.test CNAME ${deep("n0")}`,
      ...Array.from({ length: 10 }, (_, i) => `${deep(`n${i}`)} CNAME ${deep(`n${i + 1}`)}`),
    ]);
    // Without signatures every label below the zone must be asked for a cut.
    const tamper = (message: Message) => ({
      ...message,
      answer: message.answer.filter((one) => one.type !== RR_TYPE.RRSIG || one.name.length < 40),
    });
    const { resolver, asked } = world({ zones, tamper });
    const resolution = await resolver.resolve(name("start.example.test"), "A");
    assert.ok(resolution.status === "bogus" || resolution.status === "indeterminate");
    assert.ok(asked().length <= 120, `${asked().length} questions`);
  });

  test("and what one look-up could not afford is not remembered for others", async () => {
    const stray = signingKey({ seed: "nobody" });
    for (let labels = 30; labels <= 60; labels += 1) {
      const deep = `n.${"a.".repeat(labels)}example.test`;
      const zones = [
        ...signedTree([`${deep} CNAME www.victim.test`]),
        { name: "victim.test.", unsigned: true, records: ["www.victim.test A 192.0.2.5"] },
      ];
      // A signature that claims a zone at the name itself: every label down to it is asked for a cut.
      const tamper: Tamper = (message, owner) => {
        const ofOwner = message.answer.filter((one) => one.name === owner);
        const alias = ofOwner.filter((one) => one.type === RR_TYPE.CNAME);
        return alias.length === 0 ? message : { ...message, answer: [...ofOwner, signRrset(alias, stray, owner, FAKE_WINDOW)] };
      };
      const { resolver } = world({ zones, tamper });
      await resolver.resolve(name(deep), "A");
      assert.equal((await resolver.resolve(name("www.victim.test"), "A")).status, "insecure", `after ${labels} labels`);
    }
  });

  test("an answer that does not validate is asked of other servers, a few times", async () => {
    let from = 0;
    const { dns } = world();
    const source: Source = {
      ask: async (owner, type) => {
        const answer = await dns.source.ask(owner, type);
        if (answer.kind !== "message" || type !== RR_TYPE.MX) return answer;
        from += 1;
        return { ...answer, message: { ...answer.message, answer: answer.message.answer.slice(0, 1) }, from: `server ${from}` };
      },
    };
    const { resolver } = world({ overrides: { source } });
    assert.equal((await resolver.resolve(name("example.test"), "MX")).status, "bogus");
    assert.equal(from, 4);
  });

  test("where a zone above is at fault, other servers are not asked for the answer", async () => {
    const { dns } = world();
    const source: Source = {
      ask: async (owner, type) => {
        const answer = await dns.source.ask(owner, type);
        if (answer.kind !== "message") return answer;
        const broken = type === RR_TYPE.DNSKEY && owner === name("test.");
        return {
          ...answer,
          message: broken ? { ...answer.message, answer: [] } : answer.message,
          from: `server ${dns.asked.length}`,
        };
      },
    };
    const { resolver } = world({ overrides: { source } });
    assert.equal((await resolver.resolve(name("example.test"), "MX")).status, "bogus");
    assert.equal(dns.asked.filter((one) => one.type === RR_TYPE.MX).length, 1);
  });

  test("and one good answer among them is enough", async () => {
    const { dns } = world();
    const source: Source = {
      ask: async (owner, type, options) => {
        const answer = await dns.source.ask(owner, type);
        if (answer.kind !== "message" || options?.avoid?.has("liar") === true) return { ...answer, from: "honest" };
        return { ...answer, message: { ...answer.message, answer: answer.message.answer.slice(0, 1) }, from: "liar" };
      },
    };
    const { resolver } = world({ overrides: { source } });
    assert.equal((await resolver.resolve(name("example.test"), "MX")).status, "secure");
  });
});
