import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { matchCertificate } from "../../src/dane/certificateMatch.ts";
import { RR_TYPE } from "../../src/dns/message.ts";
import { name } from "../../src/dns/name.ts";
import { type OwnCase, play, signedTree, without } from "../conformance/ownCase.ts";
import { makeAuthority, makeLeaf, tlsaFor } from "../fake/certificates.ts";
import { dns, MX1, MX2, ONE, summary, TLSA1, TLSA2, TWO } from "../unit/delivery/attemptRows.ts";
import { type Played, PORT, playOnce, type World } from "../unit/delivery/deliveryWorld.ts";

/**
 * One test for each MUST, MUST NOT, SHOULD and SHOULD NOT of RFC 7672 §2 to §9 that binds an SMTP client, by section and place within it:
 * `§2.2 (3)` is the third such word of §2.2. requirements.tsv has the text of each, and those that bind others.
 */

/** An outcome in one line, and that nobody heard of the message where it was not delivered. */
function attempted(title: string, world: World, expected: string): void {
  test(title, async () => {
    const played = await playOnce(world);
    assert.equal(summary(played), expected);
    if (played.results.some(({ outcome }) => outcome.kind === "delivered")) return;
    for (const { sessions } of played.peers.values())
      for (const { commands } of sessions) assert.ok(!commands.some(({ line }) => line.startsWith("MAIL")));
  });
}

function validated(title: string, one: Omit<OwnCase, "title">): void {
  test(title, async () => assert.deepEqual(await play({ title, ...one }), one.expect));
}

function connections({ peers }: Played): number {
  return [...peers.values()].reduce((count, { sessions }) => count + sessions.length, 0);
}

const OTHER1 = TLSA1.replace("own", "other");
const PKIX1 = "_PORT._tcp.mx1.example.org TLSA secure 1 1 1 own";
const TA1 = "_PORT._tcp.mx1.example.org TLSA secure 2 1 1 ca";
const CLEAR = { mx1: "no-starttls" } as const;
const AUTHENTICATED = "delivered 2 dane authenticated secure/secure/secure mx1:tls";
const ON_MX2 = "delivered 2 dane authenticated secure/secure/secure mx2:tls";
const MISMATCH = "deferred 4.7.5 !dane:nocertmatch mismatch secure/secure/secure";
const INSECURE_MX = "example.org MX insecure 10 mx1.example.org\nmx1.example.org A secure mx1";
const UNSIGNED = { name: "plain.test.", unsigned: true, records: ["plain.test MX 10 mx.plain.test"] } as const;
const TREE = [...signedTree(["example.test MX 10 mx.example.test"]), UNSIGNED];
const ASK_MX = ["example.test", "MX"] as const;
const stripped: OwnCase["tamper"] = (message, _owner, type) =>
  type === RR_TYPE.MX ? without(message, RR_TYPE.RRSIG, RR_TYPE.NSEC) : message;

describe("RFC 7672 §2.1.1", () => {
  validated("§2.1.1 (1): the resolver is security-aware", { zones: TREE, ask: ASK_MX, expect: { status: "secure" } });
  test("§2.1.1 (2): insecure is insecure, by delegation or by the lack of a trust anchor", async () => {
    const ask = ["plain.test", "MX"] as const;
    const unsigned = await play({ title: "", zones: TREE, ask, expect: { status: "insecure", answer: "records" } });
    const unanchored = await play({
      title: "",
      zones: TREE,
      ask: ASK_MX,
      expect: { status: "insecure", answer: "records" },
      options: { insecureZones: new Set([name("test")]) },
    });
    assert.deepEqual(unsigned, { status: "insecure", answer: "records" });
    assert.deepEqual(unanchored, unsigned);
  });
  validated("§2.1.1 (3): of four statuses: insecure", { zones: TREE, ask: ["plain.test", "MX"], expect: { status: "insecure" } });
  validated("§2.1.1 (3): of four statuses: bogus", { zones: TREE, ask: ASK_MX, tamper: stripped, expect: { status: "bogus" } });
  validated("§2.1.1 (3): of four statuses: indeterminate", {
    zones: TREE,
    ask: ASK_MX,
    tamper: () => "fail",
    expect: { status: "indeterminate" },
  });
  for (const status of ["bogus", "fail"])
    test(`§2.1.1 (4): indeterminate is no better than bogus: ${status}`, async () => {
      const played = await playOnce({ dns: dns(MX1, `_PORT._tcp.mx1.example.org TLSA ${status}`), receivers: ONE });
      assert.equal(connections(played), 0);
      assert.equal(played.results[0]?.outcome.kind, "deferred");
    });
  validated("§2.1.1 (5): an upstream that knows no DNSSEC is of no use", {
    zones: TREE,
    ask: ASK_MX,
    tamper: (message) => without(message, RR_TYPE.RRSIG, RR_TYPE.NSEC, RR_TYPE.DS, RR_TYPE.DNSKEY),
    expect: { status: "bogus" },
  });
  validated("§2.1.1 (6): what an upstream claims to have validated counts for nothing", {
    zones: TREE,
    ask: ASK_MX,
    tamper: (message, owner, type, fake) => {
      const answer = stripped(message, owner, type, fake);
      return answer === "fail" ? answer : { ...answer, authenticData: true };
    },
    expect: { status: "bogus" },
  });
});

