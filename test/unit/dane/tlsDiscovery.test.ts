import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { HostOrigin } from "../../../src/dane/referenceIdentifier.ts";
import { candidateBases, discoverTls, type HostLookups, type InsecureMxPolicy } from "../../../src/dane/tlsDiscovery.ts";
import { name } from "../../../src/dns/name.ts";
import type { TlsaData } from "../../../src/dns/rdata.ts";
import type { Alias, Resolution } from "../../../src/dnssec/securityStatus.ts";

const HOST = name("mx.example.org");
const MIDDLE = name("alias.example.net");
const EXPANDED = name("host.example.net");
const NEXT_HOP = name("example.org");
const EXPANDED_NEXT_HOP = name("example.com");

type Status = "secure" | "insecure";

function alias(first: Status, second: Status): readonly Alias[] {
  return [
    { name: HOST, target: MIDDLE, status: first },
    { name: MIDDLE, target: EXPANDED, status: second },
  ];
}

function found<R>(status: Status, record: R, aliases: readonly Alias[] = []): Resolution<R> {
  return { status, answer: "records", aliases, name: aliases.at(-1)?.target ?? HOST, records: [record], ttlSeconds: 60 };
}

function absent<R>(status: Status, answer: "nodata" | "nxdomain" = "nodata", aliases: readonly Alias[] = []): Resolution<R> {
  return { status, answer, aliases, name: aliases.at(-1)?.target ?? HOST, ttlSeconds: 60 };
}

const bogus = { status: "bogus", reasons: [{ code: "signature-expired", text: "expired" }] } as const;
const indeterminate = { status: "indeterminate", reasons: [{ code: "lookup-failed", text: "timed out" }] } as const;

/** What one family's look-up can be (RFC 7672 §2.2.2). */
const FAMILY: Readonly<Record<string, (address: string) => Resolution<string>>> = {
  secure: (address) => found("secure", address),
  insecure: (address) => found("insecure", address),
  "secure alias": (address) => found("secure", address, alias("secure", "secure")),
  "secure alias, insecure end": (address) => found("insecure", address, alias("secure", "insecure")),
  "insecure alias": (address) => found("insecure", address, alias("insecure", "secure")),
  "secure nodata": () => absent("secure"),
  "insecure nodata": () => absent("insecure"),
  bogus: () => bogus,
  indeterminate: () => indeterminate,
};

type Expected = "host" | "expanded, host" | "insecure" | "no address" | "unreachable";

/** Every pair of them; the other order has to give the same. */
const FAMILIES: readonly [string, string, Expected][] = [
  ["secure", "secure", "host"],
  ["secure", "insecure", "host"],
  ["secure", "secure alias", "expanded, host"],
  ["secure", "secure alias, insecure end", "host"],
  ["secure", "insecure alias", "host"],
  ["secure", "secure nodata", "host"],
  ["secure", "insecure nodata", "host"],
  ["secure", "bogus", "host"],
  ["secure", "indeterminate", "host"],
  ["insecure", "insecure", "insecure"],
  ["insecure", "secure alias", "expanded, host"],
  ["insecure", "secure alias, insecure end", "host"],
  ["insecure", "insecure alias", "insecure"],
  ["insecure", "secure nodata", "host"],
  ["insecure", "insecure nodata", "insecure"],
  ["insecure", "bogus", "insecure"],
  ["insecure", "indeterminate", "insecure"],
  ["secure alias", "secure alias", "expanded, host"],
  ["secure alias", "secure alias, insecure end", "expanded, host"],
  ["secure alias", "insecure alias", "expanded, host"],
  ["secure alias", "secure nodata", "expanded, host"],
  ["secure alias", "insecure nodata", "expanded, host"],
  ["secure alias", "bogus", "expanded, host"],
  ["secure alias", "indeterminate", "expanded, host"],
  ["secure alias, insecure end", "secure alias, insecure end", "host"],
  ["secure alias, insecure end", "insecure alias", "host"],
  ["secure alias, insecure end", "secure nodata", "host"],
  ["secure alias, insecure end", "insecure nodata", "host"],
  ["secure alias, insecure end", "bogus", "host"],
  ["secure alias, insecure end", "indeterminate", "host"],
  ["insecure alias", "insecure alias", "insecure"],
  ["insecure alias", "secure nodata", "host"],
  ["insecure alias", "insecure nodata", "insecure"],
  ["insecure alias", "bogus", "insecure"],
  ["insecure alias", "indeterminate", "insecure"],
  ["secure nodata", "secure nodata", "no address"],
  ["secure nodata", "insecure nodata", "no address"],
  ["secure nodata", "bogus", "unreachable"],
  ["secure nodata", "indeterminate", "unreachable"],
  ["insecure nodata", "insecure nodata", "no address"],
  ["insecure nodata", "bogus", "unreachable"],
  ["insecure nodata", "indeterminate", "unreachable"],
  ["bogus", "bogus", "unreachable"],
  ["bogus", "indeterminate", "unreachable"],
  ["indeterminate", "indeterminate", "unreachable"],
];

