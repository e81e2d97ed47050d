import { RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { type OwnCase, signedTree, without } from "../ownCase.ts";

const RECORDS = ["mail.example.test A 192.0.2.1", "_25._tcp.mail.example.test TLSA 3 1 1 00", "zz.example.test A 192.0.2.2"];
const NSEC = signedTree(RECORDS);
const NSEC3 = signedTree(RECORDS, { denial: "nsec3" });
const TLSA = ["_25._tcp.mail.example.test", "TLSA"] as const;

const honest = [NSEC, NSEC3].flatMap((zones): OwnCase[] => {
  const how = zones === NSEC ? "NSEC" : "NSEC3";
  return [
    { title: `no such name, by ${how}`, zones, ask: ["no.example.test", "A"], expect: { status: "secure", answer: "nxdomain" } },
    {
      title: `no such type, by ${how}`,
      zones,
      ask: ["mail.example.test", "TLSA"],
      expect: { status: "secure", answer: "nodata" },
    },
    {
      title: `an empty non-terminal, by ${how}`,
      zones,
      ask: ["_tcp.mail.example.test", "A"],
      expect: { status: "secure", answer: "nodata" },
    },
    {
      // Servers of zones with NSEC have always got the RCODE of empty non-terminals wrong; validators excuse that, and nothing else.
      title: `RCODE NXDOMAIN for a name that the proof by ${how} shows to exist`,
      zones,
      tamper: (message, _owner, type) => (type === RR_TYPE.A ? { ...message, rcode: 3 } : message),
      ask: ["_tcp.mail.example.test", "A"],
      expect: how === "NSEC" ? { status: "secure", answer: "nodata" } : { status: "bogus" },
    },
  ];
});

/** Absence of TLSA is what DANE is switched off by: each of these would do it. */
const forged: readonly OwnCase[] = [
  {
    title: "NXDOMAIN without a proof is bogus",
    zones: NSEC,
    tamper: (message, _owner, type) => (type === RR_TYPE.TLSA ? { ...message, rcode: 3, answer: [], authority: [] } : message),
    ask: TLSA,
    expect: { status: "bogus" },
  },
  {
    title: "an empty answer without a proof is bogus",
    zones: NSEC,
    tamper: (message, _owner, type) => (type === RR_TYPE.TLSA ? { ...message, answer: [], authority: [] } : message),
    ask: TLSA,
    expect: { status: "bogus" },
  },
  {
    title: "a denial cut down to its SOA is bogus",
    zones: NSEC3,
    tamper: (message, _owner, type) => (type === RR_TYPE.TLSA ? without(message, RR_TYPE.NSEC3) : message),
    ask: ["no.example.test", "TLSA"],
    expect: { status: "bogus" },
  },
  {
    title: "the proof for another name is bogus",
    zones: NSEC,
    tamper: (message, _owner, type, dns) => {
      return type === RR_TYPE.TLSA
        ? { ...dns.answer(name("zzz.example.test."), RR_TYPE.TLSA), questions: message.questions }
        : message;
    },
    ask: TLSA,
    expect: { status: "bogus" },
  },
  {
    title: "NXDOMAIN with no more than a proof of no data at another type is bogus",
    zones: NSEC,
    tamper: (message, _owner, type, dns) => {
      return type === RR_TYPE.TLSA ? { ...dns.answer(name("mail.example.test."), RR_TYPE.TLSA), rcode: 3 } : message;
    },
    ask: TLSA,
    expect: { status: "bogus" },
  },
  {
    title: "a denial signed by the parent zone says nothing about the child's names",
    zones: NSEC,
    tamper: (message, _owner, type, dns) => {
      return type === RR_TYPE.TLSA ? { ...dns.answer(name("nowhere.test."), RR_TYPE.TLSA), rcode: 3 } : message;
    },
    ask: TLSA,
    expect: { status: "bogus" },
  },
  {
    title: "NSEC records that were expanded from a wildcard prove nothing (CVE-2017-15105)",
    zones: signedTree([...RECORDS, "*.example.test A 192.0.2.9"]),
    tamper: (message, owner, type, dns) => {
      if (type !== RR_TYPE.TLSA) return message;
      const denial = dns.answer(name("*.example.test."), RR_TYPE.TLSA);
      const moved = denial.authority.map((record) =>
        record.name === name("*.example.test.") ? { ...record, name: owner } : record,
      );
      return { ...denial, authority: moved };
    },
    ask: TLSA,
    expect: { status: "bogus" },
  },
];

export const DENIAL: readonly OwnCase[] = [...honest, ...forged];
