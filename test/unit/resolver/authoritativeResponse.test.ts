import assert from "node:assert/strict";
import { test } from "node:test";
import { CLASS_IN, type Message } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { judgeResponse, RCODE } from "../../../src/resolver/authoritativeResponse.ts";
import { records, response, typeNumber } from "../../fake/dnsWire.ts";
import { nsecRecord } from "../../fake/signer.ts";

/** What a server of `zone` (default example.com) says to a question, and what that is. */
type Case = {
  title: string;
  asked?: string;
  zone?: string;
  rd?: boolean;
  edns?: boolean;
  message: Partial<Message>;
  expected: string;
};

const SOA = "example.com SOA ns.example.com h.example.com 1 2 3 4 5";
const { edns: _, ...withoutOpt } = response();

const cases: readonly Case[] = [
  {
    title: "records, with AA",
    message: { authoritative: true, answer: records("www.example.com A 192.0.2.1") },
    expected: "authoritative",
  },
  { title: "records, without AA", message: { answer: records("www.example.com A 192.0.2.1") }, expected: "second rate" },
  {
    title: "records of a cache",
    message: { recursionAvailable: true, answer: records("www.example.com A 192.0.2.1") },
    expected: "recursive",
  },
  {
    title: "the same, asked with RD",
    rd: true,
    message: { recursionAvailable: true, answer: records("www.example.com A 192.0.2.1") },
    expected: "authoritative",
  },
  {
    title: "AA and RA: a server that does both",
    message: { authoritative: true, recursionAvailable: true, answer: records("www.example.com A 192.0.2.1") },
    expected: "authoritative",
  },
  {
    title: "NXDOMAIN with SOA",
    message: { rcode: RCODE.NXDOMAIN, authoritative: true, authority: records(SOA) },
    expected: "authoritative",
  },
  {
    title: "NXDOMAIN with AA alone (RFC 2308 §2.1)",
    message: { rcode: RCODE.NXDOMAIN, authoritative: true },
    expected: "second rate",
  },
  {
    title: "NXDOMAIN with a proof and without SOA",
    message: {
      rcode: RCODE.NXDOMAIN,
      authoritative: true,
      authority: [nsecRecord(name("example.com."), name("z.example.com."), [1])],
    },
    expected: "authoritative",
  },
  {
    title: "NXDOMAIN with SOA, without AA",
    message: { rcode: RCODE.NXDOMAIN, authority: records(SOA) },
    expected: "second rate",
  },
  { title: "NXDOMAIN with nothing", message: { rcode: RCODE.NXDOMAIN }, expected: "lame" },
  {
    title: "NXDOMAIN with nothing, of a forwarder",
    rd: true,
    message: { rcode: RCODE.NXDOMAIN, recursionAvailable: true },
    expected: "authoritative",
  },
  {
    title: "NXDOMAIN with NS records of the zone above, with AA",
    message: { rcode: RCODE.NXDOMAIN, authoritative: true, authority: records("com NS a.gtld-servers.net") },
    expected: "lame",
  },
  { title: "NODATA with SOA", message: { authoritative: true, authority: records(SOA) }, expected: "authoritative" },
  { title: "NODATA with neither SOA nor NS (RFC 2308 §2.2)", message: { authoritative: true }, expected: "second rate" },
  { title: "nothing at all, without AA", message: {}, expected: "second rate" },
  {
    title: "NXDOMAIN of the zone above, with AA",
    message: { rcode: RCODE.NXDOMAIN, authoritative: true, authority: records("com SOA a. b. 1 2 3 4 5") },
    expected: "lame",
  },
  {
    title: "NODATA of a zone to the side",
    message: { authoritative: true, authority: records("example.net SOA a. b. 1 2 3 4 5") },
    expected: "lame",
  },
  {
    title: "a zone below, on the same server",
    asked: "www.sub.example.com A",
    message: { authoritative: true, authority: records("sub.example.com SOA a. b. 1 2 3 4 5") },
    expected: "authoritative",
  },
  {
    title: "a referral downward",
    asked: "www.sub.example.com A",
    message: { authority: records("sub.example.com NS ns.sub.example.com") },
    expected: "referral sub.example.com.",
  },
  {
    title: "two referrals: the closer one",
    asked: "www.sub.example.com A",
    message: { authority: records("sub.example.com NS a.", "www.sub.example.com NS b.") },
    expected: "referral www.sub.example.com.",
  },
  {
    title: "a referral that does not lead to the name",
    asked: "www.sub.example.com A",
    message: { authority: records("other.example.com NS ns.other.example.com") },
    expected: "lame",
  },
  { title: "a referral upward", message: { authority: records("com NS a.gtld-servers.net") }, expected: "lame" },
  {
    title: "a referral upward, with AA",
    message: { authoritative: true, authority: records(". NS a.root-servers.net") },
    expected: "lame",
  },
  { title: "a referral to the zone itself", message: { authority: records("example.com NS ns.example.com") }, expected: "lame" },
  {
    title: "the same from a cache",
    message: { recursionAvailable: true, authority: records("example.com NS ns.example.com") },
    expected: "recursive",
  },
  {
    title: "NS of the zone itself with AA",
    message: { authoritative: true, authority: records("example.com NS ns.example.com") },
    expected: "authoritative",
  },
  {
    title: "a referral from a server asked with RD",
    asked: "www.sub.example.com A",
    rd: true,
    message: { recursionAvailable: true, authority: records("sub.example.com NS a.") },
    expected: "lame",
  },
  {
    title: "DS from the parent",
    asked: "sub.example.com DS",
    message: { authoritative: true, authority: records(SOA) },
    expected: "authoritative",
  },
  {
    title: "no DS, by the child",
    asked: "sub.example.com DS",
    message: { authoritative: true, authority: records("sub.example.com SOA a. b. 1 2 3 4 5") },
    expected: "lame",
  },
  {
    title: "a referral to the child instead of DS",
    asked: "sub.example.com DS",
    message: { authority: records("sub.example.com NS a.") },
    expected: "lame",
  },
  {
    title: "only records that nobody asked for",
    message: { authoritative: true, answer: records("www.example.net A 192.0.2.1"), authority: records("com NS a.") },
    expected: "lame",
  },
  {
    title: "another question",
    message: { authoritative: true, questions: [{ name: name("x.example.com"), type: 1, class: CLASS_IN }] },
    expected: "failure",
  },
  {
    title: "another type",
    message: { authoritative: true, questions: [{ name: name("www.example.com"), type: 28, class: CLASS_IN }] },
    expected: "failure",
  },
  {
    title: "another class",
    message: { authoritative: true, questions: [{ name: name("www.example.com"), type: 1, class: 3 }] },
    expected: "failure",
  },
  { title: "SERVFAIL", message: { rcode: RCODE.SERVFAIL }, expected: "failure" },
  { title: "an unknown RCODE", message: { rcode: 23 }, expected: "failure" },
  { title: "REFUSED", message: { rcode: RCODE.REFUSED }, expected: "lame" },
  { title: "NOTAUTH", message: { rcode: RCODE.NOTAUTH }, expected: "lame" },
  {
    title: "YXDOMAIN with its DNAME",
    message: { rcode: RCODE.YXDOMAIN, authoritative: true, answer: records("example.com DNAME long.example") },
    expected: "authoritative",
  },
  { title: "YXDOMAIN alone", message: { rcode: RCODE.YXDOMAIN, authoritative: true }, expected: "failure" },
  { title: "FORMERR with OPT in it", message: { rcode: RCODE.FORMERR }, expected: "failure" },
  { title: "BADVERS", message: { rcode: RCODE.BADVERS }, expected: "ednsRefused" },
];

