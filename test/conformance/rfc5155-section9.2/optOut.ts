import { RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import type { OwnCase } from "../ownCase.ts";

const ZONES = [
  { name: "." },
  { name: "test.", denial: "nsec3-opt-out" as const, records: ["www.test A 192.0.2.7"] },
  { name: "unsigned.test.", unsigned: true, records: ["unsigned.test A 192.0.2.1"] },
  { name: "signed.test.", records: ["signed.test A 192.0.2.2"] },
];

/** In a span with opt-out there may be unsigned delegations, and never a signed one. */
export const OPT_OUT: readonly OwnCase[] = [
  {
    title: "an unsigned delegation in the span is insecure",
    zones: ZONES,
    ask: ["unsigned.test", "A"],
    expect: { status: "insecure", answer: "records", reason: "opt-out" },
  },
  {
    title: "a missing name in the span is insecurely missing",
    zones: ZONES,
    ask: ["missing.test", "A"],
    expect: { status: "insecure", answer: "nxdomain", reason: "opt-out" },
  },
  {
    title: "a signed delegation is secure all the same",
    zones: ZONES,
    ask: ["signed.test", "A"],
    expect: { status: "secure", answer: "records" },
  },
  {
    title: "the span of another name does not hide a signed delegation",
    zones: ZONES,
    tamper: (message, owner, type, dns) => {
      const unsigned = dns.answer(name("unsigned.test."), RR_TYPE.DS);
      return type === RR_TYPE.DS && owner === name("signed.test.") ? unsigned : message;
    },
    ask: ["signed.test", "A"],
    expect: { status: "bogus" },
  },
];
