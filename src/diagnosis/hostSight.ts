import type { Tlsa } from "../dane/tlsa.ts";
import type { HostObservation, ReachableHost } from "./observation.ts";
import type { TlsaSight } from "./rollover.ts";

/** What an explanation shows of a host that a history keeps. */

/** Every TLSA record that the host has, whether or not it counts. */
export function publishedTlsa(host: ReachableHost): readonly Tlsa[] {
  const { dane, unsecuredTlsa = [] } = host;
  const unusable = "unusable" in dane ? (dane.unusable ?? []).map(({ record }) => record) : [];
  if (dane.kind === "authenticate") return [...dane.records, ...unusable];
  if (dane.kind === "encryptWithoutAuthentication") return unusable;
  const asked = tlsaLookup(host);
  return asked !== undefined && "records" in asked ? (asked.records as readonly Tlsa[]) : unsecuredTlsa;
}

/** The last TLSA look-up: the one that decided. */
function tlsaLookup({ lookups }: HostObservation) {
  return lookups.findLast(({ type }) => type === "TLSA")?.resolution;
}

export function tlsaSight(host: HostObservation): TlsaSight {
  const records = host.kind === "reachable" ? publishedTlsa(host) : [];
  const asked = tlsaLookup(host);
  if (asked === undefined) {
    const status = host.kind !== "reachable" ? "failed" : records.length > 0 ? "insecure" : "absent";
    return { status, ttlSeconds: 0, records };
  }
  if (asked.status === "bogus" || asked.status === "indeterminate") return { status: "failed", ttlSeconds: 0, records: [] };
  const { ttlSeconds } = asked;
  if (asked.answer !== "records") return { status: "absent", ttlSeconds, records: [] };
  return { status: asked.status, ttlSeconds, records };
}

/** What one address of the host showed. `address` is empty where no connection was made. */
export type AddressSight = { address: string; chain?: readonly Buffer[]; verdict: string };

export function addressSights(host: HostObservation): readonly AddressSight[] {
  const sessions = host.kind === "reachable" ? host.sessions : [];
  if (sessions.length === 0) return [{ address: "", verdict: host.kind === "reachable" ? "not-tried" : host.kind }];
  return sessions.map(({ address, dane, handshake }) => ({
    address,
    verdict: dane,
    ...(handshake === undefined ? {} : { chain: handshake.chain }),
  }));
}
