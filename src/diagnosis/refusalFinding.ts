import type { Finding } from "./finding.ts";
import type { HostObservation, ReachableHost } from "./observation.ts";

/** Hosts that nothing is sent to, whatever they would answer: without an address, or kept from by a policy of this relay's own. */

const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/;
const TTL_SECONDS = 3600;

export function absenceFinding({ host, refused }: Extract<HostObservation, { kind: "absent" }>, destination: string): Finding {
  const about = { class: "mx-unresolvable", severity: "error", host, actor: "dns-operator" } as const;
  if (refused.length > 0) {
    const explanation = `${host} has only addresses that point back to this machine or network: ${refused.join(", ")}.`;
    const remedy = "correct the address records; in a lab set delivery.allowLoopback";
    return { ...about, explanation, rfc: "RFC 5321 §5.1", remedy };
  }
  if (IPV4.test(host)) {
    const explanation = `The MX record of ${destination} holds ${host}, which is an address; it has to name a host.`;
    const remedy = "give the mail host a name, such as this one, and let the MX record hold that name";
    const paste = [
      `mail.${destination}. ${TTL_SECONDS} IN A ${host}`,
      `${destination}. ${TTL_SECONDS} IN MX 10 mail.${destination}.`,
    ];
    return { ...about, explanation, rfc: "RFC 1035 §3.3.9", remedy, paste };
  }
  const explanation = `${host} has neither an A nor an AAAA record.`;
  const remedy = `give ${host} an address, or take it out of the MX records`;
  return { ...about, explanation, rfc: "RFC 5321 §5.1", remedy };
}

/** An entry of `delivery.tlsPolicies` demands DANE, and the host cannot be reached so. */
export function isKeptBackByDaneOnly({ demand }: ReachableHost): boolean {
  return demand.kind === "refuse" && demand.wanted === "dane-only";
}

/** What other findings do not tell: where DNSSEC is missing, or a record is unusable, theirs are errors then. */
export function refusalFinding(host: ReachableHost): Finding | undefined {
  const { demand, dane } = host;
  if (demand.kind !== "refuse" || !isKeptBackByDaneOnly(host) || dane.kind !== "notApplicable") return undefined;
  const about = { class: "tlsa-unusable", severity: "error", host: host.host } as const;
  const text = demand.cause.text.replace(/ \(RFC [^)]*\)$/, "");
  const explanation = `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
  if (dane.because === "tlsa-absent") {
    const remedy =
      "publish a TLSA record for the host (`dane-relay tlsa CERTIFICATE` makes it); if its owner will not, only another level in delivery.tlsPolicies lets mail go";
    return { ...about, explanation, rfc: "RFC 7672 §2.2", actor: "dns-operator", remedy };
  }
  if (dane.because !== "address-literal") return undefined;
  const remedy = "write to a domain instead of an address, or change the level in delivery.tlsPolicies";
  return { ...about, explanation, rfc: "RFC 7672 §2.2", actor: "you", remedy };
}
