import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Tlsa } from "../../../src/dane/tlsa.ts";
import { poolKey } from "../../../src/delivery/poolKey.ts";
import { name } from "../../../src/dns/name.ts";
import type { StsAuthenticate, UsableDemand } from "../../../src/policy/stsPolicy.ts";
import type { DaneAuthenticate } from "../../../src/policy/tlsPolicy.ts";
import { dns, INSECURE_HOST, INSECURE_MX, MX1, MX2, rows, TLSA1 } from "./attemptRows.ts";
import { PORT, playOnce, type Receiver, startWorld, type World } from "./deliveryWorld.ts";

/** MTA-STS beside DANE (RFC 8461 §4, §5; the last paragraph of design.md §3), through the real attempt with real receivers. */

const ENFORCE = { "example.org": "enforce mx1.example.org" };
const ENFORCE_BOTH = { "example.org": "enforce *.example.org" };
const ENFORCE_OTHER = { "example.org": "enforce mail.example.org *.mx1.example.org" };
const TESTING = { "example.org": "testing mx1.example.org" };

const pkix = (subject: string): Receiver => ({ names: [subject] });
const VALID = { mx1: pkix("mx1.example.org") };
const WILDCARD = { mx1: pkix("*.example.org") };
const WRONG_NAME = { mx1: pkix("mx2.example.org") };
const EXPIRED: { mx1: Receiver } = { mx1: { names: ["mx1.example.org"], validity: "expired" } };
const SELF_SIGNED = { mx1: "self-signed" } as const;
const CLEAR = { mx1: "no-starttls" } as const;
const NO_TLSA = "_PORT._tcp.mx1.example.org TLSA secure nodata";
const HOST1 = "mx1.example.org A insecure mx1\nmx1.example.org AAAA insecure nodata";
const HOST2 = "mx2.example.org A insecure mx2\nmx2.example.org AAAA insecure nodata";
const UNSIGNED = `example.org MX insecure 10 mx1.example.org\n${HOST1}`;
const NO_MX = "example.org A insecure mx1\nexample.org AAAA insecure nodata\nexample.org MX insecure nodata";
const CA_TLSA = "_PORT._tcp.mx1.example.org TLSA secure 2 1 1 ca";
const OTHER_TLSA = "_PORT._tcp.mx1.example.org TLSA secure 3 1 1 other";
const UNUSABLE_TLSA = "_PORT._tcp.mx1.example.org TLSA secure 1 1 1 own";

