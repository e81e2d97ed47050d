import { type DomainName, displayName, ROOT } from "../dns/name.ts";
import { type Reason, type ReasonChain, type ReasonCode, reasonText } from "../dnssec/securityStatus.ts";
import type { ChainLink } from "./chainLink.ts";
import type { Actor, FailureClass, Finding, Severity } from "./finding.ts";
import type { LookupObservation, Observation } from "./observation.ts";
import { dsLines } from "./zoneLine.ts";

/** What is wrong with the DNSSEC of a name, at which link, and who mends it. */

type Context = { host: string } & Pick<Observation, "anySignature" | "source" | "moment">;
type Trouble = { class: FailureClass; actor: Actor; rfc: string; remedy: string; paste?: readonly string[] };

function innermost(reasons: ReasonChain): Reason {
  return reasons.at(-1) ?? reasons[0];
}

const DENIALS: readonly ReasonCode[] = ["denial-missing", "denial-invalid", "wildcard-unproved"];

/** A look-up that is bogus or failed (always an error), or insecure (the severity is the caller's: mail goes, without DANE). */
export function dnssecFinding(lookup: LookupObservation, context: Context, insecure: Severity): Finding | undefined {
  const { resolution, chain } = lookup;
  const { reasons } = resolution;
  if (resolution.status === "secure" || reasons === undefined) return undefined;
  const zone = brokenAt(chain) ?? lookup.name;
  const trouble = resolution.status === "insecure" ? insecureTrouble(lookup, zone) : brokenTrouble(lookup, zone, context);
  const what = `${lookup.type} of ${displayName(lookup.name)}`;
  const effect = resolution.status === "insecure" ? `the ${what} is not protected by DNSSEC: ` : "";
  return {
    severity: resolution.status === "insecure" ? insecure : "error",
    host: context.host,
    explanation: `${sentence(`${effect}${reasonText(reasons)}`)} ${whereText(chain, zone)}`,
    ...trouble,
  };
}

/** Which link it is. */
function whereText(chain: readonly ChainLink[], zone: DomainName): string {
  const broken = chain.some(({ status }) => status !== "secure");
  return broken
    ? `The chain of trust ends at ${zoneText(zone)}.`
    : `The chain of trust holds down to ${zoneText(zone)}; the fault is in its answer.`;
}

