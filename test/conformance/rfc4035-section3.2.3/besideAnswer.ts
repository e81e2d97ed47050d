import { type Message, type ResourceRecord, RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { record, records } from "../../fake/dnsWire.ts";
import { nsecRecord, signingKey, signRrset } from "../../fake/signer.ts";
import { FAKE_WINDOW } from "../../fake/zone.ts";
import { type OwnCase, signedTree } from "../ownCase.ts";

/** Authority sections, of joined messages above all: what must be authentic in them, what may be anything, and when it is decided. */
const KEY = signingKey({ seed: "example" });
const PARENT_KEY = signingKey({ seed: "test." });
const ZONES = [
  ...signedTree(
    [
      "mail.example.test A 192.0.2.1",
      "alias.example.test CNAME mail.example.test",
      "twice.example.test CNAME alias.example.test",
      "toinsecure.example.test CNAME mail.insecure.test",
      "toother.example.test CNAME mail.other.test",
      "*.wild.example.test A 192.0.2.9",
      "old.example.test DNAME new.example.test",
      "mail.new.example.test A 192.0.2.4",
    ],
    { keys: [KEY] },
  ),
  { name: "insecure.test.", records: ["mail.insecure.test A 192.0.2.5"], unsigned: true },
  { name: "other.test.", records: ["mail.other.test A 192.0.2.6"] },
];

type Tamper = NonNullable<OwnCase["tamper"]>;
type Asked = readonly [string, string];

/** Changes the answer to one question alone. */
function answerTo([owner, type]: Asked, change: (message: Message, ...rest: Parameters<Tamper>) => Message): Tamper {
  return (message, ...rest) => {
    const [asked, askedType] = rest;
    const isIt = asked === name(owner) && askedType === RR_TYPE[type as keyof typeof RR_TYPE];
    return isIt ? change(message, message, ...rest) : message;
  };
}

function beside(...added: readonly ResourceRecord[]): (message: Message) => Message {
  return (message) => ({ ...message, authority: [...message.authority, ...added] });
}

const spoilt =
  (covered: number) =>
  (one: ResourceRecord): ResourceRecord => {
    if (one.type !== RR_TYPE.RRSIG || one.rdata.readUInt16BE(0) !== covered) return one;
    const rdata = Buffer.from(one.rdata);
    rdata.writeUInt8(rdata.readUInt8(rdata.length - 1) ^ 1, rdata.length - 1);
    return { ...one, rdata };
  };

const UNSIGNED_NSEC = nsecRecord(name("spare.example.test"), name("spare2.example.test"), [RR_TYPE.A]);
const SIGNED_NSEC = [UNSIGNED_NSEC, signRrset([UNSIGNED_NSEC], KEY, name("example.test"), FAKE_WINDOW)];
const FORGED_NSEC = SIGNED_NSEC.map(spoilt(RR_TYPE.NSEC));
const NS = record("example.test NS ns.evil.test");
const SIGNED_NS = [NS, signRrset([NS], KEY, name("example.test"), FAKE_WINDOW)];

const A: Asked = ["mail.example.test", "A"];
const ALIAS: Asked = ["alias.example.test", "A"];
const ALIAS_NODATA: Asked = ["alias.example.test", "TLSA"];
const TO_INSECURE: Asked = ["toinsecure.example.test", "A"];
const TO_OTHER: Asked = ["toother.example.test", "A"];
const WILD: Asked = ["x.wild.example.test", "A"];
const OLD: Asked = ["mail.old.example.test", "A"];
const SECURE = { status: "secure", answer: "records" } as const;
const REFUSED = { status: "bogus" } as const;

function plain(title: string, ask: Asked, change: Parameters<typeof answerTo>[1], expect: OwnCase["expect"]): OwnCase {
  return { title, zones: ZONES, ask, tamper: answerTo(ask, change), expect };
}

const joined: readonly OwnCase[] = [
  plain("joined: an unsigned NSEC that is not needed", ALIAS, beside(UNSIGNED_NSEC), REFUSED),
  plain("joined: a forged NSEC of the zone that speaks", ALIAS, beside(...FORGED_NSEC), {
    ...REFUSED,
    reason: "signature-invalid",
  }),
  plain("joined: an NSEC of the zone that speaks", ALIAS, beside(...SIGNED_NSEC), SECURE),
  plain(
    "joined: a proof that does not hold is asked for again where its target says it anew",
    ALIAS_NODATA,
    (message) => ({
      ...message,
      authority: message.authority.map(spoilt(RR_TYPE.NSEC)),
    }),
    { status: "secure", answer: "nodata" },
  ),
  plain(
    "joined: so is an SOA",
    ALIAS_NODATA,
    (message) => ({
      ...message,
      authority: message.authority.map(spoilt(RR_TYPE.SOA)),
    }),
    { status: "secure", answer: "nodata" },
  ),
  plain(
    "joined, two zones: an NSEC of the second",
    TO_OTHER,
    (message, _m, _o, _t, dns) => ({
      ...message,
      authority: dns.zone("other.test.").step(name("absent.other.test"), RR_TYPE.A).authority,
    }),
    SECURE,
  ),
  plain(
    "joined, two zones: an NSEC of a third",
    TO_OTHER,
    (message, _m, _o, _t, dns) => ({
      ...message,
      authority: dns.zone("test.").step(name("absent.test"), RR_TYPE.A).authority,
    }),
    REFUSED,
  ),
  plain("joined, insecure in the end: what stands beside needs no signature", TO_INSECURE, beside(UNSIGNED_NSEC), {
    status: "insecure",
    answer: "records",
  }),
  plain("joined, insecure in the end: a forged signature of the zone that speaks", TO_INSECURE, beside(...FORGED_NSEC), REFUSED),
  plain(
    "joined: the second alias does not hold, but does when it is asked for",
    ["twice.example.test", "A"],
    (message) => ({
      ...message,
      answer: message.answer.map((one) => (one.name === name("alias.example.test") ? spoilt(RR_TYPE.CNAME)(one) : one)),
    }),
    SECURE,
  ),
  plain(
    "an NSEC of another zone beside a CNAME that was asked for",
    ["toother.example.test", "CNAME"],
    (message, _m, _o, _t, dns) => ({
      ...message,
      authority: dns.zone("other.test.").step(name("absent.other.test"), RR_TYPE.A).authority,
    }),
    REFUSED,
  ),
  plain(
    "a CNAME that was asked for, with RCODE NXDOMAIN and what proves it of its target",
    ["toother.example.test", "CNAME"],
    (message, _m, _o, _t, dns) => ({
      ...message,
      rcode: 3,
      authority: dns.zone("other.test.").step(name("absent.other.test"), RR_TYPE.A).authority,
    }),
    SECURE,
  ),
];

const harmless: readonly OwnCase[] = [
  plain("name servers without a signature, as forwarders add them", A, beside(NS), SECURE),
  plain("name servers of the zone above", A, beside(record("test NS ns.evil.test")), SECURE),
  plain(
    "addresses in the authority section",
    A,
    beside(...records("ns.evil.test A 192.0.2.66", "ns.evil.test AAAA 2001:db8::66")),
    SECURE,
  ),
  plain("name servers whose signature does not verify, alone", A, beside(...SIGNED_NS.map(spoilt(RR_TYPE.NS))), SECURE),
  plain("the same beside a proof that is needed", WILD, beside(...SIGNED_NS.map(spoilt(RR_TYPE.NS))), REFUSED),
  plain("signed name servers beside a proof that is needed", WILD, beside(...SIGNED_NS), SECURE),
  plain("name servers beside a denial", ALIAS_NODATA, beside(NS), { status: "secure", answer: "nodata" }),
  plain("a TXT record in the authority section", A, beside(record('mail.example.test TXT "junk"')), REFUSED),
  plain(
    "more denials than are needed, the last one forged",
    A,
    beside(
      ...Array.from({ length: 17 }, (_, i) => {
        const nsec = nsecRecord(name(`s${i}.example.test`), name(`s${i}a.example.test`), [RR_TYPE.A]);
        const signed = [nsec, signRrset([nsec], KEY, name("example.test"), FAKE_WINDOW)];
        return i === 16 ? signed.map(spoilt(RR_TYPE.NSEC)) : signed;
      }).flat(),
    ),
    REFUSED,
  ),
];

const signatures: readonly OwnCase[] = [
  plain(
    "two signatures that name different signers",
    A,
    (message) => {
      const set = message.answer.filter((one) => one.type === RR_TYPE.A);
      return { ...message, answer: [...message.answer, signRrset(set, PARENT_KEY, name("test"), FAKE_WINDOW)] };
    },
    { ...REFUSED, reason: "signature-unusable" },
  ),
  plain(
    "two signatures that count labels differently",
    A,
    (message) => {
      const set = message.answer.filter((one) => one.type === RR_TYPE.A);
      return {
        ...message,
        answer: [...message.answer, signRrset(set, KEY, name("example.test"), { ...FAKE_WINDOW, labels: 2 })],
      };
    },
    { ...REFUSED, reason: "signature-unusable" },
  ),
  plain(
    "a CNAME beside the records, signed by the zone above",
    A,
    (message) => {
      const alias = record("mail.example.test CNAME evil.test");
      return { ...message, answer: [...message.answer, alias, signRrset([alias], PARENT_KEY, name("test"), FAKE_WINDOW)] };
    },
    REFUSED,
  ),
];

const cuts: readonly OwnCase[] = [
  {
    title: "a denial of DS with a denial beside it that is not the parent's opens no cut",
    zones: ZONES,
    ask: ["mail.insecure.test", "A"],
    tamper: answerTo(["insecure.test", "DS"], beside(UNSIGNED_NSEC)),
    expect: REFUSED,
  },
  {
    title: "the same denial by itself does",
    zones: ZONES,
    ask: ["mail.insecure.test", "A"],
    expect: { status: "insecure", answer: "records" },
  },
  {
    title: "two CNAME records where a CNAME was asked for, both signed",
    zones: signedTree(["two.example.test CNAME a.example.test", "two.example.test CNAME b.example.test"]),
    ask: ["two.example.test", "CNAME"],
    expect: { ...REFUSED, reason: "malformed" },
  },
];

const synthesis: readonly OwnCase[] = [
  plain(
    "a DNAME that is there twice",
    OLD,
    (message) => ({
      ...message,
      answer: [...message.answer.filter((one) => one.type === RR_TYPE.DNAME), ...message.answer],
    }),
    { ...REFUSED, reason: "malformed" },
  ),
  plain(
    "a synthesized CNAME before its DNAME, where CoreDNS's loadbalance plugin puts it",
    OLD,
    (message) => ({
      ...message,
      answer: message.answer.toSorted((a) => (a.type === RR_TYPE.CNAME ? -1 : 1)),
    }),
    { status: "secure", answer: "records" },
  ),
  {
    title: "a DNAME that lengthens the name at every hop is not left where the name grows too long",
    zones: signedTree(["example.test DNAME more.and.more.and.more.and.more.and.more.and.more.example.test"]),
    ask: ["mail.example.test", "A"],
    expect: { status: "indeterminate" },
  },
];

export const BESIDE_ANSWER: readonly OwnCase[] = [...joined, ...harmless, ...signatures, ...cuts, ...synthesis];
