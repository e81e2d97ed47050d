import { type ResourceRecord, RR_TYPE } from "../../../src/dns/message.ts";
import { name, nameToWire } from "../../../src/dns/name.ts";
import { record } from "../../fake/dnsWire.ts";
import { signingKey, signRrset } from "../../fake/signer.ts";
import { FAKE_WINDOW } from "../../fake/zone.ts";
import { type OwnCase, signedTree, without } from "../ownCase.ts";

const KEY = signingKey({ seed: "example" });
const ZONES = signedTree(
  [
    "old.example.test DNAME new.example.test",
    "mail.new.example.test A 192.0.2.1",
    "alias.example.test CNAME mail.new.example.test",
    "loop.example.test CNAME pool.example.test",
    "pool.example.test CNAME loop.example.test",
    "two.example.test CNAME mail.new.example.test",
    "two.example.test CNAME alias.example.test",
    "same.example.test CNAME same.else.test",
    ...Array.from({ length: 14 }, (_, i) => `hop${i}.example.test CNAME hop${i + 1}.example.test`),
    "hop14.example.test A 192.0.2.1",
  ],
  { keys: [KEY] },
);
const ASK = ["mail.old.example.test", "A"] as const;
const SAME = record("example.test DNAME else.test");
const OTHER = record("example.test DNAME other.test");

function signedByZone(one: ResourceRecord): ResourceRecord[] {
  return [one, signRrset([one], KEY, name("example.test."), FAKE_WINDOW)];
}

