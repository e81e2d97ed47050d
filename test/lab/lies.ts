import { X509Certificate } from "node:crypto";
import type { Answer, DecodedPacket } from "dns-packet";
import type { Asked, Forged, Interference } from "./dnsProxy.ts";
import type { Receiver } from "./world.ts";

/**
 * What an untrustworthy resolver, or somebody between it and the relay, can do to answers. Each lie is aimed at `victims` (domains whose
 * mail must be authenticated) and tries to bring their mail to the trap, or to make the relay do without DANE.
 */
export type Lie = {
  name: string;
  interference: (aim: Aim) => Interference;
  /** What must become of the victims' mail; nothing ever reaches the trap. */
  expected: "authenticated" | "deferred";
};

export type Aim = { victims: readonly string[]; trap: Receiver };

const SIGNATURE_TYPES: ReadonlySet<string> = new Set(["RRSIG", "NSEC", "NSEC3"]);
const DNSSEC_TYPES: ReadonlySet<string> = new Set([...SIGNATURE_TYPES, "DNSKEY", "DS", "NSEC3PARAM"]);
const TTL = 300;
const RCODE_MASK = 15;
const NXDOMAIN = 3;

function isVictims(aim: Aim, name: string): boolean {
  return aim.victims.some((victim) => name === victim || name.endsWith(`.${victim}`));
}

/** Forges the answers to these types of question about the victims; everything else is the truth. */
function forging(aim: Aim, make: (question: Asked) => Forged["answers"] | undefined): Interference {
  return {
    claimsAuthentic: "yes",
    question: (question) => {
      const answers = isVictims(aim, question.name) ? make(question) : undefined;
      return answers === undefined ? "pass" : { forge: { answers } };
    },
  };
}

function trapTlsa(name: string, trap: Receiver): Answer {
  const certificate = new X509Certificate(trap.identity.leaf.der).raw;
  return { type: "TLSA", name, ttl: TTL, data: { usage: 3, selector: 0, matchingType: 0, certificate } };
}

function trapAddress(name: string, trap: Receiver): Answer {
  return { type: "A", name, ttl: TTL, data: trap.address };
}

/** Takes records away from every section of the answer. */
export function without(types: ReadonlySet<string>): (answer: DecodedPacket) => DecodedPacket {
  const keep = (records: readonly Answer[] | undefined): Answer[] => (records ?? []).filter(({ type }) => !types.has(type));
  return (answer) => ({
    ...answer,
    answers: keep(answer.answers),
    authorities: keep(answer.authorities),
    additionals: keep(answer.additionals),
  });
}

export const LIES: readonly Lie[] = [
  {
    name: "AD is set on everything, and everything else is true",
    interference: () => ({ claimsAuthentic: "yes" }),
    expected: "authenticated",
  },
  {
    name: "forged TLSA and addresses of the trap, with AD",
    interference: (aim) =>
      forging(aim, ({ name, type }) => {
        if (type === "TLSA") return [trapTlsa(name, aim.trap)];
        return type === "A" ? [trapAddress(name, aim.trap)] : undefined;
      }),
    expected: "deferred",
  },
  {
    name: "forged TLSA only, with AD",
    interference: (aim) => forging(aim, ({ name, type }) => (type === "TLSA" ? [trapTlsa(name, aim.trap)] : undefined)),
    expected: "deferred",
  },
  {
    name: "forged MX that names the trap, with AD",
    interference: (aim) =>
      forging(aim, ({ name, type }) =>
        type === "MX" ? [{ type: "MX", name, ttl: TTL, data: { preference: 1, exchange: aim.trap.name } }] : undefined,
      ),
    expected: "deferred",
  },
  {
    name: "a forged CNAME leads the domain to the trap's",
    interference: (aim) =>
      forging(aim, ({ name, type }) => (type === "MX" ? [{ type: "CNAME", name, ttl: TTL, data: aim.trap.name }] : undefined)),
    expected: "deferred",
  },
  {
    name: "TLSA does not exist, without proof",
    interference: (aim) => forging(aim, ({ type }) => (type === "TLSA" ? [] : undefined)),
    expected: "deferred",
  },
  {
    name: "DS does not exist, without proof, and MX, address and TLSA are forged",
    interference: (aim) =>
      forging(aim, ({ name, type }) => {
        if (type === "DS" || type === "DNSKEY") return [];
        if (type === "MX") return [{ type: "MX", name, ttl: TTL, data: { preference: 1, exchange: aim.trap.name } }];
        if (type === "TLSA") return [trapTlsa(name, aim.trap)];
        return type === "A" ? [trapAddress(name, aim.trap)] : undefined;
      }),
    expected: "deferred",
  },
  {
    name: "the domain does not exist, without proof",
    interference: (aim) => ({
      claimsAuthentic: "yes",
      answer: (answer, { name }) =>
        isVictims(aim, name)
          ? { ...answer, answers: [], authorities: [], flags: ((answer.flags ?? 0) & ~RCODE_MASK) | NXDOMAIN }
          : undefined,
    }),
    expected: "deferred",
  },
  {
    name: "signatures and proofs are stripped, with AD",
    interference: () => ({ claimsAuthentic: "yes", answer: without(SIGNATURE_TYPES) }),
    expected: "deferred",
  },
  {
    name: "no EDNS, no record of DNSSEC at all",
    interference: () => ({ answer: without(new Set([...DNSSEC_TYPES, "OPT"])) }),
    expected: "deferred",
  },
  {
    name: "another domain's signed records under the victim's name",
    interference: (aim) => ({
      claimsAuthentic: "yes",
      question: ({ name, type }) =>
        type === "TLSA" && isVictims(aim, name) ? { askInstead: `_25._tcp.${aim.trap.name}` } : "pass",
    }),
    expected: "deferred",
  },
  {
    name: "SERVFAIL for TLSA",
    interference: (aim) => ({ question: ({ name, type }) => (type === "TLSA" && isVictims(aim, name) ? "servfail" : "pass") }),
    expected: "deferred",
  },
  {
    name: "silence for TLSA",
    interference: (aim) => ({ question: ({ name, type }) => (type === "TLSA" && isVictims(aim, name) ? "drop" : "pass") }),
    expected: "deferred",
  },
  {
    name: "SERVFAIL for DNSKEY",
    interference: (aim) => ({ question: ({ name, type }) => (type === "DNSKEY" && isVictims(aim, name) ? "servfail" : "pass") }),
    expected: "deferred",
  },
  {
    name: "REFUSED for everything",
    interference: () => ({ question: () => "refused" }),
    expected: "deferred",
  },
];
