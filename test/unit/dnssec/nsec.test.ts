import assert from "node:assert/strict";
import { test } from "node:test";
import type { ResourceRecord } from "../../../src/dns/message.ts";
import { name, suffixOf, wildcardOf } from "../../../src/dns/name.ts";
import { rrsetsOf } from "../../../src/dns/rrset.ts";
import type { Denial, DsDenial } from "../../../src/dnssec/denialProof.ts";
import { nsecProofs } from "../../../src/dnssec/nsec.ts";
import type { WildcardExpansion } from "../../../src/dnssec/rrsig.ts";
import { typeNumber } from "../../fake/dnsWire.ts";
import { nsecRecord } from "../../fake/signer.ts";

/** `owner next TYPE...`; the TTL of each record is its own, so that it can be seen which ones a proof rests on. */
function nsec(text: string, ttl = 3600): ResourceRecord {
  const [owner = "", next = "", ...types] = text.split(" ");
  return nsecRecord(name(owner), name(next), types.map(typeNumber), ttl);
}

/** The zone of RFC 4035 appendix A, plus an unsigned-like DNAME and an empty non-terminal of its own: "y.w.example". */
const APEX = nsec("example a.example NS SOA MX RRSIG NSEC DNSKEY", 100);
const A = nsec("a.example ai.example NS DS RRSIG NSEC", 101);
const AI = nsec("ai.example b.example A TYPE13 AAAA RRSIG NSEC", 102);
const B = nsec("b.example ns1.example NS RRSIG NSEC", 103);
const NS1 = nsec("ns1.example ns2.example A RRSIG NSEC", 104);
const NS2 = nsec("ns2.example *.w.example A RRSIG NSEC", 105);
const WILDCARD = nsec("*.w.example x.w.example MX RRSIG NSEC", 106);
const XW = nsec("x.w.example x.y.w.example MX RRSIG NSEC", 107);
const XYW = nsec("x.y.w.example xx.example MX RRSIG NSEC", 108);
const XX = nsec("xx.example example A TYPE13 AAAA RRSIG NSEC", 109);
const ALL = [APEX, A, AI, B, NS1, NS2, WILDCARD, XW, XYW, XX];

function shown(denial: Denial | DsDenial): string {
  switch (denial.kind) {
    case "notProved":
      return denial.kind;
    case "noCut":
      return `noCut${denial.empty ? " empty" : ""} ${denial.ttlSeconds}`;
    default:
      return `${denial.kind} ${denial.ttlSeconds}`;
  }
}

function proofs(records: readonly ResourceRecord[], zone = "example"): ReturnType<typeof nsecProofs> {
  return nsecProofs(name(zone), rrsetsOf(records));
}

type Row = readonly [title: string, records: readonly ResourceRecord[], asked: string, expected: string];

const NAME_ERROR: readonly Row[] = [
  ["RFC 4035 appendix B.2", [B, APEX], "ml.example", "proved 100"],
  ["the order of records does not matter", [APEX, B], "ml.example", "proved 100"],
  ["below a name that does not exist", [B, APEX], "a.b.c.example", "proved 100"],
  ["between the last name and the apex", [XX, APEX], "zz.example", "proved 100"],
  ["the whole zone", ALL, "ml.example", "proved 100"],
  ["the wildcard is not denied", [B], "ml.example", "notProved"],
  ["nothing covers the name", [APEX], "ml.example", "notProved"],
  ["nothing at all", [], "ml.example", "notProved"],
  ["the name exists", ALL, "ai.example", "notProved"],
  ["the name is an empty non-terminal", ALL, "y.w.example", "notProved"],
  ["a wildcard stands in for it", ALL, "ml.w.example", "notProved"],
  ["below an unsigned delegation (RFC 6840 §4.1)", [B, APEX], "a.b.example", "notProved"],
  ["below a signed delegation", [A, APEX], "x.a.example", "notProved"],
  ["outside the zone", ALL, "example2", "notProved"],
  ["the apex", ALL, "example", "notProved"],
  ["only the wildcard is covered", [WILDCARD, APEX], "ml.example", "notProved"],
];

for (const [title, records, asked, expected] of NAME_ERROR) {
  test(`name error of ${asked}: ${title}`, () => {
    assert.equal(shown(proofs(records).nameError(name(asked))), expected);
  });
}

