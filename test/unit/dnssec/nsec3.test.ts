import assert from "node:assert/strict";
import { test } from "node:test";
import { base32hex } from "../../../src/dns/base32hex.ts";
import type { ResourceRecord } from "../../../src/dns/message.ts";
import { type DomainName, labelsOf, name, suffixOf, wildcardOf } from "../../../src/dns/name.ts";
import { rrsetsOf } from "../../../src/dns/rrset.ts";
import type { Denial, DenialProofs, DsDenial, Pausing } from "../../../src/dnssec/denialProof.ts";
import { nsec3Hash, nsec3Proofs } from "../../../src/dnssec/nsec3.ts";
import type { WildcardExpansion } from "../../../src/dnssec/rrsig.ts";
import { MAX_NSEC3_HASHES, MAX_NSEC3_HASHES_AT_LIMIT, WorkBudget } from "../../../src/dnssec/workBudget.ts";
import { nsec3Chain, type Owner } from "../../fake/denialChain.ts";
import { typeNumber } from "../../fake/dnsWire.ts";
import { nsec3Record } from "../../fake/signer.ts";

const EXAMPLE = name("example");
const SALT = Buffer.from("aabbccdd", "hex");
const ITERATIONS = 12;
const LIMITS = { insecureAbove: 100, bogusAbove: 500 };

