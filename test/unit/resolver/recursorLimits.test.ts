import assert from "node:assert/strict";
import { test } from "node:test";
import { name } from "../../../src/dns/name.ts";
import { createRecursor, type RecursorOptions } from "../../../src/resolver/recursor.ts";
import { RECURSOR_LIMITS } from "../../../src/resolver/recursorLimits.ts";
import type { Query } from "../../../src/resolver/transport.ts";
import { seededRandom } from "../../conformance/iterative.ts";
import {
  AuthoritativeServers,
  authority,
  type FakeServer,
  referral,
  reply,
  silent,
  withRcode,
} from "../../fake/authoritativeServers.ts";
import { records } from "../../fake/dnsWire.ts";

/** What hostile zones can make the recursor do, counted in queries. */

const ROOT = "192.0.2.1";
const EVIL = "192.0.2.66";
const VICTIM = "192.0.2.99";
const L = RECURSOR_LIMITS;

const root = authority(".", "evil NS ns.evil", `ns.evil A ${EVIL}`, "victim NS ns.victim", `ns.victim A ${VICTIM}`);

function stage(servers: Readonly<Record<string, FakeServer>>, options: Partial<RecursorOptions> = {}) {
  let milliseconds = 0;
  const internet = new AuthoritativeServers({ [ROOT]: root, [VICTIM]: authority("victim"), ...servers });
  const source = createRecursor({
    transport: internet,
    clock: { now: () => 0, monotonic: () => milliseconds },
    random: seededRandom(7),
    rootHints: [{ name: name("ns.root"), addresses: [ROOT] }],
    ...options,
  });
  const ask = async (owner: string): Promise<string> => {
    const before = internet.sent.length;
    const answer = await source.ask(name(owner), 1);
    assert.ok(internet.sent.length - before <= L.queriesPerQuestion, `${internet.sent.length - before} queries for one question`);
    return answer.kind;
  };
  const advance = (by: number) => {
    milliseconds += by;
  };
  return { internet, ask, advance, now: () => milliseconds };
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

test("NXNSAttack: a referral to many name servers of a victim costs the victim a handful of queries", async () => {
  const evil: FakeServer = (query) =>
    referral(
      query,
      range(200).map((i) => `sub.evil NS ns${i}.x${i}.victim`),
    );
  const { ask, internet } = stage({ [EVIL]: evil });
  assert.equal(await ask("www.sub.evil"), "failed");
  // A and AAAA of each, and one minimised step before them.
  assert.ok(internet.questions(VICTIM).length <= 3 * L.nameserverLookupsPerZone, `${internet.questions(VICTIM).length}`);
});

test("NXNSAttack in storeys: name servers that lead to many more name servers end at the limit of queries", async () => {
  let fresh = 0;
  const evil: FakeServer = (query) => {
    const labels = query.name.split(".");
    const zone = labels.slice(-3).join(".");
    fresh += 1;
    return referral(
      query,
      range(20).map((i) => `${zone} NS a.z${fresh}x${i}.evil`),
    );
  };
  const { ask, internet } = stage({ [EVIL]: evil }, { qnameMinimisation: false });
  assert.equal(await ask("www.z.evil"), "failed");
  assert.ok(internet.sent.length <= L.queriesPerQuestion);
});

test("TsuNAME: zones whose name servers are in each other end soon, and stay ended for a while", async () => {
  const evil = authority("evil", "a.evil NS ns.b.evil", "b.evil NS ns.a.evil");
  const { ask, internet } = stage({ [EVIL]: evil });
  assert.equal(await ask("www.a.evil"), "failed");
  const first = internet.sent.length;
  assert.ok(first <= 5, `${first} queries`);
  for (const i of range(20)) assert.equal(await ask(`host${i}.a.evil`), "failed");
  assert.equal(internet.sent.length, first);
});

test("a circle of many zones ends as well", async () => {
  const zones = range(30).map((i) => `z${i}.evil NS ns.z${(i + 1) % 30}.evil`);
  const { ask, internet } = stage({ [EVIL]: authority("evil", ...zones) });
  assert.equal(await ask("www.z0.evil"), "failed");
  assert.ok(internet.sent.length <= 6 * L.nameserverLookupDepth, `${internet.sent.length} queries`);
});

test("a mesh of zones whose name servers are all in each other costs a bounded number of look-ups, queries or not", async () => {
  const zones = range(20).flatMap((i) => range(20).map((j) => `z${i}.evil NS n${i}x${j}.z${j}.evil`));
  let expansions = 0;
  const chance = seededRandom(7);
  const random = {
    below: (exclusiveMaximum: number) => {
      expansions += 1;
      return chance.below(exclusiveMaximum);
    },
  };
  const { ask, advance } = stage({ [EVIL]: authority("evil", ...zones) }, { random });
  for (const i of range(20)) await ask(`z${i}.evil`);
  // The delegations are known still, the failures no more.
  advance(20_000);
  expansions = 0;
  assert.equal(await ask("www.z0.evil"), "failed");
  assert.ok(expansions <= 2 * L.nameserverLookupsPerQuestion + 2, `${expansions} zones expanded`);
});

test("name servers in zones whose name servers are in zones: so deep and no deeper", async () => {
  const chain = (depth: number) => [
    ...range(depth).map((i) => `z${i}.evil NS ns.z${i + 1}.evil`),
    `z${depth}.evil NS ns.z${depth}.evil`,
    `ns.z${depth}.evil A 192.0.2.50`,
  ];
  const all: FakeServer = (query) => reply(query, { answer: query.type === 1 ? records(`${query.name} A 192.0.2.50`) : [] });
  // The last name server has glue, so that the one before it needs no look-up.
  const deepest = stage({ [EVIL]: authority("evil", ...chain(L.nameserverLookupDepth + 1)), "192.0.2.50": all });
  assert.equal(await deepest.ask("www.z0.evil"), "message");
  const tooDeep = stage({ [EVIL]: authority("evil", ...chain(L.nameserverLookupDepth + 2)), "192.0.2.50": all });
  assert.equal(await tooDeep.ask("www.z0.evil"), "failed");
});

test("referrals that go one label deeper each time end at their limit", async () => {
  const labels = range(60).map((i) => `l${i}`);
  const asked = `${labels.join(".")}.evil.`;
  const deeper: FakeServer = (query) => {
    const seen = internet.questions(EVIL).length;
    const zone = asked
      .split(".")
      .slice(-2 - seen)
      .join(".");
    return referral(query, [`${zone} NS ns.evil`], [`ns.evil A ${EVIL}`]);
  };
  const { ask, internet } = stage({ [EVIL]: (query: Query) => deeper(query) }, { qnameMinimisation: false });
  assert.equal(await ask(asked), "failed");
  assert.ok(internet.sent.length <= L.referralsPerName + L.nameserverLookupsPerZone * 4, `${internet.sent.length}`);
});

test("a name of 120 labels below a wildcard costs at most ten queries of the zone (RFC 9156 §2.3)", async () => {
  const wildcard: FakeServer = (query) => reply(query, { answer: records(`${query.name} A 192.0.2.50`) });
  const { ask, internet } = stage({ [EVIL]: wildcard });
  assert.equal(await ask(`${"a.".repeat(120)}evil`), "message");
  assert.ok(internet.sent.length <= 10, `${internet.sent.length} queries`);
});

test("a name server with very many addresses has a few of them asked, a zone with very many servers too", async () => {
  const many = range(250).map((i) => `ns.sub.evil A 198.51.100.${i + 1}`);
  const one = stage({ [EVIL]: authority("evil", "sub.evil NS ns.sub.evil", ...many) }, { limits: { repeatedTries: 0 } });
  assert.equal(await one.ask("sub.evil"), "failed");
  assert.equal(
    new Set(one.internet.sent.map(({ server }) => server).filter((server) => server.startsWith("198."))).size,
    L.addressesPerNameserver,
  );
  const servers = range(200).flatMap((i) => [`sub.evil NS n${i}.sub.evil`, `n${i}.sub.evil A 198.51.100.${i + 1}`]);
  const zone = stage({ [EVIL]: authority("evil", ...servers) }, { limits: { repeatedTries: 0 } });
  assert.equal(await zone.ask("sub.evil"), "failed");
  assert.ok(zone.internet.sent.length <= L.serversPerZone + 4, `${zone.internet.sent.length} queries`);
});

test("of many name servers in a referral so many are kept", async () => {
  const servers = range(9).flatMap((i) => [`sub.evil NS n${i}.sub.evil`, `n${i}.sub.evil A 198.51.100.${i + 1}`]);
  const { ask, internet } = stage({ [EVIL]: authority("evil", ...servers) }, { limits: { nameserversPerZone: 3 } });
  assert.equal(await ask("sub.evil"), "failed");
  assert.equal(new Set(internet.sent.map(({ server }) => server).filter((server) => server.startsWith("198."))).size, 3);
});

test("answers without AA are compared with so many others, and cause no look-ups", async () => {
  const noAa: FakeServer = (query) => reply(query, { authoritative: false, answer: records(`${query.name} A 192.0.2.50`) });
  const zone = (servers: number) =>
    range(servers).flatMap((i) => [`sub.evil NS n${i}.sub.evil`, `n${i}.sub.evil A 198.51.100.${i}`]);
  const at = Object.fromEntries(range(9).map((i) => [`198.51.100.${i}`, noAa]));
  const many = stage({ ...at, [EVIL]: authority("evil", ...zone(9)) });
  assert.equal(await many.ask("sub.evil"), "message");
  assert.equal(many.internet.questions().filter((question) => question === "sub.evil. A").length, 1 + 1 + L.secondOpinions);
  const one = stage({ ...at, [EVIL]: authority("evil", ...zone(1)) });
  assert.equal(await one.ask("sub.evil"), "message");
  assert.deepEqual(one.internet.questions("198.51.100.0"), ["sub.evil. A"]);
});

test("no second opinion is asked of a server that is known to be silent", async () => {
  const noAa: FakeServer = (query) => reply(query, { authoritative: false, answer: records(`${query.name} A 192.0.2.50`) });
  const zone = ["sub.evil NS a.sub.evil", "a.sub.evil A 198.51.100.1", "sub.evil NS b.sub.evil", "b.sub.evil A 198.51.100.2"];
  const { ask, internet } = stage({ [EVIL]: authority("evil", ...zone), "198.51.100.1": noAa, "198.51.100.2": silent });
  for (const i of range(20)) assert.equal(await ask(`h${i}.sub.evil`), "message");
  assert.equal(internet.questions("198.51.100.2").length, 2);
});

test("silent servers cost no more than the time of one question", async () => {
  const servers = range(20).flatMap((i) => [`sub.evil NS n${i}.sub.evil`, `n${i}.sub.evil A 198.51.100.${i + 1}`]);
  const { ask, internet, advance, now } = stage({ [EVIL]: authority("evil", ...servers) });
  internet.beforeAnswer = (timeout, server) => advance(server.startsWith("198.") ? timeout : 10);
  assert.equal(await ask("sub.evil"), "failed");
  assert.ok(now() <= L.questionMilliseconds, `${now()} ms`);
});

test("a server that is silent is asked after the others next time", async () => {
  const evil = authority(
    "evil",
    "sub.evil NS a.sub.evil",
    "sub.evil NS b.sub.evil",
    "a.sub.evil A 198.51.100.1",
    "b.sub.evil A 198.51.100.2",
  );
  const { ask, internet } = stage({ [EVIL]: evil, "198.51.100.1": silent, "198.51.100.2": authority("sub.evil") });
  for (const i of range(40)) assert.equal(await ask(`h${i}.sub.evil`), "message");
  const wasted = internet.questions("198.51.100.1").length;
  assert.ok(wasted <= 2, `${wasted} queries to the silent server`);
});

test("every mixture of hostile replies ends within the limit of queries", async () => {
  for (let seed = 1; seed <= 150; seed += 1) {
    const random = seededRandom(seed);
    const zone = () => ["evil", "a.evil", "b.a.evil", "c.b.a.evil", "x.victim", "victim"][random.below(6)] ?? "evil";
    const address = () => `198.51.100.${random.below(6)}`;
    const hostile: FakeServer = (query) => {
      const ns = range(1 + random.below(8)).map((i) => `n${i}.${zone()}`);
      const owner = zone();
      const parts = [
        () =>
          referral(
            query,
            ns.map((server) => `${owner} NS ${server}`),
            ns.map((server) => `${server} A ${address()}`),
          ),
        () =>
          referral(
            query,
            ns.map((server) => `${owner} NS ${server}`),
          ),
        () => reply(query, { answer: records(`${query.name} CNAME x.${owner}`) }),
        () => reply(query, { authoritative: false, recursionAvailable: true }),
        () => withRcode(random.below(10))(query),
        () => silent(query),
      ];
      return (parts[random.below(parts.length)] ?? silent)(query);
    };
    const servers = Object.fromEntries([EVIL, VICTIM, ...range(6).map((i) => `198.51.100.${i}`)].map((at) => [at, hostile]));
    const { ask } = stage(servers, { qnameMinimisation: seed % 2 === 0 });
    for (const owner of ["www.c.b.a.evil", "x.victim", "a.evil"]) await ask(owner);
  }
});