function family(state: string, address: string): Resolution<string> {
  const make = FAMILY[state];
  if (make === undefined) throw new Error(`no such state: ${state}`);
  return make(address);
}

function candidatesOf(a: string, aaaa: string): Expected {
  const candidates = candidateBases({ host: HOST, a: family(a, "192.0.2.1"), aaaa: family(aaaa, "2001:db8::1") });
  switch (candidates.kind) {
    case "insecure":
      return "insecure";
    case "noAddress":
      return "no address";
    case "unreachable":
      return "unreachable";
    case "candidates":
      // The name in the middle of the alias chain is never one (RFC 7672 §2.2.3).
      assert.ok(!candidates.bases.includes(MIDDLE));
      assert.deepEqual(candidates.bases, candidates.bases.length === 1 ? [HOST] : [EXPANDED, HOST]);
      return candidates.bases.length === 1 ? "host" : "expanded, host";
    default:
      return candidates satisfies never;
  }
}

describe("RFC 7672 §2.2.2: candidates from the two families", () => {
  test("the table holds every pair", () => {
    const states = Object.keys(FAMILY);
    const pairs = new Set(FAMILIES.flatMap(([a, b]) => [`${a} / ${b}`, `${b} / ${a}`]));
    assert.equal(pairs.size, states.length ** 2);
  });
  for (const [a, aaaa, expected] of FAMILIES) {
    test(`${a} / ${aaaa}: ${expected}`, () => {
      assert.equal(candidatesOf(a, aaaa), expected);
      assert.equal(candidatesOf(aaaa, a), expected);
    });
  }
});

const USABLE: TlsaData = { usage: 3, selector: 1, matchingType: 1, data: Buffer.alloc(32, 1) };
const PKIX: TlsaData = { usage: 1, selector: 1, matchingType: 1, data: Buffer.alloc(32, 2) };

/** What a TLSA look-up can be (RFC 7672 §2.2). */
const ANSWERS: Readonly<Record<string, Resolution<TlsaData>>> = {
  usable: found("secure", USABLE),
  "usable over aliases": found("secure", USABLE, alias("secure", "secure")),
  unusable: found("secure", PKIX),
  insecure: found("insecure", USABLE),
  "insecure over an alias": found("insecure", USABLE, alias("secure", "insecure")),
  nodata: absent("secure"),
  nxdomain: absent("secure", "nxdomain"),
  "insecure nodata": absent("insecure"),
  "insecure nxdomain": absent("insecure", "nxdomain"),
  bogus,
  indeterminate,
};

const SECURE_MX: HostOrigin = { kind: "mx", mx: "secure", nextHop: NEXT_HOP, expandedNextHop: EXPANDED_NEXT_HOP };

function lookups(
  addresses: "plain" | "aliased",
  origin: HostOrigin = SECURE_MX,
  insecureMx: InsecureMxPolicy = "dane",
): HostLookups {
  const a = family(addresses === "plain" ? "secure" : "secure alias", "192.0.2.1");
  return { host: HOST, port: 25, origin, insecureMx, a, aaaa: absent("secure") };
}

