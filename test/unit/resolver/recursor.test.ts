import assert from "node:assert/strict";
import { test } from "node:test";
import type { Random } from "../../../src/clock.ts";
import { RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { presentRdata, typeName } from "../../../src/dns/rdataText.ts";
import { createRecursor, type RecursorOptions } from "../../../src/resolver/recursor.ts";
import type { AskOptions, SourceAnswer } from "../../../src/resolver/source.ts";
import type { Transport } from "../../../src/resolver/transport.ts";
import {
  AuthoritativeServers,
  authority,
  type FakeServer,
  referral,
  reply,
  silent,
  withRcode,
} from "../../fake/authoritativeServers.ts";
import { record, records, typeNumber, uint16 } from "../../fake/dnsWire.ts";

const ROOT = "192.0.2.1";
const COM = "192.0.2.2";
const A = "192.0.2.11";
const B = "192.0.2.12";

/** Takes the last of equals, so that the first server in a list is asked first unless something speaks against it. */
const noChance: Random = { below: (exclusiveMaximum) => exclusiveMaximum - 1 };

const root = authority(".", "com NS ns.com", `ns.com A ${COM}`, "net NS ns.net", "ns.net A 192.0.2.3");
const com = authority(
  "com",
  "example.com NS a.example.com",
  "example.com NS b.example.com",
  `a.example.com A ${A}`,
  `b.example.com A ${B}`,
);
const net = authority("net", "example.net NS a.example.net", `a.example.net A ${A}`);
const example = authority(
  "example.com",
  "www.example.com A 203.0.113.1",
  "example.com MX 10 mail.example.com",
  "alias.example.com CNAME www.example.net",
  "deep.ent.example.com A 203.0.113.2",
);

const base = { [ROOT]: root, [COM]: com, "192.0.2.3": net, [A]: example, [B]: example };

function stage(servers: Readonly<Record<string, FakeServer>>, options: Partial<RecursorOptions> = {}) {
  let milliseconds = 0;
  const internet = new AuthoritativeServers({ ...base, ...servers });
  const source = createRecursor({
    transport: internet,
    clock: { now: () => 0, monotonic: () => milliseconds },
    random: noChance,
    rootHints: [{ name: name("ns.root"), addresses: [ROOT] }],
    ...options,
  });
  const ask = async (question: string, asked?: AskOptions): Promise<string> => {
    const [owner = "", type = ""] = question.split(" ");
    return shown(await source.ask(name(owner), typeNumber(type), asked));
  };
  return {
    internet,
    ask,
    source,
    pass: (seconds: number) => {
      milliseconds += seconds * 1000;
    },
  };
}

function shown(answer: SourceAnswer): string {
  if (answer.kind === "failed") return "failed";
  const { rcode, answer: found } = answer.message;
  return rcode === 3
    ? "NXDOMAIN"
    : found.map((one) => `${typeName(one.type)} ${presentRdata(one.type, one.rdata)}`).join(", ") || "NODATA";
}

test("an answer is found from the root down, and delegations are remembered", async () => {
  const { ask, internet } = stage({});
  assert.equal(await ask("www.example.com A"), "A 203.0.113.1");
  assert.deepEqual(internet.questions(), ["com. A", "example.com. A", "www.example.com. A"]);
  assert.equal(await ask("example.com MX"), "MX 10 mail.example.com.");
  assert.equal(internet.sent.length, 4);
  assert.ok(
    internet.sent.every(
      ({ query }) => !query.recursionDesired && query.edns?.dnssecOk === true && query.edns.udpPayloadSize === 1232,
    ),
  );
});

test("without QNAME minimisation every server sees the whole name", async () => {
  const { ask, internet } = stage({}, { qnameMinimisation: false });
  assert.equal(await ask("www.example.com A"), "A 203.0.113.1");
  assert.deepEqual(new Set(internet.questions()), new Set(["www.example.com. A"]));
});

test("absence is told as it is", async () => {
  const { ask } = stage({});
  assert.equal(await ask("none.example.com A"), "NXDOMAIN");
  assert.equal(await ask("www.example.com AAAA"), "NODATA");
  assert.equal(await ask("ent.example.com A"), "NODATA");
  assert.equal(await ask("none. A"), "NXDOMAIN");
});

test("an alias is followed no further than its first hop", async () => {
  const { ask, internet } = stage({});
  assert.equal(await ask("alias.example.com A"), "CNAME www.example.net.");
  assert.ok(!internet.questions().some((question) => question.includes("net.")));
});

const spoiled: readonly [string, FakeServer][] = [
  ["SERVFAIL", withRcode(2)],
  ["REFUSED", withRcode(5)],
  ["NOTAUTH", withRcode(9)],
  ["silence", silent],
  ["a malformed message", () => ({ kind: "malformed", reason: "x" })],
  ["no way there", () => ({ kind: "unreachable", reason: "ENETUNREACH" })],
  ["a referral upward", (query) => referral(query, ["com NS ns.com"])],
  ["a referral to itself", (query) => referral(query, ["example.com NS a.example.com"])],
  ["a referral sideways", (query) => referral(query, ["example.net NS ns.net"])],
  ["an answer to another question", (query) => reply(query, { questions: [{ name: name("x."), type: 1, class: 1 }] })],
  ["the word of the zone above", (query) => reply(query, { rcode: 3, authority: records("com SOA a. b. 1 2 3 4 5") })],
  ["a negative answer without AA", (query) => reply(query, { rcode: 3, authoritative: false })],
  ["an answer without AA", (query) => reply(query, { authoritative: false, answer: records("www.example.com A 6.6.6.6") })],
  [
    "the answer of a cache",
    (query) => reply(query, { authoritative: false, recursionAvailable: true, answer: records("www.example.com A 6.6.6.6") }),
  ],
];
for (const [title, server] of spoiled) {
  test(`one of two servers gives ${title}: the other is heard`, async () => {
    for (const bad of [A, B]) {
      const { ask } = stage({ [bad]: server });
      assert.equal(await ask("www.example.com A"), "A 203.0.113.1");
    }
  });
}

const hopeless = spoiled.slice(0, 12);
for (const [title, server] of hopeless) {
  test(`all servers give ${title}: that is a failure, not absence`, async () => {
    const { ask } = stage({ [A]: server, [B]: server });
    assert.equal(await ask("www.example.com A"), "failed");
    assert.equal(await ask("www.example.com MX"), "failed");
  });
}

test("what is not authoritative counts when nobody is", async () => {
  const noAa: FakeServer = (query) => reply(query, { authoritative: false, answer: records("www.example.com A 203.0.113.9") });
  assert.equal(await stage({ [A]: noAa, [B]: noAa }).ask("www.example.com A"), "A 203.0.113.9");
  const cache: FakeServer = (query) =>
    query.recursionDesired
      ? reply(query, { authoritative: false, recursionAvailable: true, answer: records("www.example.com A 203.0.113.8") })
      : reply(query, { authoritative: false, recursionAvailable: true });
  assert.equal(await stage({ [A]: cache, [B]: cache }).ask("www.example.com A"), "A 203.0.113.8");
});

test("EDNS fallback: a server without EDNS is asked without, remembered as such, and stands behind others", async () => {
  const old: FakeServer = (query) => {
    if (query.edns !== undefined) return { ...withoutOpt(reply(query)), rcode: 1, authoritative: false };
    return withoutOpt(reply(query, { answer: records("www.example.com A 203.0.113.7") }));
  };
  const alone = stage({ [A]: old, [B]: old });
  assert.equal(await alone.ask("www.example.com A"), "A 203.0.113.7");
  assert.equal(await alone.ask("www.example.com A"), "A 203.0.113.7");
  assert.equal(alone.internet.sent.filter(({ server, query }) => server === A && query.edns !== undefined).length, 1);
  assert.equal(await stage({ [A]: old }).ask("www.example.com A"), "A 203.0.113.1");
  assert.equal(await stage({ [B]: old }).ask("www.example.com A"), "A 203.0.113.1");
});

function withoutOpt<T extends { edns?: unknown }>(message: T): Omit<T, "edns"> {
  const { edns: _, ...rest } = message;
  return rest;
}

test("a server that is to be avoided is not heard, and there is no answer when it is the only one", async () => {
  const liar = authority("example.com", "www.example.com A 6.6.6.6");
  const { ask, source } = stage({ [A]: liar });
  const first = await source.ask(name("www.example.com"), 1);
  assert.ok(first.kind === "message" && first.from !== undefined);
  assert.equal(shown(first), "A 6.6.6.6");
  assert.equal(await ask("www.example.com A", { avoid: new Set([first.from]) }), "A 203.0.113.1");
  assert.equal(await ask("www.example.com A", { avoid: new Set([`${A}#53`, `${B}#53`]) }), "failed");
});

test("DS is asked above the cut; what the referral held of it needs no query", async () => {
  const rrsig = { ...record("example.com A 0.0.0.0"), type: 46, rdata: Buffer.concat([uint16(43), Buffer.alloc(17)]) };
  const signedCom: FakeServer = (query) => {
    const ds = [...records("example.com 100 DS 1 13 2 aabb"), { ...rrsig, ttl: 100 }];
    if (query.type === 43) return reply(query, { answer: ds });
    const found = com(query);
    return "kind" in found ? found : { ...found, authority: [...found.authority, ...ds] };
  };
  const { ask, internet, source, pass } = stage({ [COM]: signedCom });
  assert.match(await ask("example.com DS"), /^DS 1 13 2 aabb/);
  assert.deepEqual(internet.questions(COM), ["example.com. DS"]);
  await ask("www.example.com A");
  pass(40);
  const known = await source.ask(name("example.com"), 43);
  assert.deepEqual(internet.questions(COM), ["example.com. DS", "example.com. A"]);
  assert.ok(known.kind === "message" && known.message.answer.every((one) => one.ttl === 60));
  // A referral that does not hold speaks against itself, and not against what its server says when it is asked.
  const avoid = new Set([known.from ?? ""]);
  const asked = await source.ask(name("example.com"), 43, { avoid });
  assert.ok(asked.kind === "message" && asked.from !== known.from);
  assert.equal(internet.questions(COM).filter((question) => question.endsWith("DS")).length, 2);
  assert.match(await ask("example.com DS", { avoid: new Set([...avoid, asked.from ?? ""]) }), /^failed/);
});

test("the parent's word ends with its TTL, whatever the child says", async () => {
  let sold = false;
  const registry: FakeServer = (query) =>
    referral(query, ["example.com 100 NS ns.example.com"], [`ns.example.com 3600 A ${sold ? B : A}`]);
  const old: FakeServer = (query) =>
    reply(query, {
      answer: records("www.example.com A 203.0.113.1"),
      authority: records("example.com 86400 NS ns.example.com"),
      additional: records(`ns.example.com 86400 A ${A}`),
    });
  const { ask, pass } = stage({ [COM]: registry, [A]: old, [B]: authority("example.com", "www.example.com A 203.0.113.99") });
  assert.equal(await ask("www.example.com A"), "A 203.0.113.1");
  sold = true;
  pass(60);
  assert.equal(await ask("www.example.com A"), "A 203.0.113.1");
  pass(60);
  assert.equal(await ask("www.example.com A"), "A 203.0.113.99");
});

/** The registry withdraws sold.com, delegated for 100 seconds; its old owner answers for whatever is below, and delegates it for days. */
function withdrawnZone() {
  let withdrawn = false;
  let late = 0;
  const registry: FakeServer = (query) =>
    withdrawn
      ? reply(query, { rcode: 3, authority: records("com SOA ns.com h.com 1 2 3 4 5") })
      : referral(query, ["sold.com 100 NS ns.sold.com"], [`ns.sold.com 100 A ${A}`]);
  const below = ["sub.sold.com 86400 NS ns.sub.sold.com", `ns.sub.sold.com 86400 A ${B}`];
  const owner = authority("sold.com", "sold.com A 203.0.113.5", ...below);
  const ghost = authority("sub.sold.com", "www.sub.sold.com A 203.0.113.6", "mail.sub.sold.com A 203.0.113.6");
  const on = stage({ [COM]: registry, [A]: owner, [B]: ghost });
  on.internet.beforeAnswer = (_timeout, server) => server === A && on.pass(late);
  return {
    ...on,
    withdraw: () => {
      withdrawn = true;
    },
    answerLate: (seconds: number) => {
      late = seconds;
    },
  };
}

test("what is below a zone lasts no longer than the zone's own delegation", async () => {
  const { ask, pass, withdraw } = withdrawnZone();
  assert.equal(await ask("www.sub.sold.com A"), "A 203.0.113.6");
  withdraw();
  pass(90);
  assert.equal(await ask("mail.sub.sold.com A"), "A 203.0.113.6");
  pass(20);
  assert.equal(await ask("www.sub.sold.com A"), "NXDOMAIN");
});

test("a referral that comes when the delegation of its zone has ended is for the question in progress", async () => {
  const { ask, withdraw, answerLate, pass } = withdrawnZone();
  assert.equal(await ask("sold.com A"), "A 203.0.113.5");
  pass(97);
  answerLate(5);
  assert.equal(await ask("www.sub.sold.com A"), "A 203.0.113.6");
  withdraw();
  assert.equal(await ask("mail.sub.sold.com A"), "NXDOMAIN");
});

test("a denial that shows nothing stands only when no other server knows better", async () => {
  const bare: FakeServer = (query) => reply(query);
  const bareNxdomain = withRcode(3);
  for (const poor of [bare, bareNxdomain]) {
    assert.equal(await stage({ [A]: poor }).ask("www.example.com A"), "A 203.0.113.1");
    const { ask, internet } = stage({ [A]: poor, [B]: poor });
    assert.equal(await ask("www.example.com A"), poor === bare ? "NODATA" : "NXDOMAIN");
    assert.equal(internet.questions(A).length, internet.questions(B).length);
  }
});

test("in-domain glue that ends before the NS records ends the delegation", async () => {
  const { ask, internet, pass } = stage({
    [COM]: authority("com", "example.com 3600 NS a.example.com", `a.example.com 50 A ${A}`),
  });
  await ask("www.example.com A");
  pass(40);
  await ask("example.com MX");
  assert.equal(internet.questions(COM).length, 1);
  pass(20);
  await ask("none.example.com A");
  assert.equal(internet.questions(COM).length, 2);
});

test("DS is asked of the parent also when the child's servers are known", async () => {
  const { ask, internet } = stage({});
  await ask("www.example.com A");
  assert.equal(await ask("example.com DS"), "NODATA");
  assert.deepEqual(internet.sent.at(-1)?.server, COM);
  assert.deepEqual(internet.questions(COM), ["example.com. A", "example.com. DS"]);
});

test("servers that all fail have their parent asked again, once they are not new", async () => {
  let moved = false;
  const registry: FakeServer = (query) =>
    referral(query, ["example.com NS ns.example.com"], [`ns.example.com A ${moved ? B : A}`]);
  const { ask, pass } = stage({ [COM]: registry, [A]: (query) => (moved ? withRcode(5)(query) : example(query)) });
  assert.equal(await ask("www.example.com A"), "A 203.0.113.1");
  moved = true;
  pass(60);
  assert.equal(await ask("www.example.com A"), "A 203.0.113.1");
});

test("out-of-zone glue is not believed: the name server's own zone is asked", async () => {
  const registry: FakeServer = (query) => referral(query, ["example.com NS ns.example.net"], ["ns.example.net A 6.6.6.6"]);
  const evil = authority("example.com", "www.example.com A 6.6.6.6");
  const provider: FakeServer = (query) =>
    query.name.endsWith("example.com.") ? example(query) : authority("example.net", `ns.example.net A ${B}`)(query);
  const { ask, internet } = stage({ [COM]: registry, "6.6.6.6": evil, [A]: provider });
  assert.equal(await ask("www.example.com A"), "A 203.0.113.1");
  assert.deepEqual(internet.questions("6.6.6.6"), []);
});

test("records beside an answer change nothing that is known", async () => {
  const poisoner: FakeServer = (query) =>
    reply(query, {
      answer: [...records("www.example.com A 203.0.113.1", "www.example.net A 6.6.6.6")].filter(
        (one) => query.type === 1 || one.name !== query.name,
      ),
      authority: records("net NS ns.evil.com", "com NS ns.evil.com", "example.net NS ns.evil.com", ". NS ns.evil.com"),
      additional: records("ns.evil.com A 6.6.6.6", "ns.net A 6.6.6.6", "ns.com A 6.6.6.6", "a.example.net A 6.6.6.6"),
    });
  const { ask, internet } = stage({ [A]: poisoner, [B]: poisoner });
  assert.equal(await ask("www.example.com A"), "A 203.0.113.1");
  assert.equal(await ask("other.com A"), "NXDOMAIN");
  await ask("www.example.net A");
  assert.deepEqual(internet.questions("6.6.6.6"), []);
});

test("a child-side name server outside the zone is asked when those of the parent fail; one inside is not", async () => {
  let broken = false;
  const child: FakeServer = (query) => {
    if (broken) return withRcode(2)(query);
    const found = example(query);
    return "kind" in found
      ? found
      : {
          ...found,
          authority: records("example.com NS ns.example.net", "example.com NS evil.example.com"),
          additional: records("evil.example.com A 6.6.6.6"),
        };
  };
  const provider: FakeServer = (query) =>
    query.name.endsWith("example.com.") ? example(query) : authority("example.net", "ns.example.net A 192.0.2.20")(query);
  const { ask, internet } = stage({
    [COM]: authority("com", "example.com NS ns.example.com", `ns.example.com A ${B}`),
    [B]: child,
    "192.0.2.3": authority("net", "example.net NS ns.example.net", "ns.example.net A 192.0.2.20"),
    "192.0.2.20": provider,
  });
  assert.equal(await ask("www.example.com A"), "A 203.0.113.1");
  broken = true;
  assert.equal(await ask("example.com MX"), "MX 10 mail.example.com.");
  assert.deepEqual(internet.questions("6.6.6.6"), []);
  assert.ok(!internet.questions().some((question) => question.startsWith("evil")));
  // Its address is remembered by now.
  assert.equal(await ask("deep.ent.example.com A"), "A 203.0.113.2");
});

test("QNAME minimisation gives way to servers that are wrong about names without records", async () => {
  for (const rcode of [3, 5, 2]) {
    const wrong: FakeServer = (query) => (query.name === "ent.example.com." ? reply(query, { rcode }) : example(query));
    assert.equal(await stage({ [A]: wrong, [B]: wrong }).ask("deep.ent.example.com A"), "A 203.0.113.2");
  }
});

test("what is known to be no zone is not probed again", async () => {
  const { ask, internet } = stage({});
  await ask("www.example.com A");
  await ask("_25._tcp.www.example.com TLSA");
  assert.deepEqual(internet.questions().slice(3), ["_25._tcp.www.example.com. TLSA"]);
});

test("a forward zone is asked with RD and CD, whole names, and nothing leads out of it", async () => {
  const forwarder: FakeServer = (query) =>
    reply(query, { authoritative: false, recursionAvailable: true, answer: records(`${query.name} A 10.0.0.1`) });
  const { ask, internet } = stage(
    { "127.0.0.53#5353": forwarder },
    { forwardZones: [{ zone: name("cluster.local"), servers: [{ address: "127.0.0.53", port: 5353 }] }] },
  );
  assert.equal(await ask("svc.ns.cluster.local A"), "A 10.0.0.1");
  assert.deepEqual(internet.questions(), ["svc.ns.cluster.local. A"]);
  assert.ok(internet.sent.every(({ query }) => query.recursionDesired && query.checkingDisabled));
  const astray: FakeServer = (query) => referral(query, ["svc.cluster.local NS ns.evil.com"], []);
  const lost = stage(
    { "127.0.0.53": astray },
    { forwardZones: [{ zone: name("cluster.local"), servers: [{ address: "127.0.0.53", port: 53 }] }] },
  );
  assert.equal(await lost.ask("a.svc.cluster.local A"), "failed");
});

test("a stub zone is asked without RD, and its referrals are followed", async () => {
  const stub = authority("corp.test", "corp.test A 10.0.0.1", "sub.corp.test NS ns.sub.corp.test", "ns.sub.corp.test A 10.0.0.3");
  const servers = { "10.0.0.2": stub, "10.0.0.3": authority("sub.corp.test", "www.sub.corp.test A 10.0.0.4") };
  const { ask, internet } = stage(servers, {
    stubZones: [{ zone: name("corp.test"), servers: [{ address: "10.0.0.2", port: 53 }] }],
  });
  assert.equal(await ask("corp.test A"), "A 10.0.0.1");
  assert.equal(await ask("www.sub.corp.test A"), "A 10.0.0.4");
  assert.deepEqual(internet.questions(ROOT), []);
  assert.ok(internet.sent.every(({ query }) => !query.recursionDesired));
});

test("learned loopback addresses are not asked unless that is allowed; ports can be set", async () => {
  const toLoopback = {
    [COM]: authority("com", "example.com NS ns.example.com", "ns.example.com A 127.13.0.1"),
    "127.13.0.1": example,
    "127.13.0.1#5300": example,
  };
  const refused = stage(toLoopback);
  assert.equal(await refused.ask("www.example.com A"), "failed");
  assert.deepEqual(refused.internet.questions("127.13.0.1"), []);
  assert.equal(await stage(toLoopback, { allowLoopback: true }).ask("www.example.com A"), "A 203.0.113.1");
  const elsewhere = stage(toLoopback, { allowLoopback: true, ports: new Map([["127.13.0.1", 5300]]) });
  assert.equal(await elsewhere.ask("www.example.com A"), "A 203.0.113.1");
  assert.ok(elsewhere.internet.questions("127.13.0.1#5300").length > 0);
});

test("IPv6 can be switched off: neither glue nor look-ups", async () => {
  const six = {
    [COM]: authority("com", "example.com NS ns.example.com", "ns.example.com AAAA 2001:db8::1", `ns.example.com A ${B}`),
    "2001:db8::1": example,
  };
  const { ask, internet } = stage(six, { ipv6: false });
  assert.equal(await ask("www.example.com A"), "A 203.0.113.1");
  assert.ok(!internet.sent.some(({ server, question }) => server.includes(":") || question.endsWith("AAAA")));
});

/** example.com is served by a name in example.net, whose addresses must be looked up. */
const elsewhere = {
  [COM]: authority("com", "example.com NS ns.example.net"),
  [A]: authority("example.net", `ns.example.net A ${B}`, "ns.example.net AAAA 2001:db8::b"),
};

test("a look-up that never ends for one family does not keep the other family's addresses waiting", async () => {
  const { internet } = stage(elsewhere);
  const exchange: Transport["exchange"] = (server, query, wait) =>
    query.type === RR_TYPE.AAAA ? new Promise(() => undefined) : internet.exchange(server, query, wait);
  const { ask } = stage({}, { transport: { exchange } });
  assert.equal(await ask("www.example.com A"), "A 203.0.113.1");
});

test("where the addresses of the family found first do not answer, the other's are asked", async () => {
  const { ask, internet } = stage({ ...elsewhere, [B]: silent, "2001:db8::b": example });
  assert.equal(await ask("www.example.com A"), "A 203.0.113.1");
  assert.ok(internet.questions(B).length > 0);
});

test("servers that are silent about a minimised name are not asked for the whole one", async () => {
  const { ask, internet } = stage({ [A]: silent, [B]: silent });
  assert.equal(await ask("deep.ent.example.com A"), "failed");
  assert.ok(!internet.questions().some((question) => question.startsWith("deep")));
});

test("equal questions at one time are asked once", async () => {
  const { ask, internet, source } = stage({});
  assert.equal(source.ask(name("none.example.com"), 1), source.ask(name("none.example.com"), 1));
  await ask("none.example.com A");
  internet.sent.length = 0;
  const answers = await Promise.all([ask("www.example.com A"), ask("www.example.com A"), ask("www.example.com A")]);
  assert.deepEqual(new Set(answers), new Set(["A 203.0.113.1"]));
  assert.equal(internet.sent.length, 1);
});

test("different questions at one time share their queries to the zones above", async () => {
  const { ask, internet } = stage({});
  await Promise.all([ask("www.example.com A"), ask("example.com MX"), ask("deep.ent.example.com A")]);
  assert.deepEqual(internet.questions(ROOT), ["com. A"]);
});