describe("RFC 7672 §2.1.2", () => {
  attempted(
    "§2.1.2 (1): the MX look-up fails: delayed",
    { dns: "example.org MX bogus\nexample.org A secure mx1", receivers: ONE },
    "deferred 4.7.5 !dane? bogus bogus/not-asked/not-asked",
  );
  test("§2.1.2 (2): TLSA of a securely identified server is looked up", async () => {
    const { asked } = await playOnce({ dns: MX1, receivers: ONE });
    assert.ok(asked.includes(`_${PORT}._tcp.mx1.example.org. TLSA`));
  });
  test("§2.1.2 (3): a server whose TLSA look-up fails is unreachable", async () => {
    const played = await playOnce({ dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA fail"), receivers: ONE });
    assert.equal(connections(played), 0);
  });
  attempted(
    "§2.1.2 (4): nothing is delivered via it",
    { dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA bogus"), receivers: ONE },
    "deferred 4.7.5 !dane? bogus secure/secure/bogus",
  );
  attempted(
    "§2.1.2 (5): it is skipped",
    { dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA fail", MX2, TLSA2), receivers: TWO },
    ON_MX2,
  );
  test("§2.1.2 (6): it is not even connected to", async () => {
    const world: World = { dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA fail", MX2, TLSA2), receivers: TWO };
    assert.equal((await playOnce(world)).peers.get("mx1")?.sessions.length, 0);
  });
});

const ALIASED = signedTree(["alias.example.test CNAME mx.plain.test", "broken.example.test CNAME mx.late.test"]);
const BEHIND = [
  { ...UNSIGNED, records: ["mx.plain.test A 192.0.2.1"] },
  { name: "late.test.", records: ["mx.late.test A 192.0.2.1"], window: { inception: 0, expiration: 1 } },
];

describe("RFC 7672 §2.1.3", () => {
  validated("§2.1.3 (1): an error at any stage of CNAME expansion is an error", {
    zones: [...ALIASED, ...BEHIND],
    ask: ["broken.example.test", "A"],
    expect: { status: "bogus" },
  });
  validated("§2.1.3 (2): what follows an insecure CNAME is insecure", {
    zones: [...ALIASED, ...BEHIND],
    ask: ["alias.example.test", "A"],
    expect: { status: "insecure", answer: "records" },
  });
});

describe("RFC 7672 §2.2", () => {
  attempted(
    "§2.2 (2): usable records: TLS is a must",
    { dns: dns(MX1, TLSA1), receivers: CLEAR },
    "deferred 4.7.4 !dane:nostarttls starttls-missing secure/secure/secure",
  );
  attempted("§2.2 (3): usable records: so is authentication", { dns: dns(MX1, OTHER1), receivers: ONE }, MISMATCH);
  attempted("§2.2 (4): the next server follows", { dns: dns(MX1, OTHER1, MX2, TLSA2), receivers: TWO }, ON_MX2);
  attempted(
    "§2.2 (5): none usable: TLS, without authentication",
    { dns: dns(MX1, PKIX1.replace("own", "other")), receivers: ONE },
    "delivered 2 dane:encrypt unusable secure/secure/secure mx1:tls",
  );
  attempted(
    "§2.2 (6): none usable, no TLS: the next server",
    { dns: dns(MX1, PKIX1, MX2, TLSA2), receivers: { mx1: "no-starttls", mx2: "self-signed" } },
    ON_MX2,
  );
  attempted(
    "§2.2 (7): no secure records: TLS where it is offered",
    { dns: MX1, receivers: ONE },
    "delivered 2 may:encrypt no-tlsa secure/secure/secure mx1:tls",
  );
  attempted(
    "§2.2 (7): no secure records: clear text where it is not",
    { dns: dns(MX1, OTHER1.replace("secure", "insecure")), receivers: CLEAR },
    "delivered 2 may:none insecure secure/secure/insecure mx1:clear",
  );
  attempted(
    "§2.2 (8): a look-up error: the next server",
    { dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA bogus", MX2, TLSA2), receivers: TWO },
    ON_MX2,
  );
});

describe("RFC 7672 §2.2.1", () => {
  const WORSE_FIRST = dns("example.org MX secure 20 mx2.example.org\nmx2.example.org A secure mx2", TLSA2, MX1);
  attempted("§2.2.1 (1): by preference", { dns: dns(WORSE_FIRST, TLSA1), receivers: TWO }, AUTHENTICATED);
  attempted(
    "§2.2.1 (2): TLSA of a worse host does not put it first",
    { dns: WORSE_FIRST, receivers: TWO },
    "delivered 2 may:encrypt no-tlsa secure/secure/secure mx1:tls",
  );
  attempted(
    "§2.2.1 (3): loops are prevented first: what is behind this relay itself is not tried, TLSA or not",
    { dns: dns(MX1, MX2, TLSA2), receivers: TWO, self: "mx1.example.org" },
    "failed 5.4.6 dane:noconnect not-tried secure/not-asked/not-asked",
  );
  attempted(
    "§2.2.1 (4): insecure MX, mandatory DANE: delayed",
    { dns: dns(INSECURE_MX, TLSA1), receivers: ONE, demand: { level: "dane-only", levelFrom: "operator" } },
    "deferred 4.7.5 !dane-only:halfdane insecure insecure/secure/secure",
  );
  test("§2.2.1 (5): the MX host is logged as the MX record names it", async () => {
    const { results } = await playOnce({
      dns: "example.org MX insecure 10 mx1.example.org\nmx1.example.org A insecure via insecure real.example.net mx1",
      receivers: ONE,
    });
    assert.equal(results[0]?.trace.host, "mx1.example.org");
  });
  attempted(
    "§2.2.1 (6): authentication of a host that an insecure MX names is not shown as secure delivery",
    { dns: dns(INSECURE_MX, TLSA1), receivers: ONE },
    "delivered 2 dane:halfdane halfdane insecure/secure/secure mx1:tls",
  );
  attempted(
    "§2.2.1 (7): each host for itself",
    { dns: dns(MX1, OTHER1, MX2), receivers: { mx1: "self-signed", mx2: "no-starttls" } },
    "delivered 2 may:none no-tlsa secure/secure/secure mx2:clear",
  );
  attempted(
    "§2.2.1 (8): errors make the server unreachable",
    { dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA fail", MX2, TLSA2), receivers: TWO },
    ON_MX2,
  );
});

describe("RFC 7672 §2.2.2", () => {
  const addresses = "example.org. MX, mx1.example.org. A, mx1.example.org. AAAA";
  test("§2.2.2 (2): addresses first, TLSA then", async () => {
    const { asked } = await playOnce({ dns: MX1, receivers: ONE });
    assert.equal(asked.join(", "), `${addresses}, _${PORT}._tcp.mx1.example.org. TLSA`);
  });
  test("§2.2.2 (3): no TLSA look-up for insecure addresses", async () => {
    const insecure = dns(MX1.replace("A secure", "A insecure"), "mx1.example.org AAAA insecure nodata");
    const { asked, received } = await playOnce({ dns: dns(insecure, "_PORT._tcp.mx1.example.org TLSA fail"), receivers: CLEAR });
    assert.equal(asked.join(", "), addresses);
    assert.deepEqual(received, ["mx1:clear"]);
  });
  attempted(
    "§2.2.2 (4): an error at one candidate is not helped by the other",
    {
      dns: dns(
        "example.org MX secure 10 mx1.example.org\nmx1.example.org A secure via secure real.example.net mx1",
        "_PORT._tcp.real.example.net TLSA bogus",
        TLSA1,
      ),
      receivers: ONE,
    },
    "deferred 4.7.5 !dane? bogus secure/secure/bogus",
  );
});

describe("RFC 7672 §2.2.3", () => {
  test("§2.2.3 (1): the port of the connection is the port of the TLSA name", async () => {
    const { asked } = await playOnce({
      dns: "relay.example.net A secure mx1",
      receivers: ONE,
      routes: [{ domain: "*", nextHop: `[relay.example.net]:${PORT}`, tls: "starttls" }],
    });
    assert.ok(asked.includes(`_${PORT}._tcp.relay.example.net. TLSA`));
    assert.notEqual(PORT, 25);
  });
  attempted(
    "§2.2.3 (3): a secure record, usable or not, is a commitment to TLS",
    { dns: dns(MX1, PKIX1), receivers: CLEAR },
    "deferred 4.7.4 !dane:nostarttls starttls-missing secure/secure/secure",
  );
  attempted(
    "§2.2.3 (4): nothing secure at the expanded name: the unexpanded one",
    {
      dns: dns(
        "example.org MX secure 10 mx1.example.org\nmx1.example.org A secure via secure real.example.net mx1",
        "_PORT._tcp.real.example.net TLSA insecure 3 1 1 other",
        TLSA1,
      ),
      receivers: ONE,
    },
    AUTHENTICATED,
  );
});

describe("RFC 7672 §3.1", () => {
  attempted(
    "§3.1.1 (1): DANE-EE: whatever the names",
    { dns: dns(MX1, TLSA1), receivers: { mx1: { names: ["other.invalid"], key: "own" } } },
    AUTHENTICATED,
  );
  attempted(
    "§3.1.1 (2): DANE-EE: whatever the dates",
    { dns: dns(MX1, TLSA1), receivers: { mx1: { names: ["mx1.example.org"], key: "own", validity: "expired" } } },
    AUTHENTICATED,
  );
  test("§3.1.2 (6): the constraints of the trust anchor's certificate hold", () => {
    const anchorOf = (pathLength: number) => {
      const anchor = makeAuthority({ commonName: "Anchor", basicConstraints: { ca: true, pathLength } });
      const between = makeAuthority({ commonName: "Between", issuer: anchor });
      const leaf = makeLeaf({ names: ["mx1.example.org"], issuer: between });
      return matchCertificate({
        records: [tlsaFor(anchor, 2, 0, 1)],
        chain: [leaf.der, between.der, anchor.der],
        identifiers: [name("mx1.example.org")],
        now: Date.UTC(2026, 0, 1),
      }).kind;
    };
    assert.equal(anchorOf(1), "match");
    assert.equal(anchorOf(0), "mismatch");
  });
});

describe("RFC 7672 §3.2", () => {
  attempted("§3.2 (1): usable records authenticate the server", { dns: dns(MX1, TLSA1), receivers: ONE }, AUTHENTICATED);
  attempted("§3.2 (2): nothing is delivered where authentication fails", { dns: dns(MX1, OTHER1), receivers: ONE }, MISMATCH);
  attempted(
    "§3.2.1 (1): DANE-EE: no name checks",
    { dns: dns(MX1, TLSA1), receivers: { mx1: { names: ["attacker.invalid"], key: "own" } } },
    AUTHENTICATED,
  );
  const named = (...names: string[]) => ({ mx1: { names } });
  attempted("§3.2.2 (1): DANE-TA: name checks", { dns: dns(MX1, TA1), receivers: named("other.invalid") }, MISMATCH);
  attempted("§3.2.2 (2): the TLSA base domain", { dns: dns(MX1, TA1), receivers: named("mx1.example.org") }, AUTHENTICATED);
  attempted("§3.2.2 (3): the next-hop domain", { dns: dns(MX1, TA1), receivers: named("example.org") }, AUTHENTICATED);
  const EXPANDED_HOP =
    "example.org MX secure via secure middle.example.net via secure example.com 10 mx1.example.org\nmx1.example.org A secure mx1";
  attempted(
    "§3.2.2 (4): the expanded next-hop domain",
    { dns: dns(EXPANDED_HOP, TA1), receivers: named("example.com") },
    AUTHENTICATED,
  );
  attempted(
    "§3.2.2 (4): no domain between the two",
    { dns: dns(EXPANDED_HOP, TA1), receivers: named("middle.example.net") },
    MISMATCH,
  );
  attempted(
    "§3.2.2 (4): an insecure MX leaves the MX host's name only",
    { dns: dns(INSECURE_MX, TA1), receivers: named("example.org") },
    MISMATCH.replace("secure/", "insecure/"),
  );
  attempted(
    "§3.2.2 (5): no MX, expanded base: the next-hop domain too",
    {
      dns: dns(
        "example.org MX secure via secure real.example.net nodata\nexample.org A secure via secure real.example.net mx1",
        "_PORT._tcp.real.example.net TLSA secure 2 1 1 ca",
      ),
      receivers: named("example.org"),
    },
    AUTHENTICATED,
  );
  /** The example of §3.2.2. */
  const EXCHANGE = dns(
    "exchange.example.org MX secure via secure mail.example.org via secure example.com 10 mx10.example.com",
    "mx10.example.com A secure mx1",
    "_PORT._tcp.mx10.example.com TLSA secure 2 1 1 ca",
  );
  const exchange = (records: string, certificate: string): World => ({
    dns: records,
    destination: "exchange.example.org",
    signed: ["example.org", "example.com", "example.net"],
    receivers: named(certificate),
  });
  for (const accepted of ["exchange.example.org", "example.com"])
    attempted(`§3.2.2 (6): the example: ${accepted}`, exchange(EXCHANGE, accepted), AUTHENTICATED);
  attempted("§3.2.2 (7): the example: mx10.example.com", exchange(EXCHANGE, "mx10.example.com"), AUTHENTICATED);
  const MX15 = dns(
    "exchange.example.org MX secure via secure mail.example.org via secure example.com 15 mx15.example.com",
    "mx15.example.com A secure via secure mxbackup.example.com mx1",
    "_PORT._tcp.mx15.example.com TLSA secure 2 1 1 ca",
  );
  attempted("§3.2.2 (8): the example: mx15.example.com", exchange(MX15, "mx15.example.com"), AUTHENTICATED);
  const MX20 = dns(
    "exchange.example.org MX secure via secure mail.example.org via secure example.com 20 mx20.example.com",
    "mx20.example.com A secure via secure mxbackup.example.net mx1",
    "_PORT._tcp.mxbackup.example.net TLSA secure 2 1 1 ca",
  );
  attempted("§3.2.2 (8): the example: mxbackup.example.net", exchange(MX20, "mxbackup.example.net"), AUTHENTICATED);
  attempted("§3.2.2 (8): the example: not mx20.example.com", exchange(MX20, "mx20.example.com"), MISMATCH);
  attempted(
    "§3.2.3 (1): a wildcard for the first label",
    { dns: dns(MX1, TA1), receivers: named("*.example.org") },
    AUTHENTICATED,
  );
  for (const wrong of ["mx*.example.org", "*1.example.org", "*.org"])
    attempted(`§3.2.3 (1): not ${wrong}`, { dns: dns(MX1, TA1), receivers: named(wrong) }, MISMATCH);
});

describe("RFC 7672 §5 to §9", () => {
  const STRONGER = "_PORT._tcp.mx1.example.org TLSA secure 3 1 2 other";
  attempted(
    "§5 (1): a weaker digest beside a stronger one is avoided",
    { dns: dns(MX1, TLSA1, STRONGER), receivers: ONE },
    MISMATCH,
  );
  attempted(
    "§5 (2): RFC 7671 §9: among records of one usage and selector",
    { dns: dns(MX1, TLSA1, STRONGER.replace("3 1 2", "3 0 2")), receivers: ONE },
    AUTHENTICATED,
  );
  test("§8.1 (1): SNI is the TLSA base domain", async () => {
    const records = dns(
      "example.org MX secure 10 mx1.example.org\nmx1.example.org A secure via secure real.example.net mx1",
      "_PORT._tcp.real.example.net TLSA secure 3 1 1 own",
    );
    const { peers } = await playOnce({ dns: records, receivers: ONE });
    assert.equal(peers.get("mx1")?.sessions[0]?.handshake?.serverName, "real.example.net");
  });
  test("§8.2 (1): cipher suites with certificates are offered", async () => {
    const { hosts } = await playOnce({ dns: MX1, receivers: ONE });
    assert.match(hosts[0]?.cipher ?? "", /^TLS_AES|^ECDHE-(?:ECDSA|RSA)-/);
  });
  attempted(
    "§9.1 (1): a chain that matches no record: nothing is delivered",
    { dns: dns(MX1, OTHER1, OTHER1.replace("3 1 1", "3 0 1")), receivers: ONE },
    MISMATCH,
  );
});