/** Asks as the edge would; says what was asked and what came out, in one line. */
function discovered(host: HostLookups, answers: readonly string[]): string {
  const given: Resolution<TlsaData>[] = [];
  const asked: string[] = [];
  for (;;) {
    const step = discoverTls(host, given);
    if (step.kind === "ask") {
      asked.push(step.query);
      const answer = ANSWERS[answers[given.length] ?? ""];
      if (answer === undefined) throw new Error(`question ${asked.length} (${step.query}) was not expected`);
      given.push(answer);
      continue;
    }
    if (step.kind === "noAddress") return [...asked, "no address"].join(" ");
    const { policy } = step;
    assert.equal(asked.length, answers.length, `only ${asked.length} questions`);
    switch (policy.kind) {
      case "notApplicable":
        return [...asked, policy.because].join(" ");
      case "authenticate":
        return [...asked, `authenticate ${policy.mx} at ${policy.base} by ${policy.identifiers.join(",")}`].join(" ");
      case "encryptWithoutAuthentication":
        return [...asked, `encrypt at ${policy.base} because ${policy.because}`].join(" ");
      case "unreachable":
        return [...asked, "unreachable"].join(" ");
      default:
        return policy satisfies never;
    }
  }
}

const ASK_HOST = "_25._tcp.mx.example.org.";
const ASK_EXPANDED = "_25._tcp.host.example.net.";
const BY_HOST = "authenticate secure at mx.example.org. by mx.example.org.,example.org.,example.com.";
const BY_EXPANDED = "authenticate secure at host.example.net. by host.example.net.,example.org.,example.com.";

/** One candidate: the host's own name. */
const ONE_CANDIDATE: readonly [string, string][] = [
  ["usable", BY_HOST],
  ["usable over aliases", BY_HOST],
  ["unusable", "encrypt at mx.example.org. because no-usable-record"],
  ["insecure", "tlsa-insecure"],
  ["insecure over an alias", "tlsa-insecure"],
  ["nodata", "tlsa-absent"],
  ["nxdomain", "tlsa-absent"],
  ["insecure nodata", "tlsa-insecure"],
  ["insecure nxdomain", "tlsa-insecure"],
  ["bogus", "unreachable"],
  ["indeterminate", "unreachable"],
];

describe("RFC 7672 §2.2.3: the records of one candidate", () => {
  test("the table holds every answer", () => assert.equal(ONE_CANDIDATE.length, Object.keys(ANSWERS).length));
  for (const [answer, expected] of ONE_CANDIDATE) {
    test(`${answer}: ${expected}`, () => assert.equal(discovered(lookups("plain"), [answer]), `${ASK_HOST} ${expected}`));
  }
});

/** Two candidates: the expanded name, then the host's own where the first has no secure records. */
const FIRST_DECIDES: readonly [string, string][] = [
  ["usable", BY_EXPANDED],
  ["usable over aliases", BY_EXPANDED],
  ["unusable", "encrypt at host.example.net. because no-usable-record"],
  ["bogus", "unreachable"],
  ["indeterminate", "unreachable"],
];
const FIRST_PASSES = ["insecure", "insecure over an alias", "nodata", "nxdomain", "insecure nodata", "insecure nxdomain"];

describe("RFC 7672 §2.2.3: two candidates", () => {
  test("the tables hold every answer", () =>
    assert.equal(FIRST_DECIDES.length + FIRST_PASSES.length, Object.keys(ANSWERS).length));
  for (const [answer, expected] of FIRST_DECIDES) {
    test(`${answer} at the expanded name: ${expected}`, () =>
      assert.equal(discovered(lookups("aliased"), [answer]), `${ASK_EXPANDED} ${expected}`));
  }
  for (const first of FIRST_PASSES) {
    for (const [second, expected] of ONE_CANDIDATE) {
      const decided = expected === "tlsa-absent" && first.startsWith("insecure") ? "tlsa-insecure" : expected;
      test(`${first}, then ${second}: ${decided}`, () =>
        assert.equal(discovered(lookups("aliased"), [first, second]), `${ASK_EXPANDED} ${ASK_HOST} ${decided}`));
    }
  }
});

const INSECURE_MX: HostOrigin = { kind: "mx", mx: "insecure" };
const RELAY: HostOrigin = { kind: "relay", nextHop: HOST };
const IMPLICIT_MX: HostOrigin = { kind: "implicit-mx", nextHop: HOST };

