import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Tlsa } from "../../../src/dane/tlsa.ts";
import { explanationJson } from "../../../src/diagnosis/explanationJson.ts";
import { explanationText } from "../../../src/diagnosis/explanationText.ts";
import type { Finding } from "../../../src/diagnosis/finding.ts";
import { RR_TYPE } from "../../../src/dns/message.ts";
import { chainPem, makeLeaf, tlsaFor } from "../../fake/certificates.ts";
import type { Tamper } from "../../fake/zone.ts";
import { AUTHORITY, addressOf, explainIn, oneHost, PORT, secondAddressOf, type World } from "./explainWorld.ts";

/** What operators really have: several faults at once, aliases, odd MX records, strict settings; and what a delivery would then come to. */
const MX = "mx.example.test";
const OWNER = `_${PORT}._tcp.${MX}.`;
const own = makeLeaf({ names: [MX], issuer: AUTHORITY });
const other = makeLeaf({ names: [MX], issuer: AUTHORITY });
const GOOD = tlsaFor(own, 3, 1, 1);
const DANE_ONLY = { tlsPolicies: [{ domain: "example.test", level: "dane-only", reason: "contract" }] } as const;

function withTlsa(...records: readonly Tlsa[]): World {
  return { records: oneHost(...records), hosts: { [MX]: [own, AUTHORITY] } };
}

async function findingsOf(world: World): Promise<{ verdict: string; findings: readonly Finding[] }> {
  const { explanation } = await explainIn(world);
  return { verdict: explanation.verdict.kind, findings: explanation.findings };
}

describe("records at odd places", () => {
  test("an unusable record behind an alias: the record is mended where it stands, not beside the alias (RFC 1034 §3.6.2)", async () => {
    const records = [
      `example.test MX 10 ${MX}`,
      `${MX} A ${addressOf(MX)}`,
      `_${PORT}._tcp.${MX} CNAME tlsa.example.test`,
      `tlsa.example.test TLSA 1 1 1 ${GOOD.data.toString("hex")}`,
    ];
    const { findings } = await findingsOf({ ...withTlsa(), records });
    const [finding] = findings;
    assert.equal(finding?.class, "tlsa-unusable");
    assert.deepEqual(finding.paste, [`tlsa.example.test. 3600 IN TLSA 3 1 1 ${GOOD.data.toString("hex")}`]);
    assert.match(finding.remedy, /tlsa\.example\.test, where an alias leads/);
  });

  test("two addresses with a key each: the records of both, also of the one that matches", async () => {
    const world: World = {
      records: [...oneHost(GOOD), `${MX} A ${secondAddressOf(MX)}`],
      hosts: { [MX]: [own, AUTHORITY] },
      peers: [{ address: secondAddressOf(MX), starttls: { accept: { key: other.keyPem, cert: chainPem(other) } } }],
    };
    const { verdict, findings } = await findingsOf(world);
    assert.equal(verdict, "deliverable");
    const [finding, ...more] = findings;
    assert.deepEqual(more, []);
    assert.equal(finding?.class, "tlsa-mismatch");
    const digests = [own, other].map((leaf) => tlsaFor(leaf, 3, 1, 1).data.toString("hex"));
    assert.deepEqual([...(finding.paste ?? [])].sort(), digests.map((hex) => `${OWNER} 3600 IN TLSA 3 1 1 ${hex}`).sort());
    assert.match(finding.remedy, /by these/);
  });

  test("an MX record that holds an address names no host (RFC 1035 §3.3.9)", async () => {
    const { verdict, findings } = await findingsOf({ records: ["example.test MX 10 192.0.2.1."] });
    assert.equal(verdict, "not-deliverable");
    const [finding] = findings;
    assert.equal(finding?.class, "mx-unresolvable");
    assert.match(finding.explanation, /is an address/);
    assert.deepEqual(finding.paste, ["mail.example.test. 3600 IN A 192.0.2.1", "example.test. 3600 IN MX 10 mail.example.test."]);
  });

  test("one family of addresses that fails beside another: a warning, since mail goes", async () => {
    const tamper: Tamper = (message, name, type) => (type === RR_TYPE.AAAA && name === `${MX}.` ? "fail" : message);
    const { verdict, findings } = await findingsOf({ ...withTlsa(GOOD), tamper });
    assert.equal(verdict, "deliverable");
    assert.deepEqual(
      findings.map((finding) => [finding.class, finding.severity]),
      [["dnssec-lookup-failed", "warning"]],
    );
    const both: Tamper = (message, name, type) =>
      (type === RR_TYPE.A || type === RR_TYPE.AAAA) && name === `${MX}.` ? "fail" : message;
    const neither = await findingsOf({ ...withTlsa(GOOD), tamper: both });
    assert.deepEqual([neither.verdict, neither.findings[0]?.severity], ["undecided", "error"]);
  });

  test("an unsigned zone that TLSA records stand in: a warning, since they are there for nothing", async () => {
    const records = [`example.test MX 10 ${MX}`, `${MX} A ${addressOf(MX)}`, `_${PORT}._tcp.${MX} CNAME tlsa.unsigned.test`];
    const zones = [
      { name: "unsigned.test.", unsigned: true, records: [`tlsa.unsigned.test TLSA 3 1 1 ${GOOD.data.toString("hex")}`] },
    ];
    const { verdict, findings } = await findingsOf({ ...withTlsa(), records, zones });
    assert.equal(verdict, "deliverable");
    assert.deepEqual(
      findings.map((finding) => [finding.class, finding.severity]),
      [["dnssec-unsigned", "warning"]],
    );
  });
});

