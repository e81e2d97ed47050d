import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { presentTlsa, type Tlsa } from "../../../src/dane/tlsa.ts";
import { explanationText } from "../../../src/diagnosis/explanationText.ts";
import { RR_TYPE } from "../../../src/dns/message.ts";
import { chainPem, EXPIRED, makeAuthority, makeLeaf, tlsaFor } from "../../fake/certificates.ts";
import type { PeerScript } from "../../fake/smtpPeer.ts";
import type { Tamper } from "../../fake/zone.ts";
import { AUTHORITY, addressOf, explainAndDeliver, NOW, PORT, type World } from "./explainWorld.ts";

/**
 * Whatever the world is like, what `explain` says is what a delivery comes to: outcome, words of the log, host, status and reason. Worlds are drawn
 * from what DNS, hosts and this relay's settings can be, several faults at once.
 */
const SEED = 20_261_122;
const RUNS = 150;
const TIMEOUT = { interruptAfterTimeLimit: 600_000, markInterruptAsFailure: true };

const MX = "mx.example.test";
const MX2 = "mx2.example.test";
const REAL = "real.example.test";
const KEYS = makeLeaf({ names: [MX], issuer: AUTHORITY }).keys;
const sound = makeLeaf({ names: [MX], issuer: AUTHORITY, keys: KEYS });
const stranger = makeLeaf({ names: [MX] });
const anotherCa = makeAuthority({ commonName: "Test CA" });

const SERVERS: Readonly<Record<string, Partial<PeerScript> | "closed">> = {
  sound: serverWith(chainPem(sound, AUTHORITY)),
  "leaf alone": serverWith(chainPem(sound)),
  expired: serverWith(chainPem(makeLeaf({ names: [MX], issuer: AUTHORITY, keys: KEYS, ...EXPIRED }), AUTHORITY)),
  "another name": serverWith(chainPem(makeLeaf({ names: ["other.invalid"], issuer: AUTHORITY, keys: KEYS }), AUTHORITY)),
  "domain's name": serverWith(chainPem(makeLeaf({ names: ["example.test"], issuer: AUTHORITY, keys: KEYS }), AUTHORITY)),
  "another key": { starttls: { accept: { key: stranger.keyPem, cert: chainPem(stranger) } } },
  "no STARTTLS": { starttls: "absent" },
  stripped: { starttls: "stripped" },
  "454": { starttls: { refuse: "454 4.7.0 not now" } },
  garbage: { starttls: { broken: "garbage" } },
  "no SMTPUTF8": { ...serverWith(chainPem(sound, AUTHORITY)), extensions: ["PIPELINING"] },
  "554": { greeting: "554 5.7.1 go away" },
  closed: "closed",
};

function serverWith(cert: string): Partial<PeerScript> {
  return { starttls: { accept: { key: sound.keyPem, cert } } };
}

const RECORDS: Readonly<Record<string, readonly Tlsa[]>> = {
  none: [],
  "3 1 1": [tlsaFor(sound, 3, 1, 1)],
  "3 0 2 and 3 1 2": [tlsaFor(sound, 3, 0, 2), tlsaFor(sound, 3, 1, 2)],
  "3 1 0": [tlsaFor(sound, 3, 1, 0)],
  "3 1 1 of another": [tlsaFor(anotherCa, 3, 1, 1)],
  "2 1 1": [tlsaFor(AUTHORITY, 2, 1, 1)],
  "2 0 0": [tlsaFor(AUTHORITY, 2, 0, 0)],
  "2 1 1 of another": [tlsaFor(anotherCa, 2, 1, 1)],
  "1 1 1": [{ ...tlsaFor(sound, 3, 1, 1), usage: 1 }],
  "0 0 1 and 3 1 1": [{ ...tlsaFor(AUTHORITY, 2, 0, 1), usage: 0 }, tlsaFor(sound, 3, 1, 1)],
  "9 1 1": [{ ...tlsaFor(sound, 3, 1, 1), usage: 9 }],
};

type Host = { server: string; tlsa: string; tlsaAt: "own" | "alias"; alias: "no" | "real" | "unsigned" };
type Drawn = {
  target: string;
  mx: "one" | "two" | "none" | "null" | "address" | "missing" | "wildcard";
  hosts: readonly [Host, Host];
  domain: "signed" | "unsigned";
  fails: "nothing" | "MX" | "TLSA" | "A" | "AAAA";
  policy: "none" | "dane-only" | "encrypt" | "may" | "clear";
  insecureMx: "dane" | "encrypt" | "may";
  sts: "none" | "enforce" | "testing" | "other host";
  route: "none" | "host" | "domain";
};

const oneOf = <T extends string>(...words: readonly T[]) => fc.constantFrom(...words);
const host: fc.Arbitrary<Host> = fc.record({
  server: fc.oneof({ weight: 1, arbitrary: fc.constant("sound") }, { weight: 2, arbitrary: oneOf(...Object.keys(SERVERS)) }),
  tlsa: oneOf(...Object.keys(RECORDS)),
  tlsaAt: oneOf("own", "own", "alias"),
  alias: oneOf("no", "no", "real", "unsigned"),
});
const drawn: fc.Arbitrary<Drawn> = fc.record({
  target: oneOf(
    "example.test",
    "example.test",
    '"a b"@example.test',
    "m\u00fcller@example.test",
    "EXAMPLE.test.",
    `user@[${addressOf(MX)}]`,
  ),
  mx: oneOf("one", "one", "one", "two", "two", "none", "null", "address", "missing", "wildcard"),
  hosts: fc.tuple(host, host),
  domain: oneOf("signed", "signed", "unsigned"),
  fails: oneOf("nothing", "nothing", "nothing", "MX", "TLSA", "A", "AAAA"),
  policy: oneOf("none", "none", "dane-only", "encrypt", "may", "clear"),
  insecureMx: oneOf("dane", "dane", "encrypt", "may"),
  sts: oneOf("none", "none", "enforce", "testing", "other host"),
  route: oneOf("none", "none", "none", "host", "domain"),
});