describe("RFC 7672 §2.2.1, §3.2.2: where the host comes from", () => {
  const rows: readonly [string, HostLookups, readonly string[], string][] = [
    [
      "insecure MX",
      lookups("plain", INSECURE_MX),
      ["usable"],
      `${ASK_HOST} authenticate insecure at mx.example.org. by mx.example.org.`,
    ],
    [
      "insecure MX, aliased host",
      lookups("aliased", INSECURE_MX),
      ["usable"],
      `${ASK_EXPANDED} authenticate insecure at host.example.net. by host.example.net.`,
    ],
    [
      "insecure MX, none usable",
      lookups("plain", INSECURE_MX),
      ["unusable"],
      `${ASK_HOST} encrypt at mx.example.org. because no-usable-record`,
    ],
    [
      "insecure MX: encrypt",
      lookups("plain", INSECURE_MX, "encrypt"),
      ["usable"],
      `${ASK_HOST} encrypt at mx.example.org. because insecure-mx`,
    ],
    ["insecure MX: encrypt, no records", lookups("plain", INSECURE_MX, "encrypt"), ["nodata"], `${ASK_HOST} tlsa-absent`],
    ["insecure MX: encrypt, bogus", lookups("plain", INSECURE_MX, "encrypt"), ["bogus"], `${ASK_HOST} unreachable`],
    ["insecure MX: may", lookups("plain", INSECURE_MX, "may"), [], "insecure-mx"],
    ["secure MX: may is not for it", lookups("plain", SECURE_MX, "may"), ["usable"], `${ASK_HOST} ${BY_HOST}`],
    ["no MX", lookups("plain", IMPLICIT_MX), ["usable"], `${ASK_HOST} authenticate secure at mx.example.org. by mx.example.org.`],
    [
      "no MX, aliased domain",
      lookups("aliased", IMPLICIT_MX),
      ["usable"],
      `${ASK_EXPANDED} authenticate secure at host.example.net. by host.example.net.,mx.example.org.`,
    ],
    [
      "no MX: nobody named the host, so insecureMx is not for it",
      lookups("plain", IMPLICIT_MX, "may"),
      ["usable"],
      `${ASK_HOST} authenticate secure at mx.example.org. by mx.example.org.`,
    ],
    [
      "configured relay",
      lookups("plain", RELAY),
      ["usable"],
      `${ASK_HOST} authenticate secure at mx.example.org. by mx.example.org.`,
    ],
    [
      "configured relay, aliased, second candidate",
      lookups("aliased", RELAY),
      ["nodata", "usable"],
      `${ASK_EXPANDED} ${ASK_HOST} authenticate secure at mx.example.org. by mx.example.org.`,
    ],
    [
      "configured relay on port 587",
      { ...lookups("plain", RELAY), port: 587 },
      ["nodata"],
      "_587._tcp.mx.example.org. tlsa-absent",
    ],
    [
      "insecure addresses: not asked",
      { ...lookups("plain"), a: family("insecure", "192.0.2.1"), aaaa: absent("insecure") },
      [],
      "insecure-address",
    ],
    ["no address", { ...lookups("plain"), a: absent("secure") }, [], "no address"],
    ["addresses bogus", { ...lookups("plain"), a: bogus }, [], "unreachable"],
  ];
  for (const [title, host, answers, expected] of rows) {
    test(title, () => assert.equal(discovered(host, answers), expected));
  }
});

test("a host whose TLSA name would be too long for the DNS has no TLSA records", () => {
  const label = "a".repeat(62);
  const host = name(`${label}.${label}.${label}.${label}.`);
  assert.equal(discovered({ ...lookups("plain"), host }, []), "tlsa-absent");
});

test("what made records unusable comes with the policy", () => {
  const mixed: Resolution<TlsaData> = {
    status: "secure",
    answer: "records",
    aliases: [],
    name: HOST,
    records: [PKIX, USABLE],
    ttlSeconds: 60,
  };
  const step = discoverTls(lookups("plain"), [mixed]);
  assert.ok(step.kind === "decided" && step.policy.kind === "authenticate");
  assert.deepEqual(step.policy.records, [USABLE]);
  assert.deepEqual(
    step.policy.unusable?.map(({ reason }) => reason),
    ["pkix-usage"],
  );
});