rows("enforce, where DANE does not apply", [
  [
    "listed, valid certificate",
    { dns: UNSIGNED, sts: ENFORCE, receivers: VALID },
    "delivered 2 sts insecure insecure/insecure/not-asked mx1:tls",
  ],
  [
    "listed, a wildcard in the certificate",
    { dns: UNSIGNED, sts: ENFORCE, receivers: WILDCARD },
    "delivered 2 sts insecure insecure/insecure/not-asked mx1:tls",
  ],
  [
    "listed by a pattern",
    { dns: UNSIGNED, sts: ENFORCE_BOTH, receivers: VALID },
    "delivered 2 sts insecure insecure/insecure/not-asked mx1:tls",
  ],
  [
    "not listed",
    { dns: UNSIGNED, sts: ENFORCE_OTHER, receivers: VALID },
    "deferred 4.7.5 !sts:noconnect insecure insecure/insecure/not-asked",
  ],
  [
    "no STARTTLS",
    { dns: UNSIGNED, sts: ENFORCE, receivers: CLEAR },
    "deferred 4.7.4 !sts:nostarttls insecure insecure/insecure/not-asked",
  ],
  [
    "STARTTLS refused",
    { dns: UNSIGNED, sts: ENFORCE, receivers: { mx1: { starttls: { refuse: "454 4.7.0 no" } } } },
    "deferred 4.7.4 !sts:nostarttls insecure insecure/insecure/not-asked",
  ],
  [
    "self-signed",
    { dns: UNSIGNED, sts: ENFORCE, receivers: SELF_SIGNED },
    "deferred 4.7.5 !sts:nocertmatch insecure insecure/insecure/not-asked",
  ],
  [
    "another name",
    { dns: UNSIGNED, sts: ENFORCE, receivers: WRONG_NAME },
    "deferred 4.7.5 !sts:nocertmatch insecure insecure/insecure/not-asked",
  ],
  [
    "the recipient domain's name only",
    { dns: UNSIGNED, sts: ENFORCE, receivers: { mx1: pkix("example.org") } },
    "deferred 4.7.5 !sts:nocertmatch insecure insecure/insecure/not-asked",
  ],
  [
    "expired",
    { dns: UNSIGNED, sts: ENFORCE, receivers: EXPIRED },
    "deferred 4.7.5 !sts:nocertmatch insecure insecure/insecure/not-asked",
  ],
  [
    "nothing listens",
    { dns: UNSIGNED, sts: ENFORCE, receivers: { mx1: "closed" } },
    "deferred 4.4.1 sts:noconnect insecure insecure/insecure/not-asked",
  ],
  [
    "secure MX, no TLSA",
    { dns: dns(MX1, NO_TLSA), sts: ENFORCE, receivers: VALID },
    "delivered 2 sts no-tlsa secure/secure/secure mx1:tls",
  ],
  [
    "secure MX, no TLSA, not listed",
    { dns: dns(MX1, NO_TLSA), sts: ENFORCE_OTHER, receivers: VALID },
    "deferred 4.7.5 !sts:noconnect no-tlsa secure/secure/secure",
  ],
  [
    "secure MX, no TLSA, self-signed",
    { dns: dns(MX1, NO_TLSA), sts: ENFORCE, receivers: SELF_SIGNED },
    "deferred 4.7.5 !sts:nocertmatch no-tlsa secure/secure/secure",
  ],
  [
    "secure MX, host in an unsigned zone",
    { dns: INSECURE_HOST, sts: ENFORCE, receivers: SELF_SIGNED },
    "deferred 4.7.5 !sts:nocertmatch insecure secure/insecure/not-asked",
  ],
  [
    "TLSA, none usable: PKIX in place of any certificate",
    { dns: dns(MX1, UNUSABLE_TLSA), sts: ENFORCE, receivers: VALID },
    "delivered 2 sts unusable secure/secure/secure mx1:tls",
  ],
  [
    "TLSA, none usable, self-signed",
    { dns: dns(MX1, UNUSABLE_TLSA), sts: ENFORCE, receivers: SELF_SIGNED },
    "deferred 4.7.5 !sts:nocertmatch unusable secure/secure/secure",
  ],
]);