function judged(one: Case, message: Message): string {
  const [owner = "", mnemonic = ""] = (one.asked ?? "www.example.com A").split(" ");
  const question = { name: name(owner), type: typeNumber(mnemonic), class: CLASS_IN };
  const asked = { zone: name(one.zone ?? "example.com"), recursionDesired: one.rd ?? false, edns: one.edns ?? true };
  const kind = judgeResponse({ ...message, questions: one.message.questions ?? [question] }, question, asked);
  if (kind.kind === "answer") return kind.authoritative ? "authoritative" : "second rate";
  return kind.kind === "referral" ? `referral ${kind.zone}` : kind.kind;
}

for (const one of cases) {
  test(`response: ${one.title}`, () => {
    assert.equal(judged(one, { ...response({ recursionAvailable: false }), ...one.message }), one.expected);
  });
}

test("response: FORMERR and NOTIMP without OPT are a server without EDNS, once EDNS was used", () => {
  for (const rcode of [RCODE.FORMERR, RCODE.NOTIMP]) {
    const one = { title: "", message: {}, expected: "" };
    assert.equal(judged(one, { ...withoutOpt, rcode }), "ednsRefused");
    assert.equal(judged({ ...one, edns: false }, { ...withoutOpt, rcode }), "failure");
  }
});
