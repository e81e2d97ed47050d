import assert from "node:assert/strict";
import { test } from "node:test";
import { CLASS_IN, type Message, type ResourceRecord } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { typeName } from "../../../src/dns/rdataText.ts";
import { coveredType, scrubbed } from "../../../src/resolver/scrub.ts";
import { record, records, response, typeNumber, uint16 } from "../../fake/dnsWire.ts";

/** An RRSIG record whose only field that matters here is the type it covers. */
function rrsig(owner: string, covered: string): ResourceRecord {
  return { ...record(`${owner} A 0.0.0.0`), type: 46, rdata: Buffer.concat([uint16(typeNumber(covered)), Buffer.alloc(17)]) };
}

function nsec(owner: string): ResourceRecord {
  return { ...record(`${owner} A 0.0.0.0`), type: 47, rdata: Buffer.from([0]) };
}

function kept(
  asked: string,
  parts: Partial<Message>,
  zone = "example.com",
): { rcode: number; answer: string[]; authority: string[] } {
  const [owner = "", type = ""] = asked.split(" ");
  const message = scrubbed(response(parts), { name: name(owner), type: typeNumber(type), class: CLASS_IN }, name(zone));
  const show = (one: ResourceRecord) =>
    `${one.name} ${one.type === 46 ? `RRSIG(${typeName(coveredType(one))})` : typeName(one.type)}`;
  assert.deepEqual(message.additional, []);
  return { rcode: message.rcode, answer: message.answer.map(show), authority: message.authority.map(show) };
}

test("scrubbing keeps what was asked for, with its signatures, and drops the rest", () => {
  const answer = [
    ...records("www.example.com A 192.0.2.1", "evil.example.com A 6.6.6.6", 'www.example.com TXT "x"'),
    rrsig("www.example.com", "A"),
    rrsig("www.example.com", "TXT"),
  ];
  const authority = records("example.com NS ns.example.com", "www.example.com MX 1 evil.example.com");
  assert.deepEqual(kept("www.example.com A", { answer, authority, additional: records("ns.example.com A 6.6.6.6") }), {
    rcode: 0,
    answer: ["www.example.com. A", "www.example.com. RRSIG(A)"],
    authority: [],
  });
});

test("an alias is kept as far as its first hop, without what is said about the target (RFC 6604)", () => {
  const answer = records("www.example.com CNAME a.example.com", "a.example.com CNAME b.example.com", "b.example.com A 192.0.2.1");
  const authority = [...records("example.com SOA a. b. 1 2 3 4 5"), nsec("a.example.com")];
  assert.deepEqual(kept("www.example.com A", { rcode: 3, answer, authority }), {
    rcode: 0,
    answer: ["www.example.com. CNAME"],
    authority: ["a.example.com. NSEC"],
  });
});

test("a DNAME within the zone and above the name is kept, with the CNAME made from it; no other DNAME", () => {
  const answer = [
    ...records("sub.example.com DNAME example.net", "a.sub.example.com CNAME a.example.net", "a.example.net A 192.0.2.1"),
    rrsig("sub.example.com", "DNAME"),
  ];
  assert.deepEqual(kept("a.sub.example.com A", { answer }).answer, [
    "sub.example.com. DNAME",
    "a.sub.example.com. CNAME",
    "sub.example.com. RRSIG(DNAME)",
  ]);
  assert.deepEqual(kept("a.sub.example.com A", { answer: records("com DNAME example.net") }).answer, []);
  assert.deepEqual(kept("a.sub.example.com A", { answer: records("other.example.com DNAME example.net") }).answer, []);
  assert.deepEqual(kept("sub.example.com A", { answer: records("sub.example.com DNAME example.net") }).answer, []);
});

test("denials are kept only from within the zone, the SOA only above the name", () => {
  const authority = [
    nsec("a.example.com"),
    nsec("example.net"),
    rrsig("a.example.com", "NSEC"),
    ...records("example.com SOA a. b. 1 2 3 4 5", "other.example.com SOA a. b. 1 2 3 4 5", "com SOA a. b. 1 2 3 4 5"),
  ];
  assert.deepEqual(kept("b.example.com A", { rcode: 3, authority }), {
    rcode: 3,
    answer: [],
    authority: ["a.example.com. NSEC", "a.example.com. RRSIG(NSEC)", "example.com. SOA"],
  });
});

test("signatures in the authority section without what they sign are kept: somebody took it away", () => {
  const authority = [
    nsec("a.example.com"),
    rrsig("a.example.com", "NSEC"),
    rrsig("a.example.com", "TXT"),
    rrsig("example.net", "TXT"),
  ];
  const ns = [...records("example.com NS ns.example.com"), rrsig("example.com", "NS")];
  const denied = kept("b.example.com A", { rcode: 3, authority: [...authority, ...ns] });
  assert.deepEqual(denied.authority, ["a.example.com. NSEC", "a.example.com. RRSIG(NSEC)", "a.example.com. RRSIG(TXT)"]);
  const answer = records("b.example.com CNAME c.example.com");
  assert.deepEqual(kept("b.example.com A", { answer, authority }).authority, [
    "a.example.com. NSEC",
    "a.example.com. RRSIG(NSEC)",
  ]);
});

test("the child's SOA says nothing of its DS", () => {
  const authority = records("sub.example.com SOA a. b. 1 2 3 4 5");
  assert.deepEqual(kept("sub.example.com DS", { authority }).authority, []);
  assert.deepEqual(kept("sub.example.com A", { authority }).authority, ["sub.example.com. SOA"]);
});

test("other classes, and signatures without what they sign, are no answer", () => {
  assert.deepEqual(kept("www.example.com A", { answer: [{ ...record("www.example.com A 192.0.2.1"), class: 3 }] }).answer, []);
  assert.deepEqual(kept("www.example.com A", { answer: [rrsig("www.example.com", "A")] }).answer, []);
});

test("the owner is compared as octets, not as text that looks like it", () => {
  assert.deepEqual(kept("www.example.com A", { answer: records("www\\.example.com A 192.0.2.1") }).answer, []);
});
