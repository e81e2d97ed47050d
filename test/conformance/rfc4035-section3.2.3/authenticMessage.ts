import { type Message, type ResourceRecord, RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { records } from "../../fake/dnsWire.ts";
import { nsecRecord } from "../../fake/signer.ts";
import { type OwnCase, signedTree } from "../ownCase.ts";

/** What stands beside the records or proofs that an answer rests on, and what contradicts them. Found by the differential test. */
const RECORDS = [
  "mail.example.test A 192.0.2.1",
  "_25._tcp.mail.example.test TLSA 3 1 1 00",
  "alias.example.test CNAME mail.example.test",
  "*.wild.example.test A 192.0.2.9",
];
const ZONES = signedTree(RECORDS);
const NSEC3 = signedTree(RECORDS, { denial: "nsec3" });
const OPT_OUT = signedTree([...RECORDS, "*.pool.example.test CNAME mail.example.test"], { denial: "nsec3-opt-out" });
const ABSENT = ["mail.example.test", "TLSA"] as const;
const PRESENT = ["mail.example.test", "A"] as const;

/** Changes the answers to questions of `asked`'s type for its name. */
function onAnswer(asked: readonly [string, string], change: (message: Message) => Message): NonNullable<OwnCase["tamper"]> {
  return (message, owner, type) =>
    owner === name(asked[0]) && type === RR_TYPE[asked[1] as keyof typeof RR_TYPE] ? change(message) : message;
}

function signaturesBroken(covered: number): (record: ResourceRecord) => ResourceRecord {
  return (record) => {
    if (record.type !== RR_TYPE.RRSIG || record.rdata.readUInt16BE(0) !== covered) return record;
    const rdata = Buffer.from(record.rdata);
    rdata.writeUInt8(rdata.readUInt8(rdata.length - 1) ^ 1, rdata.length - 1);
    return { ...record, rdata };
  };
}

function withSpareNsec(message: Message): Message {
  const spare = nsecRecord(name("spare.example.test"), name("spare2.example.test"), [RR_TYPE.A]);
  return { ...message, authority: [...message.authority, spare] };
}

const refused = { status: "bogus" } as const;

const authority: readonly OwnCase[] = [
  {
    title: "no such type: the SOA does not verify",
    zones: ZONES,
    tamper: onAnswer(ABSENT, (message) => ({ ...message, authority: message.authority.map(signaturesBroken(RR_TYPE.SOA)) })),
    ask: ABSENT,
    expect: { ...refused, reason: "signature-invalid" },
  },
  {
    title: "no such type: without an SOA the proof alone is enough",
    zones: ZONES,
    tamper: onAnswer(ABSENT, (message) => ({
      ...message,
      authority: message.authority.filter((record) => !record.name.startsWith("example.")),
    })),
    ask: ABSENT,
    expect: { status: "secure", answer: "nodata" },
  },
  {
    title: "no such type: an NSEC that is not needed and not signed",
    zones: ZONES,
    tamper: onAnswer(ABSENT, withSpareNsec),
    ask: ABSENT,
    expect: refused,
  },
  {
    title: "records: an NSEC that is not needed and not signed",
    zones: ZONES,
    tamper: onAnswer(PRESENT, withSpareNsec),
    ask: PRESENT,
    expect: refused,
  },
  {
    title: "no such type: a signature of an SOA that is not there",
    zones: ZONES,
    tamper: onAnswer(ABSENT, (message) => ({
      ...message,
      authority: message.authority.filter((record) => record.type !== RR_TYPE.SOA),
    })),
    ask: ABSENT,
    expect: refused,
  },
];

const contradictions: readonly OwnCase[] = [
  {
    title: "records with RCODE NXDOMAIN",
    zones: ZONES,
    tamper: onAnswer(PRESENT, (message) => ({ ...message, rcode: 3 })),
    ask: PRESENT,
    expect: refused,
  },
  {
    title: "a DS RRset with RCODE NXDOMAIN",
    zones: ZONES,
    tamper: onAnswer(["example.test", "DS"], (message) => ({ ...message, rcode: 3 })),
    ask: PRESENT,
    expect: refused,
  },
  {
    title: "records with RCODE YXDOMAIN",
    zones: ZONES,
    tamper: onAnswer(PRESENT, (message) => ({ ...message, rcode: 6 })),
    ask: PRESENT,
    expect: { status: "indeterminate" },
  },
  {
    title: "records of another class",
    zones: signedTree(RECORDS, { unsigned: true }),
    tamper: onAnswer(PRESENT, (message) => ({ ...message, answer: message.answer.map((record) => ({ ...record, class: 3 })) })),
    ask: PRESENT,
    expect: { status: "indeterminate" },
  },
  {
    title: "an unsigned CNAME beside signed records",
    zones: ZONES,
    tamper: onAnswer(PRESENT, (message) => ({
      ...message,
      answer: [...message.answer, ...records("mail.example.test CNAME evil.test")],
    })),
    ask: PRESENT,
    expect: refused,
  },
  {
    title: "records in the answer section that answer nothing",
    zones: ZONES,
    tamper: onAnswer(ABSENT, (message) => ({ ...message, answer: message.authority })),
    ask: ABSENT,
    expect: refused,
  },
  { title: "a DS question about the root", zones: ZONES, ask: [".", "DS"], expect: { status: "secure", answer: "nodata" } },
  {
    title: "a DS question about a name that is proved not to exist is not answered by no data",
    zones: ZONES,
    tamper: onAnswer(["absent.example.test", "DS"], (message) => ({ ...message, rcode: 0 })),
    ask: ["absent.example.test", "DS"],
    expect: refused,
  },
  {
    title: "a DS question about a name that only a wildcard stands for",
    zones: NSEC3,
    ask: ["x.wild.example.test", "DS"],
    expect: { status: "secure", answer: "nodata" },
  },
];

const joined: readonly OwnCase[] = [
  {
    title: "the target of an alias does not hold in a joined message, but holds when it is asked for",
    zones: ZONES,
    tamper: onAnswer(["alias.example.test", "A"], (message) => ({
      ...message,
      answer: message.answer.map(signaturesBroken(RR_TYPE.A)),
    })),
    ask: ["alias.example.test", "A"],
    expect: { status: "secure", answer: "records", records: ["192.0.2.1"] },
  },
  {
    title: "the target of an alias holds nowhere",
    zones: ZONES,
    tamper: (message) => ({ ...message, answer: message.answer.map(signaturesBroken(RR_TYPE.A)) }),
    ask: ["alias.example.test", "A"],
    expect: refused,
  },
  {
    title: "a wildcard CNAME of an opt-out zone, answered to a DS question, does not excuse an unsigned answer",
    zones: OPT_OUT,
    tamper: onAnswer(["x.pool.example.test", "A"], (message) => ({
      ...message,
      answer: records("x.pool.example.test A 203.0.113.66"),
      authority: [],
    })),
    ask: ["x.pool.example.test", "A"],
    expect: refused,
  },
];

export const AUTHENTIC_MESSAGE: readonly OwnCase[] = [...authority, ...contradictions, ...joined];
