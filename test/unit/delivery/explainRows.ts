import type { Tlsa } from "../../../src/dane/tlsa.ts";
import type { Verdict } from "../../../src/diagnosis/explanation.ts";
import type { Actor, FailureClass, Severity } from "../../../src/diagnosis/finding.ts";
import { type Message, RR_TYPE } from "../../../src/dns/message.ts";
import { without } from "../../conformance/ownCase.ts";
import { EXPIRED, makeAuthority, makeLeaf, NOT_YET_VALID, tlsaFor } from "../../fake/certificates.ts";
import { signingKey } from "../../fake/signer.ts";
import { FAKE_NOW, type Tamper, type ZoneDefinition } from "../../fake/zone.ts";
import { AUTHORITY, addressOf, NOW, oneHost, PORT, tlsaAt, type World, withLines } from "./explainWorld.ts";

/** A destination for each failure class, and what mends it. */
export type Row = {
  shows: string;
  class: FailureClass;
  world: World;
  verdict: Verdict["kind"];
  actor: Actor;
  severity?: Severity;
  host?: string;
  /** Of the explanation or the remedy: the link, the record, the name. */
  says: RegExp;
  /** The world after the remedy; deliverable, and without the finding. `paste`: what the finding has to paste. */
  mended?: (paste: readonly string[]) => World;
};

const MX = "mx.example.test";
const DAY = 86_400_000;

const authority = AUTHORITY;
const own = makeLeaf({ names: [MX], issuer: authority });
const other = makeLeaf({ names: [MX], issuer: authority });
const GOOD = tlsaFor(own, 3, 1, 1);

function pasted(world: World): (paste: readonly string[]) => World {
  return (paste) => withLines(world, paste);
}

/** The host with `own`, and these records. */
function withTlsa(...records: readonly Tlsa[]): World {
  return { records: oneHost(...records), hosts: { [MX]: [own, authority] } };
}

function mending(row: Omit<Row, "mended">): Row {
  return { ...row, mended: pasted(row.world) };
}

function mismatch(row: Pick<Row, "shows" | "class" | "says" | "world">): Row {
  return mending({ verdict: "not-deliverable", actor: "dns-operator", host: MX, ...row });
}