/** Aliases: a synthesized CNAME is proved by the DNAME that it comes from, and must be what the DNAME makes. */
export const DNAME_SYNTHESIS: readonly OwnCase[] = [
  {
    title: "a DNAME with its CNAME is secure",
    zones: ZONES,
    ask: ASK,
    expect: { status: "secure", answer: "records", records: ["192.0.2.1"] },
  },
  {
    title: "a DNAME does not redirect its own owner",
    zones: ZONES,
    ask: ["old.example.test", "DNAME"],
    expect: { status: "secure", answer: "records", records: ["new.example.test."] },
  },
  {
    title: "nor its other types",
    zones: ZONES,
    ask: ["old.example.test", "A"],
    tamper: (message, owner, type, dns) => {
      // A server that shows the DNAME where there is nothing else to show.
      const dname = dns.zone("example.test.").signed(owner, RR_TYPE.DNAME);
      return type === RR_TYPE.A && owner === name("old.example.test.") ? { ...message, answer: dname } : message;
    },
    expect: { status: "secure", answer: "nodata" },
  },
  {
    title: "the CNAME may be missing",
    zones: ZONES,
    tamper: (message) => without(message, RR_TYPE.CNAME),
    ask: ASK,
    expect: { status: "secure", answer: "records", records: ["192.0.2.1"] },
  },
  {
    title: "a CNAME that leads elsewhere is bogus",
    zones: ZONES,
    tamper: (message) => {
      const elsewhere = nameToWire(name("alias.example.test."));
      const answer = message.answer.map((record) => (record.type === RR_TYPE.CNAME ? { ...record, rdata: elsewhere } : record));
      return { ...message, answer };
    },
    ask: ASK,
    expect: { status: "bogus", reason: "dname-synthesis" },
  },
  {
    title: "a CNAME without its DNAME is unsigned, and bogus",
    zones: ZONES,
    tamper: (message, _owner, type) => (type === RR_TYPE.A ? without(message, RR_TYPE.DNAME) : message),
    ask: ASK,
    expect: { status: "bogus", reason: "signature-missing" },
  },
  {
    title: "a CNAME that the zone signed, below an unsigned DNAME that makes the same, is bogus",
    zones: ZONES,
    tamper: (message, _owner, type) => (type === RR_TYPE.A ? { ...message, answer: [SAME, ...message.answer] } : message),
    ask: ["same.example.test", "A"],
    expect: { status: "bogus", reason: "signature-missing" },
  },
  {
    title: "below one that makes something else it is no better",
    zones: ZONES,
    tamper: (message, _owner, type) => (type === RR_TYPE.A ? { ...message, answer: [...message.answer, OTHER] } : message),
    ask: ["alias.example.test", "A"],
    expect: { status: "bogus", reason: "dname-synthesis" },
  },
  {
    title: "nor where the zone signed both",
    zones: ZONES,
    tamper: (message, _owner, type) => {
      return type === RR_TYPE.A ? { ...message, answer: [...signedByZone(OTHER), ...message.answer] } : message;
    },
    ask: ["alias.example.test", "A"],
    expect: { status: "bogus", reason: "dname-synthesis" },
  },
  {
    title: "a second CNAME beside the one that the DNAME makes is bogus",
    zones: ZONES,
    tamper: (message, owner, type) => {
      const second = record("mail.old.example.test CNAME alias.example.test");
      return type === RR_TYPE.A && owner === second.name ? { ...message, answer: [...message.answer, second] } : message;
    },
    ask: ASK,
    expect: { status: "bogus", reason: "malformed" },
  },
  {
    title: "other records below a DNAME are bogus too",
    zones: ZONES,
    tamper: (message, _owner, type) => {
      return type === RR_TYPE.A ? { ...message, answer: [...message.answer, ...signedByZone(OTHER)] } : message;
    },
    ask: ["hop14.example.test", "A"],
    expect: { status: "bogus", reason: "dname-synthesis" },
  },
  {
    title: "a chain that is cut after its first hop is asked for again",
    zones: ZONES,
    tamper: (message, owner, type) => {
      const cut = type === RR_TYPE.A && owner === name("alias.example.test.");
      return cut ? { ...message, answer: message.answer.filter((record) => record.name === owner) } : message;
    },
    ask: ["alias.example.test", "A"],
    expect: { status: "secure", answer: "records", records: ["192.0.2.1"] },
  },
  {
    title: "a denial at the end of a chain that lacks its proof is asked for itself",
    zones: signedTree(["alias.example.test CNAME gone.example.test"]),
    tamper: (message, owner, type) => {
      return type === RR_TYPE.A && owner === name("alias.example.test.") ? without(message, RR_TYPE.NSEC) : message;
    },
    ask: ["alias.example.test", "A"],
    expect: { status: "secure", answer: "nxdomain" },
  },
  {
    title: "and is bogus when the proof is not there either",
    zones: signedTree(["alias.example.test CNAME gone.example.test"]),
    tamper: (message, _owner, type) => (type === RR_TYPE.A ? without(message, RR_TYPE.NSEC) : message),
    ask: ["alias.example.test", "A"],
    expect: { status: "bogus" },
  },
  {
    title: "an insecure first hop makes the whole insecure, also when the rest is asked for",
    zones: [...ZONES, { name: "plain.test.", unsigned: true, records: ["www.plain.test CNAME mail.new.example.test"] }],
    tamper: (message, owner, type) => {
      const cut = type === RR_TYPE.A && owner === name("www.plain.test.");
      return cut ? { ...message, answer: message.answer.filter((record) => record.name === owner) } : message;
    },
    ask: ["www.plain.test", "A"],
    expect: { status: "insecure", answer: "records", records: ["192.0.2.1"], reason: "no-ds" },
  },
  {
    title: "two CNAME records at one name are bogus, signed or not",
    zones: ZONES,
    ask: ["two.example.test", "A"],
    expect: { status: "bogus", reason: "malformed" },
  },
  {
    title: "a chain longer than the limit decides nothing",
    zones: ZONES,
    ask: ["hop0.example.test", "A"],
    expect: { status: "indeterminate", reason: "alias-loop" },
  },
  {
    title: "a chain as long as the limit is followed",
    zones: ZONES,
    ask: ["hop2.example.test", "A"],
    expect: { status: "secure", answer: "records", records: ["192.0.2.1"] },
  },
  {
    title: "aliases in a circle decide nothing",
    zones: ZONES,
    ask: ["loop.example.test", "A"],
    expect: { status: "indeterminate", reason: "alias-loop" },
  },
];