/** The host that another is an alias of stands at its address; what is aliased into an unsigned zone, too. */
function hostRecords(name: string, { tlsa, tlsaAt, alias }: Host): { records: readonly string[]; unsigned: readonly string[] } {
  const owner = `_${PORT}._tcp.${name}`;
  const place = tlsaAt === "alias" ? `shared.${name}` : owner;
  const atOwner = tlsaAt === "alias" ? [`${owner} CNAME ${place}`] : [];
  const published = (RECORDS[tlsa] ?? []).map((record) => `${place} TLSA ${presentTlsa(record)}`);
  const target = alias === "real" ? `${name.split(".")[0]}-real.example.test` : `${name.split(".")[0]}.unsigned.test`;
  const address = `A ${addressOf(name)}`;
  if (alias === "no") return { records: [`${name} ${address}`, ...atOwner, ...published], unsigned: [] };
  const atTarget = [`${target} ${address}`];
  const named = [`${name} CNAME ${target}`, ...atOwner, ...published];
  return alias === "real" ? { records: [...named, ...atTarget], unsigned: [] } : { records: named, unsigned: atTarget };
}

function mxRecords(mx: Drawn["mx"]): readonly string[] {
  switch (mx) {
    case "one":
      return [`example.test MX 10 ${MX}`];
    case "two":
      return [`example.test MX 10 ${MX}`, `example.test MX 20 ${MX2}`];
    case "none":
      return [`example.test A ${addressOf(MX)}`];
    case "null":
      return ["example.test MX 0 ."];
    case "address":
      return ["example.test MX 10 192.0.2.1."];
    case "missing":
      return ["example.test MX 10 gone.example.test", `example.test MX 20 ${MX}`];
    case "wildcard":
      return [`*.example.test MX 10 ${MX}`, `example.test MX 10 ${MX}`];
    default:
      return mx satisfies never;
  }
}

function failing(type: Drawn["fails"]): Tamper | undefined {
  return type === "nothing" ? undefined : (message, _name, asked) => (asked === RR_TYPE[type] ? "fail" : message);
}

function settingsOf({ policy, insecureMx, route }: Drawn): NonNullable<World["settings"]> {
  const nextHop = route === "host" ? `[${MX}]:${PORT}` : `example.test:${PORT}`;
  const routes = route === "none" ? [] : [{ domain: "example.test", nextHop, tls: "starttls" } as const];
  if (policy === "none") return { insecureMx, routes };
  const level = policy === "clear" ? "none" : policy;
  const entry = { level, reason: "drawn", ...(level === "dane-only" ? {} : { expiresAt: NOW + 86_400_000 }) } as const;
  const domains = ["example.test", `[${addressOf(MX)}]`];
  return { insecureMx, routes, tlsPolicies: domains.map((domain) => ({ domain, ...entry })) };
}

function worldOf(one: Drawn): World {
  const [first, second] = [hostRecords(MX, one.hosts[0]), hostRecords(MX2, one.hosts[1])];
  const scripts = [MX, MX2].map((name, i) => [name, SERVERS[one.hosts[i]?.server ?? ""] ?? "closed"] as const);
  const listening = scripts.flatMap(([name, script]) => (script === "closed" ? [] : [[name, script] as const]));
  const tamper = failing(one.fails);
  const listed = one.sts === "other host" ? REAL : "*.example.test";
  const mode = one.sts === "testing" ? "testing" : "enforce";
  return {
    target: one.target,
    records: [...mxRecords(one.mx), ...first.records, ...second.records],
    zone: one.domain === "unsigned" ? { unsigned: true } : {},
    zones: [{ name: "unsigned.test.", unsigned: true, records: [...first.unsigned, ...second.unsigned] }],
    hosts: Object.fromEntries(listening),
    ...(tamper === undefined ? {} : { tamper }),
    ...(one.sts === "none" ? {} : { sts: `version: STSv1\r\nmode: ${mode}\r\nmx: ${listed}\r\nmax_age: 86400\r\n` }),
    settings: settingsOf(one),
  };
}

describe("explain and delivery agree", () => {
  test(`in ${RUNS} worlds`, async () => {
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(drawn, async (one) => {
        const { explanation, delivered } = await explainAndDeliver(worldOf(one));
        const { outcome, trace } = delivered;
        const { kind, outcome: said, status, reason, ...rest } = explanation.verdict;
        const { sts: _told, ...fields } = trace;
        const shown = explanationText(explanation);
        assert.deepEqual({ said, ...rest }, { said: outcome.kind, ...fields }, shown);
        const undelivered = outcome.kind === "delivered" ? {} : { status: outcome.status, reason: outcome.cause.text };
        assert.deepEqual({ status, reason }, { status: undefined, reason: undefined, ...undelivered }, shown);
        assert.equal(kind === "deliverable", outcome.kind === "delivered", shown);
        seen.add(`${outcome.kind} ${trace.tls}`);
      }),
      { seed: SEED, numRuns: RUNS, ...TIMEOUT },
    );
    // The worlds differ enough for their agreement to mean something.
    assert.ok(seen.size >= 12, [...seen].join("; "));
  });
});
