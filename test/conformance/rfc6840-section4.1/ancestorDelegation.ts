import { RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import type { OwnCase } from "../ownCase.ts";

const zones = (denial: "nsec" | "nsec3") => [
  { name: "." },
  { name: "test.", denial },
  { name: "example.test.", denial, records: ["mail.example.test A 192.0.2.1", "_25._tcp.mail.example.test TLSA 3 1 1 00"] },
];

/** What the parent says at a cut must not be used to deny what is at or below it. */
export const ANCESTOR_DELEGATION: readonly OwnCase[] = (["nsec", "nsec3"] as const).flatMap((denial): OwnCase[] => [
  {
    title: `the parent's ${denial} at the cut does not deny records at the child's apex`,
    zones: zones(denial),
    tamper: (message, owner, type, dns) => {
      if (type !== RR_TYPE.MX) return message;
      // What the parent has at the cut: its denial of a DS that is there is made of the record that matches the name.
      const parent = dns.zone("test.").step(owner, RR_TYPE.TLSA);
      return { ...message, answer: [], authority: parent.authority };
    },
    ask: ["example.test", "MX"],
    expect: { status: "bogus" },
  },
  {
    title: `the parent's ${denial} does not deny names below the cut`,
    zones: zones(denial),
    tamper: (message, owner, type, dns) => {
      if (type !== RR_TYPE.TLSA) return message;
      const parent = dns.zone("test.").step(name("example.test."), RR_TYPE.TLSA);
      const covered = dns.zone("test.").step(owner, RR_TYPE.TLSA);
      return { ...message, rcode: 3, answer: [], authority: [...parent.authority, ...covered.authority] };
    },
    ask: ["_25._tcp.mail.example.test", "TLSA"],
    expect: { status: "bogus" },
  },
]);