/** RFC 5155 appendix A. */
const HASHES: readonly [string, string][] = [
  ["example", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"],
  ["a.example", "35mthgpgcu1qg68fab165klnsnk3dpvl"],
  ["ai.example", "gjeqe526plbf1g8mklp59enfd789njgi"],
  ["ns1.example", "2t7b4g4vsa5smi47k61mv5bv1a22bojr"],
  ["ns2.example", "q04jkcevqvmu85r014c7dkba38o0ji5r"],
  ["w.example", "k8udemvp1j2f7eg6jebps17vp3n8i58h"],
  ["*.w.example", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"],
  ["x.w.example", "b4um86eghhds6nea196smvmlo4ors995"],
  ["y.w.example", "ji6neoaepv8b5o6k4ev33abha8ht9fgc"],
  ["x.y.w.example", "2vptu5timamqttgl4luu9kg21e0aor3s"],
  ["XX.Example", "t644ebqk9bibcna874givr6joj62mlhv"],
  ["2t7b4g4vsa5smi47k61mv5bv1a22bojr.example", "kohar7mbb8dc2ce8a9qvl8hon4k53uhi"],
];

for (const [asked, hash] of HASHES) {
  test(`the hash of ${asked} is that of RFC 5155 appendix A`, () => {
    assert.equal(base32hex(nsec3Hash(name(asked), SALT, ITERATIONS)), hash);
  });
}

const owner = (asked: string, ...types: readonly string[]): Owner => ({ name: name(asked), types: types.map(typeNumber) });

/** RFC 5155 appendix A; c.example is an unsigned delegation in an opt-out span. */
const OWNERS: readonly Owner[] = [
  owner("example", "MX", "DNSKEY", "NS", "SOA", "NSEC3PARAM"),
  owner("a.example", "NS", "DS"),
  owner("ai.example", "TYPE13", "A", "AAAA"),
  owner("ns1.example", "A"),
  owner("2t7b4g4vsa5smi47k61mv5bv1a22bojr.example", "A"),
  owner("ns2.example", "A"),
  owner("w.example"),
  owner("*.w.example", "MX"),
  owner("x.w.example", "MX"),
  owner("y.w.example"),
  owner("x.y.w.example", "MX"),
  owner("xx.example", "TYPE13", "A", "AAAA"),
];

const OPT_OUT = nsec3Chain(EXAMPLE, OWNERS, { salt: SALT, iterations: ITERATIONS, flags: 1 });
/** The same zone with a record for every name; c.example then has one. */
const FULL = nsec3Chain(EXAMPLE, [...OWNERS, owner("c.example", "NS")], { salt: SALT, iterations: ITERATIONS, flags: 0 });

const at = (chain: typeof FULL, ...names: readonly string[]): ResourceRecord[] => names.flatMap((one) => chain.match(name(one)));
const over = (chain: typeof FULL, ...names: readonly string[]): ResourceRecord[] =>
  names.flatMap((one) => chain.cover(name(one)));

/** The proofs with their pauses taken, which are counted. */
class Proofs {
  pauses = 0;
  readonly #proofs: DenialProofs<"pausing">;

  constructor(records: readonly ResourceRecord[], limits: typeof LIMITS, budget: WorkBudget) {
    this.#proofs = nsec3Proofs(EXAMPLE, rrsetsOf(records), limits, budget);
  }

  #run<T>(proof: Pausing<T>): T {
    for (;;) {
      const step = proof.next();
      if (step.done) return step.value;
      this.pauses += 1;
    }
  }

  nameError = (asked: DomainName): Denial => this.#run(this.#proofs.nameError(asked));
  noData = (asked: DomainName, type: number): Denial => this.#run(this.#proofs.noData(asked, type));
  noCloserMatch = (asked: DomainName, expansion: WildcardExpansion): Denial =>
    this.#run(this.#proofs.noCloserMatch(asked, expansion));
  noDs = (asked: DomainName): DsDenial => this.#run(this.#proofs.noDs(asked));
}

function proofs(records: readonly ResourceRecord[], limits = LIMITS, budget = new WorkBudget()): Proofs {
  return new Proofs(records, limits, budget);
}

function shown(denial: Denial | DsDenial): string {
  if (denial.kind === "noCut") return denial.empty ? "noCut empty" : "noCut";
  return denial.kind === "insecure" ? `insecure: ${denial.reasons[0].code}` : denial.kind;
}

test("the chain of the example zone is that of RFC 5155 appendix A", () => {
  for (const [asked, hash] of HASHES) assert.equal(OPT_OUT.match(name(asked))[0]?.name, `${hash}.example.`);
});

type Row = readonly [title: string, records: readonly ResourceRecord[], asked: string, expected: string];

const NAME_ERROR: readonly Row[] = [
  [
    "RFC 5155 appendix B.1",
    [...at(FULL, "x.w.example"), ...over(FULL, "c.x.w.example", "*.x.w.example")],
    "a.c.x.w.example",
    "proved",
  ],
  [
    "in an opt-out span",
    [...at(OPT_OUT, "x.w.example"), ...over(OPT_OUT, "c.x.w.example", "*.x.w.example")],
    "a.c.x.w.example",
    "insecure: opt-out",
  ],
  ["no closest encloser", over(FULL, "c.x.w.example", "*.x.w.example"), "a.c.x.w.example", "notProved"],
  [
    "the next closer name is not covered",
    [...at(FULL, "x.w.example"), ...over(FULL, "*.x.w.example")],
    "a.c.x.w.example",
    "notProved",
  ],
  ["the wildcard is not covered", [...at(FULL, "x.w.example"), ...over(FULL, "c.x.w.example")], "a.c.x.w.example", "notProved"],
  [
    "the encloser is not the closest",
    [...at(FULL, "w.example"), ...over(FULL, "x.w.example", "*.w.example")],
    "a.x.w.example",
    "notProved",
  ],
  ["the name exists", [...at(FULL, "example", "ns1.example"), ...over(FULL, "*.example")], "ns1.example", "notProved"],
  ["below a delegation", [...at(FULL, "a.example"), ...over(FULL, "b.a.example", "*.a.example")], "b.a.example", "notProved"],
  ["outside the zone", [...at(FULL, "example"), ...over(FULL, "*.example")], "org", "notProved"],
  ["nothing", [], "nx.example", "notProved"],
];

for (const [title, records, asked, expected] of NAME_ERROR) {
  test(`name error of ${asked}: ${title}`, () => {
    assert.equal(shown(proofs(records).nameError(name(asked))), expected);
  });
}

const encloserW = (chain: typeof FULL): ResourceRecord[] => [...at(chain, "w.example"), ...over(chain, "z.w.example")];

const NO_DATA: readonly [...Row, type: string][] = [
  ["RFC 5155 appendix B.2", at(FULL, "ns1.example"), "ns1.example", "proved", "MX"],
  ["a match is no matter of opt-out", at(OPT_OUT, "ns1.example"), "ns1.example", "proved", "MX"],
  ["RFC 5155 appendix B.2.1: an empty non-terminal", at(FULL, "y.w.example"), "y.w.example", "proved", "A"],
  ["the type is there", at(FULL, "ns1.example"), "ns1.example", "notProved", "A"],
  ["RFC 5155 appendix B.5: at the wildcard", [...encloserW(FULL), ...at(FULL, "*.w.example")], "a.z.w.example", "proved", "AAAA"],
  [
    "at the wildcard, opt-out",
    [...encloserW(OPT_OUT), ...at(OPT_OUT, "*.w.example")],
    "a.z.w.example",
    "insecure: opt-out",
    "AAAA",
  ],
  ["the wildcard has the type", [...encloserW(FULL), ...at(FULL, "*.w.example")], "a.z.w.example", "notProved", "MX"],
  ["the wildcard's record is missing", encloserW(FULL), "a.z.w.example", "notProved", "AAAA"],
  ["the wildcard's record is missing, opt-out", encloserW(OPT_OUT), "a.z.w.example", "insecure: opt-out", "AAAA"],
  [
    "the encloser's record is missing",
    [...over(FULL, "z.w.example"), ...at(FULL, "*.w.example")],
    "a.z.w.example",
    "notProved",
    "AAAA",
  ],
  ["from the parent's side of a cut", at(FULL, "a.example"), "a.example", "notProved", "MX"],
  ["at the apex", at(FULL, "example"), "example", "proved", "AAAA"],
];

for (const [title, records, asked, expected, type] of NO_DATA) {
  test(`no ${type} at ${asked}: ${title}`, () => {
    assert.equal(shown(proofs(records).noData(name(asked), typeNumber(type))), expected);
  });
}

const NO_DS: readonly Row[] = [
  [
    "RFC 5155 appendix B.3: opt-out",
    [...at(OPT_OUT, "example"), ...over(OPT_OUT, "c.example")],
    "c.example",
    "insecure: opt-out",
  ],
  ["an unsigned delegation with a record", at(FULL, "c.example"), "c.example", "unsignedDelegation"],
  ["there is one", at(FULL, "a.example"), "a.example", "notProved"],
  ["RFC 5155 appendix B.6: the child's own record", at(FULL, "example"), "example", "notProved"],
  ["a name of the zone itself", at(FULL, "ns1.example"), "ns1.example", "noCut"],
  ["an empty non-terminal", at(FULL, "w.example"), "w.example", "noCut"],
  ["a name that does not exist", [...at(FULL, "example"), ...over(FULL, "nx.example")], "nx.example", "noCut empty"],
  ["the next closer name is not covered", at(FULL, "example"), "nx.example", "notProved"],
];

for (const [title, records, asked, expected] of NO_DS) {
  test(`no DS at ${asked}: ${title}`, () => {
    assert.equal(shown(proofs(records).noDs(name(asked))), expected);
  });
}

const expansionAt = (asked: string, labels: number): WildcardExpansion => {
  const closestEncloser = suffixOf(name(asked), labels);
  return { closestEncloser, wildcard: wildcardOf(closestEncloser), nextCloser: suffixOf(name(asked), labels + 1) };
};

const EXPANSION: readonly Row[] = [
  ["RFC 5155 appendix B.4", over(FULL, "z.w.example"), "a.z.w.example", "proved"],
  ["opt-out", over(OPT_OUT, "z.w.example"), "a.z.w.example", "insecure: opt-out"],
  ["the next closer name exists", at(FULL, "x.w.example"), "a.x.w.example", "notProved"],
  ["nothing", [], "a.z.w.example", "notProved"],
];

for (const [title, records, asked, expected] of EXPANSION) {
  test(`nothing closer than the wildcard to ${asked}: ${title}`, () => {
    assert.equal(shown(proofs(records).noCloserMatch(name(asked), expansionAt(asked, 2))), expected);
  });
}

test("a DNAME at the closest encloser takes away what is below it", () => {
  const chain = nsec3Chain(EXAMPLE, [owner("example", "SOA", "NS"), owner("d.example", "DNAME")], {
    salt: SALT,
    iterations: 0,
    flags: 0,
  });
  const records = [...at(chain, "d.example"), ...over(chain, "x.d.example", "*.d.example")];
  assert.equal(proofs(records).nameError(name("x.d.example")).kind, "notProved");
});

test("a chain of one record covers every hash but its own", () => {
  const chain = nsec3Chain(EXAMPLE, [owner("example", "SOA", "NS")], { salt: SALT, iterations: 0, flags: 0 });
  assert.equal(proofs(at(chain, "example")).nameError(name("nx.example")).kind, "proved");
  assert.equal(proofs(at(chain, "example")).noData(name("example"), typeNumber("MX")).kind, "proved");
});

/** The record of `asked` changed in its RDATA: hash algorithm, flags or the length of its next hash. */
function spoiled(change: (rdata: Buffer) => Buffer): ResourceRecord[] {
  return at(FULL, "ns1.example").map((one) => ({ ...one, rdata: change(Buffer.from(one.rdata)) }));
}

const IGNORED: readonly [title: string, records: readonly ResourceRecord[]][] = [
  ["unknown hash algorithm (RFC 5155 §8.1)", spoiled((rdata) => Buffer.concat([Buffer.of(2), rdata.subarray(1)]))],
  ["unknown flag (RFC 5155 §8.2)", spoiled((rdata) => Buffer.concat([Buffer.of(1, 2), rdata.subarray(2)]))],
  ["unknown flag beside opt-out", spoiled((rdata) => Buffer.concat([Buffer.of(1, 3), rdata.subarray(2)]))],
  ["cut short", spoiled((rdata) => rdata.subarray(0, -1))],
  ["an owner that is no hash", at(FULL, "ns1.example").map((one) => ({ ...one, name: name("ns1.example") }))],
  [
    "two levels below the zone",
    at(FULL, "ns1.example").map((one) => ({ ...one, name: name(`${labelsOf(one.name)[0]}.w.example`) })),
  ],
  [
    "two records of one owner",
    [...at(FULL, "ns1.example"), ...spoiled((rdata) => Buffer.concat([Buffer.of(1, 1), rdata.subarray(2)]))],
  ],
  ["another type", at(FULL, "ns1.example").map((one) => ({ ...one, type: 0xff00 }))],
];

for (const [title, records] of IGNORED) {
  test(`ignored: ${title}`, () => {
    assert.equal(proofs(records).noData(name("ns1.example"), typeNumber("MX")).kind, "notProved");
  });
}

test("a record whose owner is no hash covers nothing", () => {
  const covering = over(FULL, "z.w.example").map((one) => ({ ...one, name: name("0.example") }));
  assert.equal(proofs(covering).noCloserMatch(name("a.z.w.example"), expansionAt("a.z.w.example", 2)).kind, "notProved");
});

test("names outside the zone are not spoken of, whatever their hash", () => {
  const chain = nsec3Chain(EXAMPLE, [owner("ns1.org", "A")], { salt: SALT, iterations: 0, flags: 0 });
  assert.equal(proofs(at(chain, "ns1.org")).noData(name("ns1.org"), typeNumber("MX")).kind, "notProved");
});

test("no record covers a name that has one", () => {
  const all = [...OWNERS, owner("c.example")].flatMap((one) => FULL.match(one.name));
  for (const { name: asked } of OWNERS.slice(1)) {
    const expansion = { closestEncloser: EXAMPLE, wildcard: wildcardOf(EXAMPLE), nextCloser: asked };
    assert.equal(proofs(all).noCloserMatch(asked, expansion).kind, "notProved", asked);
    assert.equal(proofs(all).nameError(asked).kind, "notProved", asked);
  }
});

test("the TTL is the least of the records that the proof rests on", () => {
  const parts = [...at(FULL, "x.w.example"), ...over(FULL, "c.x.w.example", "*.x.w.example")];
  for (const [i, least] of parts.entries()) {
    const records = parts.map((one, j) => ({ ...one, ttl: i === j ? 7 : 3600 }));
    const result = proofs(records).nameError(name("a.c.x.w.example"));
    assert.equal(result.kind === "proved" ? result.ttlSeconds : result.kind, 7, least.name);
  }
  const many = nsec3Chain(EXAMPLE, [owner("a.example", "A"), owner("b.example", "A")], { salt: SALT, iterations: 200, flags: 0 });
  const records = at(many, "a.example", "b.example").map((one, i) => ({ ...one, ttl: 60 * (i + 1) }));
  const result = proofs(records).noData(name("a.example"), typeNumber("MX"));
  assert.equal(result.kind === "insecure" ? result.ttlSeconds : result.kind, 60);
});

test("a next hash of another length than SHA-1's is ignored", () => {
  const hash = nsec3Hash(name("ns1.example"), SALT, 0);
  const record = nsec3Record(EXAMPLE, hash, Buffer.alloc(21), [1], { salt: SALT, iterations: 0, flags: 0 });
  assert.equal(proofs([record]).noData(name("ns1.example"), typeNumber("MX")).kind, "notProved");
});

for (const [iterations, expected] of [
  [0, "proved"],
  [100, "proved"],
  [101, "insecure: nsec3-iterations"],
  [500, "insecure: nsec3-iterations"],
  [501, "notProved"],
] as const) {
  test(`${iterations} iterations: ${expected} (RFC 9276 §3.2)`, () => {
    const chain = nsec3Chain(EXAMPLE, [owner("ns1.example", "A")], { salt: SALT, iterations, flags: 0 });
    assert.equal(shown(proofs(at(chain, "ns1.example")).noData(name("ns1.example"), typeNumber("MX"))), expected);
  });
}

test("too many iterations do not turn what is there into an absence that may be insecure, when another chain proves it", () => {
  const many = nsec3Chain(EXAMPLE, [owner("ns1.example", "A")], { salt: SALT, iterations: 200, flags: 0 });
  const records = [...at(many, "ns1.example"), ...at(FULL, "ns1.example")];
  assert.equal(proofs(records).noData(name("ns1.example"), typeNumber("MX")).kind, "proved");
});

test("records of two chains do not make one proof", () => {
  const other = nsec3Chain(EXAMPLE, OWNERS, { salt: Buffer.of(7), iterations: 0, flags: 0 });
  const records = [...at(FULL, "x.w.example"), ...over(other, "c.x.w.example", "*.x.w.example")];
  assert.equal(proofs(records).nameError(name("a.c.x.w.example")).kind, "notProved");
});

test("a denial 20 labels deep costs 21 hashes, and passes at 500 iterations", () => {
  const deep = name(`${"a.".repeat(20)}example`);
  const chain = nsec3Chain(EXAMPLE, [owner("example", "SOA", "NS")], { salt: SALT, iterations: 500, flags: 0 });
  const budget = new WorkBudget();
  const result = proofs(at(chain, "example"), { insecureAbove: 500, bogusAbove: 500 }, budget).nameError(deep);
  assert.equal(result.kind, "proved");
  assert.equal(budget.nsec3Hashes, 21);
});

test("hashes are counted once per name, and yield after eight", () => {
  const budget = new WorkBudget();
  const all = proofs(over(FULL, "nx.example"), LIMITS, budget);
  all.nameError(name("a.b.c.d.e.f.g.nx.example"));
  assert.deepEqual([budget.nsec3Hashes, all.pauses], [8, 0]);
  all.noDs(name("a.b.c.d.e.f.g.nx.example"));
  assert.deepEqual([budget.nsec3Hashes, all.pauses], [9, 1]);
});

for (const [title, iterations, chains, limit] of [
  ["hashes", 0, 8, MAX_NSEC3_HASHES],
  ["rounds of hashing", 500, 1, MAX_NSEC3_HASHES_AT_LIMIT],
] as const) {
  test(`too many ${title} end bogus (CVE-2023-50868)`, () => {
    const deep = name(`${"a.".repeat(120)}example`);
    const parameters = Array.from({ length: chains }, (_, i) => ({ salt: Buffer.of(i), iterations, flags: 0 }));
    const records = parameters.flatMap((one) => nsec3Chain(EXAMPLE, [owner("b.example", "A")], one).match(name("b.example")));
    const budget = new WorkBudget();
    const result = proofs(records, { insecureAbove: 500, bogusAbove: 500 }, budget).nameError(deep);
    assert.equal(result.kind === "notProved" ? result.reasons[0].code : result.kind, "work-limit");
    assert.equal(budget.nsec3Hashes, limit);
  });
}