describe("a strict policy of this relay's own: what keeps mail back is an error, and somebody can do something", () => {
  const ROWS: readonly { shows: string; world: World; class: Finding["class"]; says: RegExp }[] = [
    {
      shows: "no TLSA record",
      world: { ...withTlsa(), settings: DANE_ONLY },
      class: "tlsa-unusable",
      says: /dane-only.*publishes no TLSA record.*delivery\.tlsPolicies/,
    },
    {
      shows: "no usable TLSA record",
      world: { ...withTlsa({ ...GOOD, usage: 1 }), settings: DANE_ONLY },
      class: "tlsa-unusable",
      says: /dane-only: .*no mail/,
    },
    {
      shows: "an unsigned domain",
      world: { ...withTlsa(GOOD), zone: { unsigned: true }, settings: DANE_ONLY },
      class: "dnssec-unsigned",
      says: /sign example\.test with DNSSEC/,
    },
    {
      shows: "an address literal",
      world: {
        ...withTlsa(GOOD),
        target: `user@[${addressOf(MX)}]`,
        settings: { tlsPolicies: [{ domain: `[${addressOf(MX)}]`, level: "dane-only", reason: "contract" }] },
      },
      class: "tlsa-unusable",
      says: /address literal.*delivery\.tlsPolicies/,
    },
  ];
  for (const { shows, world, class: name, says } of ROWS)
    test(shows, async () => {
      const { verdict, findings } = await findingsOf(world);
      assert.equal(verdict, "not-deliverable");
      const errors = findings.filter(({ severity }) => severity === "error");
      assert.equal(errors.length, 1, JSON.stringify(findings));
      assert.equal(errors[0]?.class, name);
      assert.match(`${errors[0]?.explanation} ${errors[0]?.remedy}`, says);
    });
});

describe("another time", () => {
  const DAY = 86_400_000;

  test("before anything was signed: nobody has to do anything", async () => {
    const { explanation } = await explainIn({ ...withTlsa(GOOD), later: -3 * DAY });
    const [finding] = explanation.findings;
    assert.deepEqual([finding?.class, finding?.actor], ["dnssec-not-yet-valid", "you"]);
    assert.match(finding?.remedy ?? "", /^nothing: /);
    assert.match(
      explanationText(explanation),
      / {4}\. {2}bogus {5}trust anchor; key \d+ signed from 2025-12-31 on: not valid yet/,
    );
  });

  test("the root's signatures are not of today: this machine's clock", async () => {
    for (const [later, name] of [
      [-3 * DAY, "dnssec-not-yet-valid"],
      [60 * DAY, "dnssec-expired"],
    ] as const) {
      const [finding] = (await findingsOf({ ...withTlsa(GOOD), later, moment: "now" })).findings;
      assert.deepEqual([finding?.class, finding?.actor], [name, "you"]);
      assert.match(finding?.remedy ?? "", /^set this machine's clock right/);
    }
  });
});

describe("an internationalized local part", () => {
  const starttls = { accept: { key: own.keyPem, cert: chainPem(own) } };
  const world = (...extensions: readonly string[]): World => ({
    ...withTlsa(GOOD),
    hosts: { [MX]: { starttls, extensions } },
    target: "m\u00fcller@example.test",
  });

  test("to a host without SMTPUTF8 is not deliverable, as its delivery is not (RFC 6531 §3.2)", async () => {
    const { explanation } = await explainIn(world("8BITMIME"));
    assert.equal(explanation.verdict.kind, "not-deliverable");
    assert.equal(explanation.verdict.status, "5.6.7");
  });

  test("to a host with it is", async () => {
    assert.equal((await findingsOf(world("8BITMIME", "SMTPUTF8"))).verdict, "deliverable");
  });
});

describe("explain --json: what programs rely on", () => {
  test("has these keys", async () => {
    const { explanation } = await explainIn(withTlsa(tlsaFor(other, 3, 1, 1)));
    const shown = JSON.parse(JSON.stringify(explanationJson(explanation)));
    const keys = (value: object): string => Object.keys(value).sort().join(" ");
    assert.equal(
      keys(shown),
      "at deliverable destination findings hosts mtaSts mx nameServers outcome route source target tlsrpt verdict",
    );
    assert.equal(keys(shown.outcome), "address dane dnssec host outcome reason status tls tlsa");
    assert.equal(keys(shown.mx), "answer chain denial name signatures status ttlSeconds type");
    const [host] = shown.hosts;
    assert.equal(keys(host), "addresses base dane discovery dnssec host lookups policy sessions tls tlsa");
    assert.equal(keys(host.sessions[0]), "address dane ehlo failure greeting handshake port tls");
    assert.equal(keys(host.sessions[0].handshake), "certificates cipher group protocol");
    assert.equal(
      keys(host.sessions[0].handshake.certificates[0]),
      "certificateDigest issuer keyDigest names notAfter notBefore subject",
    );
    assert.equal(keys(host.tlsa[0]), "record use");
    assert.equal(keys(shown.findings[0]), "actor class explanation host paste remedy rfc severity");
    assert.equal(keys(shown.mx.chain[2]), "ds dsSignatures keySignatures keys status zone");
  });
});