const NO_DATA: readonly [...Row, type: string][] = [
  ["RFC 4035 appendix B.3", [NS1], "ns1.example", "proved 104", "MX"],
  ["the type is there", [NS1], "ns1.example", "notProved", "A"],
  ["RFC 4035 appendix B.7: at the wildcard", [XYW, WILDCARD], "a.z.w.example", "proved 106", "AAAA"],
  ["the wildcard has the type", [XYW, WILDCARD], "a.z.w.example", "notProved", "MX"],
  ["the wildcard without proof that the name is missing", [WILDCARD], "z.w.example", "notProved", "AAAA"],
  ["the name is missing, nothing is said about the wildcard", [XYW], "a.z.w.example", "notProved", "AAAA"],
  ["an empty non-terminal", [XW], "y.w.example", "proved 107", "MX"],
  ["an empty non-terminal next to the apex", [NS2], "w.example", "proved 105", "A"],
  ["another record denies the name", [NS1, nsec("n.example ns2.example A")], "ns1.example", "notProved", "MX"],
  ["another record denies the wildcard", [XYW, WILDCARD, nsec("v.example x.w.example A")], "a.z.w.example", "notProved", "AAAA"],
  ["another record denies the empty non-terminal", [XW, nsec("v.example z.example A")], "y.w.example", "notProved", "MX"],
  ["a name that does not exist", [B, APEX], "ml.example", "notProved", "A"],
  ["from the parent's side of a cut (RFC 6840 §4.1)", [B], "b.example", "notProved", "A"],
  ["from the parent's side of a signed cut", [A], "a.example", "notProved", "MX"],
  ["at the apex", [APEX], "example", "proved 100", "AAAA"],
  [
    "the wildcard of another encloser",
    [nsec("x.y.w.example xx.example MX"), nsec("*.example a.example MX")],
    "a.z.w.example",
    "notProved",
    "A",
  ],
];

for (const [title, records, asked, expected, type] of NO_DATA) {
  test(`no ${type} at ${asked}: ${title}`, () => {
    assert.equal(shown(proofs(records).noData(name(asked), typeNumber(type))), expected);
  });
}

test("no data: an alias in place of the type is no absence (RFC 6840 §4.3)", () => {
  const alias = nsec("c.example d.example CNAME RRSIG NSEC");
  assert.equal(proofs([alias]).noData(name("c.example"), typeNumber("A")).kind, "notProved");
  assert.equal(proofs([alias]).noData(name("c.example"), typeNumber("CNAME")).kind, "notProved");
});

test("no data: a DNAME takes away what is below it, not what is at it", () => {
  const dname = nsec("c.example e.example DNAME RRSIG NSEC");
  assert.equal(proofs([dname]).noData(name("c.example"), typeNumber("A")).kind, "proved");
  assert.equal(proofs([dname, APEX]).nameError(name("a.c.example")).kind, "notProved");
  assert.equal(proofs([dname, APEX]).nameError(name("d.example")).kind, "proved");
});

test("no data: compact denial names the missing name itself (RFC 9824)", () => {
  const compact = nsec("nx.example \\000.nx.example RRSIG NSEC TYPE128");
  assert.equal(proofs([compact]).noData(name("nx.example"), typeNumber("A")).kind, "proved");
  assert.equal(proofs([compact]).nameError(name("nx.example")).kind, "notProved");
  assert.equal(shown(proofs([compact]).noDs(name("nx.example"))), "noCut 3600");
});

test("a record that shows a closer encloser than the one that covers the name contradicts it: neither denies", () => {
  const covering = nsec("*.example *.wildalias.example A RRSIG NSEC");
  const closer = nsec("*.wild.example here.wild.example A RRSIG NSEC");
  const asked = name("x.wild.example");
  const expansion: WildcardExpansion = {
    wildcard: name("*.example"),
    closestEncloser: name("example"),
    nextCloser: name("wild.example"),
  };
  assert.equal(shown(proofs([covering]).noData(asked, typeNumber("MX"))), "proved 3600");
  assert.equal(shown(proofs([covering, closer]).noData(asked, typeNumber("MX"))), "notProved");
  assert.equal(shown(proofs([covering]).noCloserMatch(asked, expansion)), "proved 3600");
  assert.equal(shown(proofs([covering, closer]).noCloserMatch(asked, expansion)), "notProved");
  const beside = [nsec("example a.example SOA"), nsec("b.example y.example A")];
  assert.equal(shown(proofs(beside).nameError(asked)), "proved 3600");
  assert.equal(shown(proofs([...beside, closer]).nameError(asked)), "notProved");
});