const oldCa = makeAuthority({ commonName: "Test CA" });
const NOTHING: Tlsa = {
  usage: 3,
  selector: 1,
  matchingType: 1,
  data: Buffer.from("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "hex"),
};

const TLSA_ROWS: readonly Row[] = [
  mismatch({
    shows: "a record of nobody's key",
    class: "tlsa-mismatch",
    says: /no certificate that the host sent/,
    world: withTlsa(tlsaFor(other, 3, 1, 1)),
  }),
  mismatch({
    shows: "the digest of the empty string",
    class: "tlsa-empty-digest",
    says: /digest of nothing/,
    world: withTlsa(NOTHING),
  }),
  mismatch({
    shows: "selector 1 with the digest of the certificate",
    class: "tlsa-wrong-parameters",
    says: /selector 0 instead of 1/,
    world: withTlsa({ ...tlsaFor(own, 3, 0, 1), selector: 1 }),
  }),
  mismatch({
    shows: "usage 3 with the digest of the CA",
    class: "tlsa-wrong-parameters",
    says: /usage 2 instead of 3/,
    world: withTlsa({ ...tlsaFor(authority, 2, 1, 1), usage: 3 }),
  }),
  mismatch({
    shows: "usage 2 with the digest of the server's key",
    class: "tlsa-wrong-parameters",
    says: /usage 3 instead of 2/,
    world: withTlsa({ ...GOOD, usage: 2 }),
  }),
  mismatch({
    shows: "usage 2 and selector 0 with the key's digest",
    class: "tlsa-wrong-parameters",
    says: /usage 3 instead of 2, selector 1 instead of 0/,
    world: withTlsa({ ...GOOD, usage: 2, selector: 0 }),
  }),
  mending({
    shows: "matching type 2 with a SHA-256",
    class: "tlsa-wrong-parameters",
    severity: "warning",
    host: MX,
    verdict: "deliverable",
    actor: "dns-operator",
    says: /matching type 1 instead of 2/,
    world: withTlsa({ ...GOOD, matchingType: 2 }),
  }),
  mending({
    shows: "usage 1, which mail does not know",
    class: "tlsa-unusable",
    severity: "warning",
    host: MX,
    verdict: "deliverable",
    actor: "dns-operator",
    says: /usage 1 is not for SMTP/,
    world: withTlsa({ ...GOOD, usage: 1 }),
  }),
  mismatch({
    shows: "a certificate that was renewed, as history knows",
    class: "tlsa-outdated-certificate",
    says: /until 2025-12-30/,
    world: {
      ...withTlsa(tlsaFor(other, 3, 1, 1)),
      history: [{ der: other.der, firstSeen: NOW - 90 * DAY, lastSeen: NOW - 2 * DAY }],
    },
  }),
  mismatch({
    shows: "the record of the other mail host",
    class: "tlsa-shared-by-mistake",
    says: /mx2\.example\.test/,
    world: {
      records: [
        ...oneHost(tlsaFor(other, 3, 1, 1)),
        "example.test MX 20 mx2.example.test",
        `mx2.example.test A ${addressOf("mx2.example.test")}`,
        ...tlsaAt("mx2.example.test", NOTHING),
      ],
      hosts: { [MX]: [own, authority], "mx2.example.test": [other, authority] },
    },
  }),
  mismatch({
    shows: "an alias to the record of another host",
    class: "tlsa-shared-by-mistake",
    says: /another host, real\.example\.test/,
    world: {
      records: [
        ...oneHost(),
        `_${PORT}._tcp.${MX} CNAME _${PORT}._tcp.real.example.test.`,
        ...tlsaAt("real.example.test", tlsaFor(other, 3, 1, 1)),
      ],
      hosts: { [MX]: [own, authority] },
    },
  }),
  mismatch({
    shows: "a CA of the chain that did not issue the server's certificate",
    class: "tlsa-wrong-ca-key",
    says: /another key issued/,
    world: { records: oneHost(tlsaFor(oldCa, 2, 0, 1)), hosts: { [MX]: [own, authority, oldCa] } },
  }),
  mismatch({
    shows: "the CA's old certificate in full, of the same name",
    class: "tlsa-wrong-ca-key",
    says: /another key issued/,
    world: withTlsa(tlsaFor(oldCa, 2, 0, 0)),
  }),
];

function underCa(row: Pick<Row, "shows" | "class" | "says">, sent: readonly ReturnType<typeof makeLeaf>[]): Row {
  const world: World = { records: oneHost(tlsaFor(authority, 2, 1, 1)), hosts: { [MX]: sent } };
  const mended = () => ({ ...world, hosts: { [MX]: [own, authority] } });
  return { ...row, verdict: "not-deliverable", actor: "mail-operator", host: MX, world, mended };
}

const CERTIFICATE_ROWS: readonly Row[] = [
  underCa({ shows: "an expired certificate under usage 2", class: "certificate-expired", says: /expired at 2020/ }, [
    makeLeaf({ names: [MX], issuer: authority, ...EXPIRED }),
    authority,
  ]),
  underCa(
    {
      shows: "a certificate for another name under usage 2",
      class: "certificate-name-mismatch",
      says: /subjectAltName has mx\.example\.test or example\.test/,
    },
    [makeLeaf({ names: ["elsewhere.test"], issuer: authority }), authority],
  ),
  underCa({ shows: "a certificate that is not valid yet", class: "certificate-path", says: /not valid before/ }, [
    makeLeaf({ names: [MX], issuer: authority, ...NOT_YET_VALID }),
    authority,
  ]),
  underCa({ shows: "the issuer's certificate is not sent", class: "certificate-path", says: /fullchain/ }, [own]),
];

const PLAIN_POLICY = "version: STSv1\nmode: enforce\nmx: MX\nmax_age: 86400\n";

/** STARTTLS and sessions, whatever the certificate. */
const SESSION_ROWS: readonly Row[] = [
  {
    shows: "no STARTTLS where TLSA demands it",
    class: "starttls-missing",
    world: { records: oneHost(GOOD), hosts: { [MX]: { starttls: "absent" } } },
    verdict: "not-deliverable",
    actor: "mail-operator",
    host: MX,
    says: /offers no STARTTLS/,
    mended: () => withTlsa(GOOD),
  },
  {
    shows: "STARTTLS refused",
    class: "starttls-refused",
    world: { records: oneHost(GOOD), hosts: { [MX]: { starttls: { refuse: "454 4.7.0 no key" } } } },
    verdict: "not-deliverable",
    actor: "mail-operator",
    host: MX,
    says: /454 4\.7\.0 no key/,
    mended: () => withTlsa(GOOD),
  },
  {
    shows: "a handshake that fails",
    class: "handshake-failed",
    world: { records: oneHost(GOOD), hosts: { [MX]: { starttls: { broken: "garbage" } } } },
    verdict: "not-deliverable",
    actor: "mail-operator",
    host: MX,
    says: /handshake failed/,
    mended: () => withTlsa(GOOD),
  },
  {
    shows: "a handshake that fails where nothing demands it: mail goes in clear text",
    class: "handshake-failed",
    severity: "warning",
    world: { records: oneHost(), hosts: { [MX]: { starttls: { broken: "garbage" } } } },
    verdict: "deliverable",
    actor: "mail-operator",
    host: MX,
    says: /handshake failed/,
    mended: () => ({ records: oneHost(), hosts: { [MX]: [own, authority] } }),
  },
  {
    shows: "nobody listens",
    class: "host-unreachable",
    world: { records: oneHost(GOOD) },
    verdict: "undecided",
    actor: "mail-operator",
    host: MX,
    says: /connection refused/,
    mended: () => withTlsa(GOOD),
  },
  {
    shows: "a greeting that turns us away",
    class: "host-unreachable",
    world: { records: oneHost(GOOD), hosts: { [MX]: { greeting: "554 5.7.1 go away" } } },
    verdict: "undecided",
    actor: "mail-operator",
    host: MX,
    says: /554 5\.7\.1 go away/,
    mended: () => withTlsa(GOOD),
  },
];

const STS_ROWS: readonly Row[] = [
  {
    shows: "an MTA-STS policy that does not list the host",
    class: "sts-mismatch",
    world: { records: oneHost(), hosts: { [MX]: [own, authority] }, sts: PLAIN_POLICY.replace("MX", "mail.example.test") },
    verdict: "not-deliverable",
    actor: "mail-operator",
    host: MX,
    says: /does not list it/,
    mended: () => ({ records: oneHost(), hosts: { [MX]: [own, authority] }, sts: PLAIN_POLICY.replace("MX", MX) }),
  },
  {
    shows: "an MTA-STS policy, and a certificate of a CA that nobody knows",
    class: "certificate-path",
    world: { records: oneHost(), hosts: { [MX]: [makeLeaf({ names: [MX] })] }, sts: PLAIN_POLICY.replace("MX", MX) },
    verdict: "not-deliverable",
    actor: "mail-operator",
    host: MX,
    says: /issued by no CA that is trusted here/,
    mended: () => ({ records: oneHost(), hosts: { [MX]: [own, authority] }, sts: PLAIN_POLICY.replace("MX", MX) }),
  },
];

const soon = makeLeaf({ names: [MX], issuer: authority, notAfter: new Date(NOW + 5 * DAY) });
const soonWorld = (...records: readonly Tlsa[]): World => ({ records: oneHost(...records), hosts: { [MX]: [soon, authority] } });

const ROLLOVER_ROWS: readonly Row[] = [
  {
    shows: "a certificate near its end under 3 0 1",
    class: "rollover-at-risk",
    severity: "warning",
    world: soonWorld(tlsaFor(soon, 3, 0, 1)),
    verdict: "deliverable",
    actor: "mail-operator",
    host: MX,
    says: /expires on 2026-01-06, and its TLSA pins that very certificate/,
    mended: () => soonWorld(tlsaFor(soon, 3, 0, 1), tlsaFor(other, 3, 1, 1)),
  },
  {
    shows: "a certificate near its end under a single 3 1 1",
    class: "rollover-at-risk",
    severity: "warning",
    world: soonWorld(tlsaFor(soon, 3, 1, 1)),
    verdict: "deliverable",
    actor: "mail-operator",
    host: MX,
    says: /no second TLSA record/,
    mended: () => soonWorld(tlsaFor(soon, 3, 1, 1), tlsaFor(other, 3, 1, 1)),
  },
];

const unsignedEverywhere: Tamper = (message: Message) => without(message, RR_TYPE.RRSIG, RR_TYPE.NSEC, RR_TYPE.NSEC3);

function only(name: string, type: number, change: (message: Message) => Message): Tamper {
  return (message, asked, askedType) => (asked === name && askedType === type ? change(message) : message);
}

/** A bit of every signature over `type`. */
function brokenSignatures(message: Message, type: number): Message {
  const spoil = (records: Message["answer"]) =>
    records.map((record) => {
      if (record.type !== RR_TYPE.RRSIG || record.rdata.readUInt16BE(0) !== type) return record;
      const rdata = Buffer.from(record.rdata);
      rdata.writeUInt8(rdata.readUInt8(rdata.length - 1) ^ 1, rdata.length - 1);
      return { ...record, rdata };
    });
  return { ...message, answer: spoil(message.answer), authority: spoil(message.authority) };
}

/** A destination without trouble. */
export const GOOD_WORLD: World = withTlsa(GOOD);
const good = GOOD_WORLD;
const dnssec = (row: Omit<Row, "verdict" | "actor"> & Partial<Pick<Row, "verdict" | "actor">>): Row => ({
  verdict: "not-deliverable",
  actor: "dns-operator",
  mended: () => good,
  ...row,
});
const window = (from: number, to: number): Partial<ZoneDefinition> => ({
  window: { inception: FAKE_NOW + from * 86_400, expiration: FAKE_NOW + to * 86_400 },
});
const OTHER_KEY = signingKey({ seed: "another key" });

function rekeyed(message: Message): Message {
  return {
    ...message,
    answer: message.answer.map((record) => (record.type === RR_TYPE.DNSKEY ? { ...record, rdata: OTHER_KEY.dnskey } : record)),
  };
}

const DNSSEC_ROWS: readonly Row[] = [
  dnssec({
    shows: "signatures that ran out",
    class: "dnssec-expired",
    world: { ...good, zone: window(-60, -30) },
    says: /expired 30 days ago.* ends at example\.test/,
  }),
  dnssec({
    shows: "signatures of the future",
    class: "dnssec-not-yet-valid",
    world: { ...good, zone: window(30, 60) },
    says: /not valid for 30 days yet/,
  }),
  dnssec({
    shows: "a broken signature over TLSA",
    class: "dnssec-bad-signature",
    host: MX,
    world: { ...good, tamper: (message) => brokenSignatures(message, RR_TYPE.TLSA) },
    says: /does not verify.* holds down to example\.test/,
  }),
  dnssec({
    shows: "a broken signature over a denial",
    class: "dnssec-bad-denial",
    host: MX,
    world: {
      records: oneHost(),
      hosts: { [MX]: [own, authority] },
      tamper: (message) => brokenSignatures(message, RR_TYPE.NSEC),
    },
    says: /it is not proved that/,
  }),
  dnssec({
    shows: "a denial without its proof",
    class: "dnssec-bad-denial",
    host: MX,
    world: {
      records: oneHost(),
      hosts: { [MX]: [own, authority] },
      tamper: only(`_${PORT}._tcp.${MX}.`, RR_TYPE.TLSA, (message) => ({
        ...message,
        authority: message.authority.filter(({ type }) => type === RR_TYPE.SOA),
      })),
    },
    says: /it is not proved that/,
  }),
  dnssec({
    shows: "DS of a key that the zone has no more",
    class: "dnssec-unknown-key",
    actor: "parent-zone",
    world: { ...good, tamper: only("example.test.", RR_TYPE.DNSKEY, rekeyed) },
    says: /no DNSKEY of example\.test is vouched for/,
  }),
  dnssec({
    shows: "nobody answers for MX",
    class: "dnssec-lookup-failed",
    verdict: "undecided",
    world: { ...good, tamper: (message, _name, type) => (type === RR_TYPE.MX ? "fail" : message) },
    says: /answer MX questions/,
  }),
  dnssec({
    shows: "nobody answers for TLSA",
    class: "dnssec-lookup-failed",
    verdict: "undecided",
    host: MX,
    world: { ...good, tamper: (message, _name, type) => (type === RR_TYPE.TLSA ? "fail" : message) },
    says: /old name server/,
  }),
  dnssec({
    shows: "a resolver that strips DNSSEC",
    class: "dnssec-stripped",
    actor: "resolver-operator",
    world: { ...good, tamper: unsignedEverywhere },
    says: /set resolver\.mode to recursive \(now: a fake recursor\)/,
  }),
  dnssec({
    shows: "a signed zone without DS",
    class: "dnssec-no-ds",
    severity: "warning",
    verdict: "deliverable",
    actor: "parent-zone",
    world: { ...good, zone: { island: true } },
    says: /hand this one to the registrar/,
  }),
  dnssec({
    shows: "an unsigned zone",
    class: "dnssec-unsigned",
    severity: "info",
    verdict: "deliverable",
    world: { ...good, zone: { unsigned: true } },
    says: /sign example\.test with DNSSEC/,
  }),
];

const ROUTE_ROWS: readonly Row[] = [
  {
    shows: "a null MX",
    class: "null-mx",
    world: { records: ["example.test MX 0 ."] },
    verdict: "not-deliverable",
    actor: "dns-operator",
    says: /takes no mail/,
    mended: () => good,
  },
  {
    shows: "a domain that does not exist",
    class: "mx-unresolvable",
    world: { ...good, target: "user@nowhere.test" },
    verdict: "not-deliverable",
    actor: "dns-operator",
    host: "nowhere.test",
    says: /does not exist/,
  },
  {
    shows: "an MX host without an address",
    class: "mx-unresolvable",
    world: { records: ["example.test MX 10 mx.example.test"] },
    verdict: "not-deliverable",
    actor: "dns-operator",
    host: MX,
    says: /neither an A nor an AAAA/,
    mended: () => good,
  },
  {
    shows: "an MX host that is this machine",
    class: "mx-unresolvable",
    world: { ...good, settings: { allowLoopback: false } },
    verdict: "not-deliverable",
    actor: "dns-operator",
    host: MX,
    says: /point back to this machine/,
  },
  {
    shows: "this relay is the domain's mail host",
    class: "mx-unresolvable",
    world: { records: ["example.test MX 10 relay.test"] },
    verdict: "not-deliverable",
    actor: "you",
    says: /delivery\.routes/,
  },
];

export const ROWS: readonly Row[] = [
  ...TLSA_ROWS,
  ...CERTIFICATE_ROWS,
  ...SESSION_ROWS,
  ...STS_ROWS,
  ...ROLLOVER_ROWS,
  ...DNSSEC_ROWS,
  ...ROUTE_ROWS,
];
