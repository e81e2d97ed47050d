import type { DanePolicy } from "../dane/tlsDiscovery.ts";
import type { TlsaSight } from "../diagnosis/rollover.ts";
import type { HostConnection, HostSession } from "./hostSession.ts";

/** What one session showed of a host, for whoever keeps a history. */
export type DeliverySight = { host: string; address: string; chain?: readonly Buffer[]; tlsa: TlsaSight; verdict: string };

/** undefined: nobody looked for TLSA records (an exception, an address literal), so that there is nothing to say. */
export function deliverySight(opened: HostSession, connection: HostConnection): DeliverySight | undefined {
  const tlsa = tlsaOf(connection.policies.dane, connection.tlsaTtlSeconds ?? 0);
  if (tlsa === undefined) return undefined;
  const { trace } = opened;
  const security = opened.kind === "open" ? opened.session.security : undefined;
  const chain = opened.kind === "failed" ? opened.failure.chain : security?.kind === "tls" ? security.chain : undefined;
  const address = trace.address ?? connection.address;
  return { host: connection.host, address, tlsa, verdict: trace.dane, ...(chain === undefined ? {} : { chain }) };
}

function tlsaOf(dane: DanePolicy, ttlSeconds: number): TlsaSight | undefined {
  switch (dane.kind) {
    case "authenticate":
      return { status: "secure", ttlSeconds, records: [...dane.records, ...(dane.unusable ?? []).map(({ record }) => record)] };
    case "encryptWithoutAuthentication":
      return { status: "secure", ttlSeconds, records: (dane.unusable ?? []).map(({ record }) => record) };
    case "unreachable":
      return { status: "failed", ttlSeconds: 0, records: [] };
    case "notApplicable":
      if (dane.because === "exempt" || dane.because === "address-literal") return undefined;
      return { status: dane.because === "tlsa-absent" ? "absent" : "insecure", ttlSeconds: 0, records: [] };
    default:
      return dane satisfies never;
  }
}