function zoneText(zone: DomainName): string {
  return zone === ROOT ? "the root zone" : displayName(zone);
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** The zone whose link does not hold; else, where the fault is in the answer, the zone that the answer is from. */
function brokenAt(chain: readonly ChainLink[]): DomainName | undefined {
  return (chain.find(({ status }) => status !== "secure") ?? chain.at(-1))?.zone;
}

function insecureTrouble(lookup: LookupObservation, zone: DomainName): Trouble {
  const { unvouchedKeys, resolution } = lookup;
  const code = resolution.reasons === undefined ? "no-ds" : innermost(resolution.reasons).code;
  const name = zoneText(zone);
  switch (code) {
    case "negative-trust-anchor":
      return {
        class: "dnssec-unsigned",
        actor: "you",
        rfc: "RFC 7646",
        remedy: `take ${name} out of resolver.insecureZones when its DNSSEC is repaired`,
      };
    case "no-trust-anchor":
      return {
        class: "dnssec-unsigned",
        actor: "you",
        rfc: "RFC 4033 §5",
        remedy: "set resolver.trustAnchorFile to the root's keys, or leave it out",
      };
    case "unsupported-algorithm":
      return {
        class: "dnssec-unsigned",
        actor: "dns-operator",
        rfc: "RFC 4035 §5.2",
        remedy: `sign ${name} with ECDSAP256SHA256 (13), and change its DS record to that key`,
      };
    case "nsec3-iterations":
      return {
        class: "dnssec-unsigned",
        actor: "dns-operator",
        rfc: "RFC 9276 §3.2",
        remedy: `set the NSEC3 iterations of ${name} to 0, with an empty salt`,
      };
    default:
      break;
  }
  if (unvouchedKeys === undefined || unvouchedKeys.lines.length === 0) {
    return {
      class: "dnssec-unsigned",
      actor: "dns-operator",
      rfc: "RFC 7672 §2.2",
      remedy: `sign ${name} with DNSSEC, then have its DS record published in the parent zone`,
    };
  }
  const remedy = `${name} is signed, but its parent has no DS record for it: hand this one to the registrar`;
  return { class: "dnssec-no-ds", actor: "parent-zone", rfc: "RFC 4035 §5.2", remedy, paste: unvouchedKeys.lines };
}

function brokenTrouble(lookup: LookupObservation, zone: DomainName, context: Context): Trouble {
  const { reasons } = lookup.resolution;
  if (reasons === undefined) throw new Error("a look-up that failed has reasons");
  const code = innermost(reasons).code;
  const name = zoneText(zone);
  const dns = "dns-operator" as const;
  if (isStripped(code, reasons, context)) {
    const remedy = `use a resolver that passes DNSSEC records on, or set resolver.mode to recursive (now: ${context.source})`;
    return { class: "dnssec-stripped", actor: "resolver-operator", rfc: "RFC 4035 §3.2.1", remedy };
  }
  switch (code) {
    case "signature-expired":
      return { class: "dnssec-expired", rfc: "RFC 4035 §5.3.1", ...expiredRemedy(zone, context) };
    case "signature-not-yet-valid":
      return { class: "dnssec-not-yet-valid", rfc: "RFC 4035 §5.3.1", ...notYetValidRemedy(zone, context) };
    case "key-unknown":
    case "key-missing":
    case "ds-mismatch":
      return unknownKey(lookup.chain, zone);
    case "lookup-failed":
    case "no-trust-anchor":
    case "alias-loop":
    case "work-limit":
      return lookupTrouble(code, name, lookup);
    default:
      break;
  }
  if (code === "nsec3-iterations" || reasons.some((reason) => DENIALS.includes(reason.code))) {
    const remedy = `sign ${name} again, so that its NSEC or NSEC3 records are whole, and load it on all of its name servers; mail waits until then, since an attacker could hide records`;
    return { class: "dnssec-bad-denial", actor: dns, rfc: "RFC 4035 §5.4", remedy };
  }
  const hidden = code === "signature-missing" ? ", unless something between strips signatures" : "";
  const remedy = `sign ${name} again and load it on all of its name servers${hidden}; until then the answer could be forged, and mail waits`;
  return { class: "dnssec-bad-signature", actor: dns, rfc: "RFC 4035 §5.3.3", remedy };
}

type Deed = Pick<Trouble, "actor" | "remedy">;

function expiredRemedy(zone: DomainName, { moment }: Context): Deed {
  const actor = "dns-operator";
  const name = zoneText(zone);
  if (moment === "another")
    return {
      actor,
      remedy: `nothing, if the signer of ${name} renews these signatures before then, as signers do by themselves`,
    };
  if (zone === ROOT) return CLOCK;
  const remedy = `sign ${name} again, and repair whatever should have done so by itself; if all of DNSSEC seems expired, check this machine's clock`;
  return { actor, remedy };
}

function notYetValidRemedy(zone: DomainName, { moment }: Context): Deed {
  const actor = "dns-operator";
  if (moment === "another")
    return {
      actor: "you",
      remedy: "nothing: what is published now was signed after the time that was asked for, and says nothing of it",
    };
  if (zone === ROOT) return CLOCK;
  const remedy = `set the clock of the signer of ${zoneText(zone)} right and sign again; if all of DNSSEC seems too new, check this machine's clock`;
  return { actor, remedy };
}

/** The root's own signatures are in order, as everybody would notice. */
const CLOCK: Deed = {
  actor: "you",
  remedy: "set this machine's clock right; if it is, the resolver in use gives answers that are not those of today",
};

/** Signatures are missing everywhere, or the source says that it knows no DNSSEC. */
function isStripped(code: ReasonCode, reasons: ReasonChain, { anySignature }: Context): boolean {
  if (/EDNS/.test(innermost(reasons).text) && code === "lookup-failed") return true;
  const missing: readonly ReasonCode[] = ["signature-missing", "denial-missing", "key-missing"];
  return anySignature === "no" && missing.includes(code);
}

function unknownKey(chain: readonly ChainLink[], zone: DomainName): Trouble {
  const name = zoneText(zone);
  const link = chain.find((one) => one.zone === zone);
  const rfc = "RFC 4035 §5.2";
  if (zone === ROOT) {
    return {
      class: "dnssec-unknown-key",
      actor: "you",
      rfc,
      remedy:
        "compare resolver.trustAnchorFile with the root's keys as IANA publishes them; else the resolver in use forges the root",
    };
  }
  if (link === undefined || link.status === "secure" || link.keys.length === 0) {
    return {
      class: "dnssec-unknown-key",
      actor: "dns-operator",
      rfc: "RFC 4035 §5.3.1",
      remedy: `publish the DNSKEY records that ${name} is signed with, or sign it with those that it publishes`,
    };
  }
  const remedy = `have the DS records of ${name} in the parent zone replaced by those of its keys, if these keys are its own; else go back to the keys that the DS records name`;
  return { class: "dnssec-unknown-key", actor: "parent-zone", rfc, remedy, paste: dsLines(zone, link.keys) };
}

function lookupTrouble(code: ReasonCode, name: string, { type }: LookupObservation): Trouble {
  const common = { class: "dnssec-lookup-failed", actor: "dns-operator", rfc: "RFC 7672 §2.1.2" } as const;
  switch (code) {
    case "no-trust-anchor":
      return { ...common, actor: "you", remedy: "set resolver.trustAnchorFile right" };
    case "alias-loop":
      return { ...common, rfc: "RFC 1034 §3.6.2", remedy: "end the chain of aliases at a name that has the record" };
    case "work-limit":
      return { ...common, remedy: `make ${name} cheaper to validate: fewer keys and signatures, NSEC3 without iterations` };
    default: {
      const tlsa =
        type === "TLSA" ? ": some answer other types and fail at TLSA, often because of a firewall or an old name server" : "";
      return {
        ...common,
        remedy: `see whether the name servers of ${name} answer ${type} questions${tlsa}; if every domain fails, look at the resolver in use`,
      };
    }
  }
}
