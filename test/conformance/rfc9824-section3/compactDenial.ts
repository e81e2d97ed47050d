import { type Message, type ResourceRecord, RR_TYPE } from "../../../src/dns/message.ts";
import { type DomainName, name } from "../../../src/dns/name.ts";
import { nsec3Hash } from "../../../src/dnssec/nsec3.ts";
import { nsec3Record, nsecRecord, signRrset } from "../../fake/signer.ts";
import { FAKE_WINDOW, type FakeDns } from "../../fake/zone.ts";
import { type OwnCase, signedTree } from "../ownCase.ts";

/** Denials that a server makes up for the question: compact ones (RFC 9824), and spans as small as can be (RFC 4470, RFC 7129 app. B). */

const { A, MX, TXT, TLSA, DS, NS, SOA, NSEC, RRSIG } = RR_TYPE;
/** RFC 9824 §3.1: in the bitmap of a name that does not exist. */
const NXNAME = 128;
const APEX = name("example.test.");
const MISSING = name("no.example.test.");
const BELOW = ["_25._tcp.mx.example.test TLSA 3 1 1 abcd"];
const ZONES = signedTree(BELOW);
const WITH_UNSIGNED = [...ZONES, { name: "sub.example.test.", unsigned: true, records: ["www.sub.example.test A 192.0.2.1"] }];

type Proof = (dns: FakeDns, owner: DomainName) => readonly ResourceRecord[];

/** With the signature of example.test. */
function signed(dns: FakeDns, record: ResourceRecord): ResourceRecord[] {
  return [record, ...dns.zone(APEX).keys.map((key) => signRrset([record], key, APEX, FAKE_WINDOW))];
}

const compact =
  (...types: readonly number[]): Proof =>
  (dns, owner) =>
    signed(dns, nsecRecord(owner, name(`\\000.${owner}`), [...types, RRSIG, NSEC]));

const spans =
  (...ends: readonly (readonly [string, string])[]): Proof =>
  (dns) =>
    ends.flatMap(([from, to]) => signed(dns, nsecRecord(name(from), name(to), [RRSIG, NSEC])));

const hashOf = (owner: string): Buffer => nsec3Hash(name(owner), Buffer.alloc(0), 0);
const beside = (hash: Buffer, by: number): Buffer =>
  Buffer.from(hash.map((octet, i) => (i === hash.length - 1 ? octet + by : octet)));
const hashed = (dns: FakeDns, from: Buffer, to: Buffer, types: readonly number[]): ResourceRecord[] =>
  signed(dns, nsec3Record(APEX, from, to, types, { salt: Buffer.alloc(0), iterations: 0, flags: 0 }));
const apexHash =
  (...types: readonly number[]): Proof =>
  (dns) =>
    hashed(dns, hashOf(APEX), beside(hashOf(APEX), 1), types);
const around =
  (owner: string): Proof =>
  (dns) =>
    hashed(dns, beside(hashOf(owner), -1), beside(hashOf(owner), 1), []);

/** The answer to questions that `made` says yes to: nothing but the SOA and this proof. */
function denying(
  title: string,
  ask: OwnCase["ask"],
  denial: { rcode: number; made: (owner: DomainName, type: number) => boolean; proofs: readonly Proof[] },
  expect: OwnCase["expect"],
  zones = ZONES,
): OwnCase {
  const tamper = (message: Message, owner: DomainName, type: number, dns: FakeDns): Message => {
    if (!denial.made(owner, type)) return message;
    const proof = denial.proofs.flatMap((one) => one(dns, owner));
    return { ...message, rcode: denial.rcode, answer: [], authority: [...dns.zone(APEX).signed(APEX, SOA), ...proof] };
  };
  return { title, zones, tamper, ask, expect };
}

const ASKED = ["no.example.test", "A"] as const;
const missing = (owner: DomainName): boolean => owner === MISSING;
const nodata = { status: "secure", answer: "nodata" } as const;
const nxdomain = { status: "secure", answer: "nxdomain" } as const;
const bogus = { status: "bogus" } as const;
const NEXT_TO_MISSING = ["nn.example.test.", "no\\000.example.test."] as const;
const NEXT_TO_WILDCARD = ["\\041.example.test.", "\\043.example.test."] as const;

export const COMPACT_DENIAL: readonly OwnCase[] = [
  denying("a name that does not exist", ASKED, { rcode: 0, made: missing, proofs: [compact(NXNAME)] }, nodata),
  denying("the same with RCODE NXDOMAIN", ASKED, { rcode: 3, made: missing, proofs: [compact(NXNAME)] }, nodata),
  denying("a type that does not exist", ASKED, { rcode: 0, made: missing, proofs: [compact(MX, TXT)] }, nodata),
  denying("a bitmap with the type that was asked for", ASKED, { rcode: 0, made: missing, proofs: [compact(A)] }, bogus),
  denying(
    "an unsigned delegation",
    ["www.sub.example.test", "A"],
    { rcode: 0, made: (owner, type) => type === DS && owner === name("sub.example.test."), proofs: [compact(NS)] },
    { status: "insecure", answer: "records", reason: "no-ds" },
    WITH_UNSIGNED,
  ),
  denying(
    "no DS at the names on the way to a TLSA record, which do not exist, nor may they hide it",
    ["_25._tcp.mx.example.test", "TLSA"],
    { rcode: 0, made: (owner, type) => type === DS && owner.endsWith("mx.example.test."), proofs: [compact(NXNAME)] },
    { status: "secure", answer: "records" },
  ),
  denying(
    "the denial of another name",
    ["_25._tcp.mx.example.test", "TLSA"],
    { rcode: 0, made: (_owner, type) => type === TLSA, proofs: [(dns) => compact(NXNAME)(dns, MISSING)] },
    bogus,
  ),
  denying("small spans", ASKED, { rcode: 3, made: missing, proofs: [spans(NEXT_TO_MISSING, NEXT_TO_WILDCARD)] }, nxdomain),
  denying("a small span that leaves the wildcard", ASKED, { rcode: 3, made: missing, proofs: [spans(NEXT_TO_MISSING)] }, bogus),
  denying(
    "small spans of hashes",
    ASKED,
    { rcode: 3, made: missing, proofs: [apexHash(SOA, NS, RRSIG), around(MISSING), around("*.example.test.")] },
    nxdomain,
  ),
  denying(
    "small spans of hashes that leave the name itself",
    ASKED,
    { rcode: 3, made: missing, proofs: [apexHash(SOA, NS, RRSIG), around("*.example.test.")] },
    bogus,
  ),
];
