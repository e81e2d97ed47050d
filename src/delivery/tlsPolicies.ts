import type { TlsDemand, TlsLevel } from "../policy/tlsPolicy.ts";
import type { Work } from "../spool/message.ts";
import { bestMatch } from "./route.ts";

/** One entry of `delivery.tlsPolicies`; `expiresAt` in milliseconds since the epoch. `reason`: the operator's own words. */
export type TlsPolicySetting = { domain: string; level: TlsLevel; reason?: string; expiresAt?: number };

/** What the operator's configuration has to say about the TLS of one message. */
export type TlsPolicySettings = { tlsPolicies: readonly TlsPolicySetting[]; tlsRequiredNo: "honour" | "ignore" };

/** An entry that relaxes what DANE demands, until it expires. */
export type TlsException = TlsPolicySetting & { expiresAt: number };

/** The exceptions among `policies`, whether they are over or not. */
export function exceptionsOf(policies: readonly TlsPolicySetting[]): readonly TlsException[] {
  return policies.flatMap((policy) => {
    const { level, expiresAt } = policy;
    const relaxes = level !== "dane" && level !== "dane-only";
    return relaxes && expiresAt !== undefined ? [{ ...policy, expiresAt }] : [];
  });
}

/** RFC 7672 §6: what the operator wrote for the domain of `work`, if it is in force at `now`, and what the message itself asks for. */
export function demandOf(
  { destination, envelope }: Pick<Work, "destination" | "envelope">,
  settings: TlsPolicySettings,
  now: number,
): TlsDemand {
  // RFC 8460 §3: a report is delivered despite any failure of TLS; it may be about just that.
  if (envelope.purpose === "tls-report") return { level: "may", levelFrom: "operator", messageTls: "unspecified" };
  const inForce = settings.tlsPolicies.filter((policy) => policy.expiresAt === undefined || policy.expiresAt > now);
  const policy = bestMatch(destination, inForce);
  const unrequired = envelope.tlsRequiredNo && settings.tlsRequiredNo === "honour";
  return {
    level: policy?.level ?? "dane",
    levelFrom: policy === undefined ? "default" : "operator",
    messageTls: envelope.requireTls ? "required" : unrequired ? "not-required" : "unspecified",
  };
}