rows("enforce, where DANE over a secure MX wins (RFC 8461 §2)", [
  [
    "TLSA matches, the host is not listed",
    { dns: dns(MX1, TLSA1), sts: ENFORCE_OTHER, receivers: SELF_SIGNED },
    "delivered 2 dane authenticated secure/secure/secure mx1:tls",
  ],
  [
    "TLSA matches, PKIX would not",
    { dns: dns(MX1, TLSA1), sts: ENFORCE, receivers: SELF_SIGNED },
    "delivered 2 dane authenticated secure/secure/secure mx1:tls",
  ],
  [
    "TLSA does not match, PKIX would",
    { dns: dns(MX1, OTHER_TLSA), sts: ENFORCE, receivers: VALID },
    "deferred 4.7.5 !dane:nocertmatch mismatch secure/secure/secure",
  ],
  [
    "TLSA forged, PKIX would",
    { dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA bogus"), sts: ENFORCE, receivers: VALID },
    "deferred 4.7.5 !dane? bogus secure/secure/bogus",
  ],
  [
    "TLSA fails, PKIX would",
    { dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA fail"), sts: ENFORCE, receivers: VALID },
    "deferred 4.4.3 !dane? lookup-failed secure/secure/failed",
  ],
  ["MX forged", { dns: "example.org MX bogus", sts: ENFORCE }, "deferred 4.7.5 !dane? bogus bogus/not-asked/not-asked"],
]);

rows("enforce, insecure MX, TLSA: pattern, PKIX and TLSA must all hold", [
  [
    "all hold",
    { dns: dns(INSECURE_MX, CA_TLSA), sts: ENFORCE, receivers: VALID },
    "delivered 2 sts halfdane insecure/secure/secure mx1:tls",
  ],
  [
    "not listed",
    { dns: dns(INSECURE_MX, CA_TLSA), sts: ENFORCE_OTHER, receivers: VALID },
    "deferred 4.7.5 !sts:noconnect not-tried insecure/secure/secure",
  ],
  [
    "TLSA matches, PKIX does not",
    { dns: dns(INSECURE_MX, TLSA1), sts: ENFORCE, receivers: SELF_SIGNED },
    "deferred 4.7.5 !sts:nocertmatch halfdane insecure/secure/secure",
  ],
  [
    "PKIX is valid, TLSA does not match",
    { dns: dns(INSECURE_MX, OTHER_TLSA), sts: ENFORCE, receivers: VALID },
    "deferred 4.7.5 !sts:nocertmatch mismatch insecure/secure/secure",
  ],
  [
    "neither",
    { dns: dns(INSECURE_MX, OTHER_TLSA), sts: ENFORCE, receivers: SELF_SIGNED },
    "deferred 4.7.5 !sts:nocertmatch mismatch insecure/secure/secure",
  ],
  [
    "no STARTTLS",
    { dns: dns(INSECURE_MX, CA_TLSA), sts: ENFORCE, receivers: CLEAR },
    "deferred 4.7.4 !sts:nostarttls starttls-missing insecure/secure/secure",
  ],
  [
    "TLSA forged",
    { dns: dns(INSECURE_MX, "_PORT._tcp.mx1.example.org TLSA bogus"), sts: ENFORCE, receivers: VALID },
    "deferred 4.7.5 !dane? bogus insecure/secure/bogus",
  ],
  [
    "insecureMx encrypt: PKIX all the same",
    { dns: dns(INSECURE_MX, TLSA1), insecureMx: "encrypt", sts: ENFORCE, receivers: SELF_SIGNED },
    "deferred 4.7.5 !sts:nocertmatch insecure insecure/secure/secure",
  ],
  [
    "insecureMx may: PKIX all the same",
    { dns: dns(INSECURE_MX, TLSA1), insecureMx: "may", sts: ENFORCE, receivers: VALID },
    "delivered 2 sts insecure insecure/secure/not-asked mx1:tls",
  ],
]);

rows("testing and none change nothing", [
  [
    "testing, all well",
    { dns: UNSIGNED, sts: TESTING, receivers: VALID },
    "delivered 2 may:encrypt insecure insecure/insecure/not-asked mx1:tls",
  ],
  [
    "testing, not listed",
    { dns: UNSIGNED, sts: { "example.org": "testing other.example" }, receivers: VALID },
    "delivered 2 may:encrypt insecure insecure/insecure/not-asked mx1:tls",
  ],
  [
    "testing, self-signed",
    { dns: UNSIGNED, sts: TESTING, receivers: SELF_SIGNED },
    "delivered 2 may:encrypt insecure insecure/insecure/not-asked mx1:tls",
  ],
  [
    "testing, no STARTTLS",
    { dns: UNSIGNED, sts: TESTING, receivers: CLEAR },
    "delivered 2 may:none insecure insecure/insecure/not-asked mx1:clear",
  ],
  [
    "testing is no way round DANE",
    { dns: dns(INSECURE_MX, OTHER_TLSA), sts: TESTING, receivers: VALID },
    "deferred 4.7.5 !dane:nocertmatch mismatch insecure/secure/secure",
  ],
  [
    "none",
    { dns: UNSIGNED, sts: { "example.org": "none" }, receivers: CLEAR },
    "delivered 2 may:none insecure insecure/insecure/not-asked mx1:clear",
  ],
  ["no policy", { dns: UNSIGNED, receivers: CLEAR }, "delivered 2 may:none insecure insecure/insecure/not-asked mx1:clear"],
]);

const OPERATOR = { levelFrom: "operator" } as const;
rows("what the operator and the message say", [
  [
    "level may",
    { dns: UNSIGNED, sts: ENFORCE, receivers: CLEAR, demand: { level: "may", ...OPERATOR } },
    "delivered 2 may:none exempt insecure/insecure/not-asked mx1:clear",
  ],
  [
    "level encrypt",
    { dns: UNSIGNED, sts: ENFORCE, receivers: SELF_SIGNED, demand: { level: "encrypt", ...OPERATOR } },
    "delivered 2 encrypt exempt insecure/insecure/not-asked mx1:tls",
  ],
  [
    "level dane by the operator",
    { dns: UNSIGNED, sts: ENFORCE, receivers: CLEAR, demand: OPERATOR },
    "deferred 4.7.4 !sts:nostarttls insecure insecure/insecure/not-asked",
  ],
  [
    "dane-only is not met by MTA-STS",
    { dns: UNSIGNED, sts: ENFORCE, receivers: VALID, demand: { level: "dane-only", ...OPERATOR } },
    "deferred 4.7.5 !dane-only:notlsa insecure insecure/insecure/not-asked",
  ],
  [
    "TLS-Required: No (RFC 8689 §4.2.2)",
    { dns: UNSIGNED, sts: ENFORCE, receivers: CLEAR, demand: { messageTls: "not-required" } },
    "delivered 2 may:none exempt insecure/insecure/not-asked mx1:clear",
  ],
]);

const UNSIGNED_TWO = dns(UNSIGNED, "example.org MX insecure 20 mx2.example.org", HOST2);
const FAMILIES: Record<string, Receiver> = { mx1: "self-signed", mx2: pkix("mx2.example.org") };
rows("the next host (RFC 8461 §5.1 step 2, §8.4)", [
  [
    "the first is not listed",
    { dns: UNSIGNED_TWO, sts: { "example.org": "enforce mx2.example.org" }, receivers: FAMILIES },
    "delivered 2 sts insecure insecure/insecure/not-asked mx2:tls",
  ],
  [
    "the first is not authenticated",
    { dns: UNSIGNED_TWO, sts: ENFORCE_BOTH, receivers: FAMILIES },
    "delivered 2 sts insecure insecure/insecure/not-asked mx2:tls",
  ],
  [
    "DANE at the first, MTA-STS at the second",
    { dns: dns(MX1, MX2, OTHER_TLSA), sts: ENFORCE_BOTH, receivers: FAMILIES },
    "delivered 2 sts no-tlsa secure/secure/secure mx2:tls",
  ],
]);

rows("whose policy (RFC 8461 §3.4)", [
  [
    "no MX: the domain is its own host",
    {
      dns: NO_MX,
      sts: { "example.org": "enforce example.org" },
      receivers: { mx1: pkix("example.org") },
    },
    "delivered 2 sts insecure insecure/insecure/not-asked mx1:tls",
  ],
  [
    "no MX, not listed",
    { dns: NO_MX, sts: ENFORCE, receivers: { mx1: pkix("example.org") } },
    "deferred 4.7.5 !sts:noconnect insecure insecure/insecure/not-asked",
  ],
  [
    "not that of a parent domain",
    {
      dns: dns("sub.example.org MX insecure 10 mx1.example.org", HOST1),
      destination: "sub.example.org",
      sts: ENFORCE_OTHER,
      receivers: CLEAR,
    },
    "delivered 2 may:none insecure insecure/insecure/not-asked mx1:clear",
  ],
  [
    "a route by MX: the smarthost's domain",
    {
      dns: dns("smart.test MX insecure 10 mx1.example.org", HOST1),
      routes: [{ domain: "*", nextHop: `smart.test:${PORT}`, tls: "starttls" }],
      sts: { "smart.test": "enforce mx1.example.org", ...ENFORCE_OTHER },
      receivers: VALID,
    },
    "delivered 2 sts insecure insecure/insecure/not-asked mx1:tls",
  ],
  [
    "a route to a host: that host's",
    {
      dns: HOST1,
      routes: [{ domain: "*", nextHop: `[mx1.example.org]:${PORT}`, tls: "starttls" }],
      sts: { "mx1.example.org": "enforce mx1.example.org" },
      receivers: SELF_SIGNED,
    },
    "deferred 4.7.5 !sts:nocertmatch insecure not-asked/insecure/not-asked",
  ],
  [
    "an alias as MX host: the name in the MX record counts",
    {
      dns: dns(
        "example.org MX insecure 10 mx1.example.org",
        "mx1.example.org A insecure via insecure real.example.net mx1",
        "mx1.example.org AAAA insecure via insecure real.example.net nodata",
      ),
      sts: ENFORCE,
      receivers: { mx1: pkix("real.example.net") },
    },
    "deferred 4.7.5 !sts:nocertmatch insecure insecure/insecure/not-asked",
  ],
]);

/** What TLSRPT will be told (RFC 8460 §4.3). */
const RECORDED: readonly [shows: string, world: World, expected: string][] = [
  ["enforce, success", { dns: UNSIGNED, sts: ENFORCE, receivers: VALID }, "enforce success"],
  ["enforce, not listed", { dns: UNSIGNED, sts: ENFORCE_OTHER, receivers: VALID }, "enforce validation-failure"],
  ["enforce, no STARTTLS", { dns: UNSIGNED, sts: ENFORCE, receivers: CLEAR }, "enforce starttls-not-supported"],
  ["enforce, wrong name", { dns: UNSIGNED, sts: ENFORCE, receivers: WRONG_NAME }, "enforce certificate-host-mismatch"],
  ["enforce, expired", { dns: UNSIGNED, sts: ENFORCE, receivers: EXPIRED }, "enforce certificate-expired"],
  ["enforce, self-signed", { dns: UNSIGNED, sts: ENFORCE, receivers: SELF_SIGNED }, "enforce certificate-not-trusted"],
  ["enforce, nothing listens: transient", { dns: UNSIGNED, sts: ENFORCE, receivers: { mx1: "closed" } }, "nothing"],
  ["enforce, TLSA does not match", { dns: dns(INSECURE_MX, OTHER_TLSA), sts: ENFORCE, receivers: VALID }, "nothing"],
  ["testing, success", { dns: UNSIGNED, sts: TESTING, receivers: VALID }, "testing success"],
  [
    "testing, not listed",
    { dns: UNSIGNED, sts: { "example.org": "testing a.example" }, receivers: VALID },
    "testing validation-failure",
  ],
  ["testing, no STARTTLS", { dns: UNSIGNED, sts: TESTING, receivers: CLEAR }, "testing starttls-not-supported"],
  ["testing, wrong name", { dns: UNSIGNED, sts: TESTING, receivers: WRONG_NAME }, "testing certificate-host-mismatch"],
  ["testing, expired", { dns: UNSIGNED, sts: TESTING, receivers: EXPIRED }, "testing certificate-expired"],
  ["testing, self-signed", { dns: UNSIGNED, sts: TESTING, receivers: SELF_SIGNED }, "testing certificate-not-trusted"],
  ["DANE wins: nothing is held against the policy", { dns: dns(MX1, TLSA1), sts: ENFORCE, receivers: SELF_SIGNED }, "nothing"],
  ["no policy", { dns: UNSIGNED, receivers: VALID }, "nothing"],
];
describe("the outcome under the policy is recorded", () => {
  for (const [shows, world, expected] of RECORDED)
    test(`${shows}: ${expected}`, async () => {
      const { results } = await playOnce(world);
      const sts = results[0]?.trace.sts;
      assert.equal(sts === undefined ? "nothing" : `${sts.mode} ${sts.result}`, expected, JSON.stringify(results));
    });
});

test("a session that was opened under one demand serves no other: enforce after testing opens its own", async () => {
  const sts: Record<string, string> = { ...TESTING };
  const world = await startWorld({ dns: UNSIGNED, sts, receivers: SELF_SIGNED });
  try {
    const first = await world.play();
    assert.equal(first.results[0]?.outcome.kind, "delivered");
    sts["example.org"] = "enforce mx1.example.org";
    const second = await world.play();
    assert.equal(second.results[0]?.trace.tls, "!sts:nocertmatch");
    assert.deepEqual(second.received, ["mx1:tls"], "only the first message");
  } finally {
    await world.close();
  }
});

test("SNI is the MX host's name, also where TLSA records hang elsewhere (RFC 8461 §7.1)", async () => {
  const alias = dns(
    "example.org MX insecure 10 mx1.example.org",
    "mx1.example.org A secure via secure real.example.net mx1",
    "mx1.example.org AAAA secure via secure real.example.net nodata",
    "_PORT._tcp.real.example.net TLSA secure 2 1 1 ca",
  );
  const receivers: Record<string, Receiver> = { mx1: { names: ["mx1.example.org", "real.example.net"] } };
  const { results, peers } = await playOnce({ dns: alias, sts: ENFORCE, receivers });
  assert.deepEqual([results[0]?.trace.tls, results[0]?.trace.dane], ["sts", "halfdane"]);
  assert.equal(peers.get("mx1")?.sessions[0]?.handshake?.serverName, "mx1.example.org");
});

test("sessions are shared only under the same policy, name and TLSA set", () => {
  const TLSA = { usage: 2, selector: 1, matchingType: 1, data: Buffer.alloc(32) };
  const identifier = name("mx1.example.org");
  const dane = (...records: readonly [Tlsa, ...Tlsa[]]): DaneAuthenticate => {
    return { kind: "authenticate", mx: "insecure", base: identifier, records, identifiers: [identifier] };
  };
  const byPkix: StsAuthenticate = {
    kind: "authenticateByPkix",
    wanted: "sts",
    got: "sts",
    success: "insecure",
    identifier,
    domain: name("example.org"),
  };
  const demands: readonly UsableDemand[] = [
    byPkix,
    { ...byPkix, identifier: name("mx2.example.org") },
    { ...byPkix, dane: dane(TLSA) },
    { ...byPkix, dane: dane({ ...TLSA, data: Buffer.alloc(32, 1) }) },
    { ...byPkix, dane: dane(TLSA, { ...TLSA, data: Buffer.alloc(32, 1) }) },
    { kind: "authenticate", wanted: "dane", got: "halfdane", success: "halfdane", policy: dane(TLSA) },
  ];
  const keys = demands.map((tls) =>
    poolKey(
      {
        host: "mx1.example.org",
        address: "192.0.2.1",
        tls,
        request: { hostname: "relay.test", port: 25, implicitTls: false, timeouts: { connectSeconds: 1 } },
      },
      "authenticate",
    ),
  );
  assert.equal(new Set(keys).size, keys.length, keys.join("\n"));
});

test("a session that PKIX authenticated is used again, and its outcome is told again", async () => {
  const world = await startWorld({ dns: dns(INSECURE_MX, CA_TLSA), sts: ENFORCE, receivers: VALID });
  try {
    for (const round of [1, 2]) {
      const { results, received } = await world.play();
      assert.equal(results[0]?.trace.tls, "sts");
      assert.deepEqual(results[0]?.trace.sts, { mode: "enforce", result: "success" });
      assert.match(results[0]?.trace.tlsa ?? "", /^2 1 1 /);
      assert.equal(received.length, round);
    }
    assert.equal(world.peers.get("mx1")?.sessions.length, 1);
  } finally {
    await world.close();
  }
});

test("the reason says who has to do what", async () => {
  const text = async (world: World): Promise<string> => {
    const [result] = (await playOnce(world)).results;
    return result?.outcome.kind === "deferred" ? result.outcome.cause.text : "delivered";
  };
  assert.equal(
    await text({ dns: UNSIGNED, sts: ENFORCE_OTHER, receivers: VALID }),
    "mx1.example.org is not among the mail hosts that the MTA-STS policy of example.org allows: its operator has to list it there, unless a forged MX record named it",
  );
  assert.match(
    await text({ dns: UNSIGNED, sts: ENFORCE, receivers: WRONG_NAME }),
    /^mx1\.example\.org is not authenticated: its certificate is for "mx2\.example\.org", wanted mx1\.example\.org, but .* the MTA-STS policy of example\.org demands/,
  );
  assert.match(
    await text({ dns: UNSIGNED, sts: ENFORCE, receivers: CLEAR }),
    /offers no STARTTLS, which the MTA-STS policy of example\.org demands/,
  );
});

test("the policy is not asked for where it could change nothing", async () => {
  const asked: string[] = [];
  const sts = new Proxy({}, { get: (_, domain) => void asked.push(String(domain)) });
  await playOnce({ dns: dns(MX1, TLSA1), sts, receivers: SELF_SIGNED });
  await playOnce({ dns: UNSIGNED, sts, receivers: CLEAR, demand: { level: "may", ...OPERATOR } });
  assert.deepEqual(asked, []);
  await playOnce({ dns: UNSIGNED, sts, receivers: CLEAR });
  assert.deepEqual(asked, ["example.org"]);
});
