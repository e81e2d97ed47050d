import { dnssecFinding } from "./dnssecFinding.ts";
import { type Finding, rankedFindings, type Severity } from "./finding.ts";
import { type HistoryOf, hostFindings } from "./hostFinding.ts";
import type { Observation } from "./observation.ts";
import { isKeptBackByDaneOnly } from "./refusalFinding.ts";
import { stsRecordLine } from "./zoneLine.ts";

/** Observations to findings: every trouble of a destination, named and with its remedy. */
export function diagnose(seen: Observation, historyOf: HistoryOf = () => []): readonly Finding[] {
  const { destination, route, mx, hosts } = seen;
  const { anySignature, source, moment } = seen;
  const context = { host: destination, anySignature, source, moment };
  const ofMx = mx === undefined ? [] : (dnssecFinding(mx, context, mxSeverity(seen)) ?? []);
  const ofRoute = route.kind === "unroutable" && route.trouble.kind !== "lookup" ? routeFinding(seen, route.trouble) : [];
  const ofHosts = hosts.flatMap((host) => hostFindings(host, seen, historyOf));
  return rankedFindings([ofMx, ofRoute, ofHosts, stsFinding(seen)].flat());
}

/** An unsigned domain is as its owner wants it; one whose hosts have TLSA, or that is signed in vain, is not; nor one that must have DANE. */
function mxSeverity({ mx, hosts }: Observation): Severity {
  if (hosts.some((host) => host.kind === "reachable" && isKeptBackByDaneOnly(host))) return "error";
  const withTlsa = hosts.some((host) => host.kind === "reachable" && host.dane.kind === "authenticate");
  const signedInVain = mx?.unvouchedKeys !== undefined && mx.unvouchedKeys.lines.length > 0;
  return withTlsa || signedInVain ? "warning" : "info";
}

type Trouble = Exclude<Extract<Observation["route"], { kind: "unroutable" }>["trouble"], { kind: "lookup" }>;

function routeFinding({ destination }: Observation, trouble: Trouble): Finding {
  const about = { severity: "error", host: destination, actor: "dns-operator", rfc: "RFC 5321 §5.1" } as const;
  switch (trouble.kind) {
    case "nullMx":
      return {
        ...about,
        class: "null-mx",
        rfc: "RFC 7505 §3",
        explanation: `${destination} says by a null MX record that it takes no mail.`,
        remedy: "write to another address; if the domain should take mail, replace the record by one that names its mail host",
      };
    case "noSuchDomain":
      return {
        ...about,
        class: "mx-unresolvable",
        explanation: `The domain ${destination} does not exist.`,
        remedy: "correct the spelling of the address; if it is right, the domain has to be registered and delegated",
      };
    case "noAddress":
      return {
        ...about,
        class: "mx-unresolvable",
        explanation: `No mail host of ${destination} has an address.`,
        remedy: "give the hosts that the MX records name an A or AAAA record",
      };
    case "loop":
      return {
        ...about,
        class: "mx-unresolvable",
        actor: "you",
        explanation: `Mail for ${destination} would come back: ${trouble.because}.`,
        remedy: "add an entry of delivery.routes that says where this relay has to send mail for it",
      };
    case "misconfigured":
      return {
        ...about,
        class: "mx-unresolvable",
        actor: "you",
        explanation: `delivery.routes cannot be followed: ${trouble.because}.`,
        remedy: "correct the entry of delivery.routes",
      };
    default:
      return trouble satisfies never;
  }
}

/** A policy that is announced and cannot be had protects nobody (RFC 8461 §3.3). */
function stsFinding({ destination, sts, at }: Observation): readonly Finding[] {
  const about = { class: "sts-mismatch", severity: "warning", host: destination, actor: "mail-operator" } as const;
  if (sts?.record.kind === "unusable") {
    const explanation = `The MTA-STS record of ${destination} cannot be used: ${sts.record.reason}.`;
    const paste = [stsRecordLine(destination, at)];
    return [{ ...about, explanation, rfc: "RFC 8461 §3.1", remedy: "publish exactly one record such as this one", paste }];
  }
  if (sts?.inForce.kind !== "none" || sts.inForce.because !== "failed") return [];
  const explanation = `${destination} announces an MTA-STS policy, but it cannot be fetched: ${sts.inForce.reason}.`;
  const remedy = `serve the policy at https://mta-sts.${destination}/.well-known/mta-sts.txt with a valid certificate for that name, or take the TXT record _mta-sts.${destination} away`;
  return [{ ...about, explanation, rfc: "RFC 8461 §3.3", remedy }];
}