test("name error: minimally covering records (RFC 4470)", () => {
  const covers = nsec("mk~.example ml!.example RRSIG NSEC");
  const wildcard = nsec("\\033~.example \\043.example RRSIG NSEC");
  assert.equal(proofs([covers, wildcard]).nameError(name("ml.example")).kind, "proved");
});

test("name error: the wildcard itself is an empty non-terminal, so there is no name error but no data", () => {
  const records = [nsec("example a.*.example SOA NS"), nsec("a.*.example example A")];
  assert.equal(proofs(records).nameError(name("b.example")).kind, "notProved");
  assert.equal(proofs(records).noData(name("b.example"), typeNumber("A")).kind, "proved");
});

test("a zone of one name denies all below it and nothing else", () => {
  const only = nsec("example example SOA NS RRSIG NSEC DNSKEY");
  assert.equal(proofs([only]).nameError(name("a.example")).kind, "proved");
  assert.equal(proofs([only]).nameError(name("example2")).kind, "notProved");
  const root = nsec(". . SOA NS RRSIG NSEC DNSKEY");
  assert.equal(proofs([root], ".").nameError(name("org")).kind, "proved");
});

const expansionAt = (asked: string, labels: number): WildcardExpansion => {
  const closestEncloser = suffixOf(name(asked), labels);
  return { closestEncloser, wildcard: wildcardOf(closestEncloser), nextCloser: suffixOf(name(asked), labels + 1) };
};

const EXPANSION: readonly [...Row, labels: number][] = [
  ["RFC 4035 appendix B.6", [XYW], "a.z.w.example", "proved 108", 2],
  ["nothing covers the name", [WILDCARD], "a.z.w.example", "notProved", 2],
  ["the name exists", ALL, "x.w.example", "notProved", 2],
  ["a closer encloser exists", [nsec("z.w.example b.z.w.example A"), XYW], "a.z.w.example", "notProved", 2],
  ["the name is an empty non-terminal", [XW], "y.w.example", "notProved", 2],
  ["the encloser of another wildcard", [XYW], "a.z.w.example", "notProved", 1],
];

for (const [title, records, asked, expected, labels] of EXPANSION) {
  test(`nothing closer than the wildcard to ${asked}: ${title}`, () => {
    assert.equal(shown(proofs(records).noCloserMatch(name(asked), expansionAt(asked, labels))), expected);
  });
}

const NO_DS: readonly Row[] = [
  ["RFC 4035 appendix B.5", [B], "b.example", "unsignedDelegation 103"],
  ["there is one", [A], "a.example", "notProved"],
  ["the child's own record, RFC 4035 appendix B.8", [APEX], "example", "notProved"],
  ["a name of the zone itself", [NS1], "ns1.example", "noCut 104"],
  ["an empty non-terminal", [XW], "y.w.example", "noCut 107"],
  ["a name that does not exist", [B], "ml.example", "noCut empty 103"],
  ["a name that only a wildcard stands for", [XYW], "z.w.example", "noCut empty 108"],
  ["an alias", [nsec("c.example d.example CNAME RRSIG NSEC")], "c.example", "noCut 3600"],
  ["another record denies the name", [B, nsec("a.example c.example A")], "b.example", "notProved"],
  ["below an unsigned delegation", [B], "x.b.example", "notProved"],
  ["nothing matches", [NS1], "b.example", "notProved"],
  ["outside the zone", ALL, "example2", "notProved"],
];

for (const [title, records, asked, expected] of NO_DS) {
  test(`no DS at ${asked}: ${title}`, () => {
    assert.equal(shown(proofs(records).noDs(name(asked))), expected);
  });
}

test("records that cannot be of the zone are ignored", () => {
  const nextOutside = nsec("b.example org NS RRSIG NSEC");
  const ownerOutside = nsec("b.org ns1.example NS RRSIG NSEC");
  const broken = { ...B, rdata: B.rdata.subarray(0, -1) };
  const twice = [B, nsec("b.example c.example NS RRSIG NSEC")];
  const otherType = { ...B, type: 0xff00 };
  for (const records of [[nextOutside], [ownerOutside], [broken], twice, [otherType]])
    assert.equal(proofs([...records, APEX]).nameError(name("ml.example")).kind, "notProved");
});

test("a parent's record about the apex of a child is of no use to the child", () => {
  assert.equal(proofs([A], "a.example").noData(name("a.example"), typeNumber("MX")).kind, "notProved");
});
