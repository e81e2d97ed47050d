import { displayName } from "../dns/name.ts";
import { type CertificateFact, certificateFact } from "./certificateFact.ts";
import type { ChainLink } from "./chainLink.ts";
import { type Explanation, tlsaLines } from "./explanation.ts";
import type { HostObservation, LookupObservation, Observation, SessionObservation } from "./observation.ts";
import type { SignatureFact } from "./signatureFact.ts";

/** `explain --json` (design.md §4): one object; times are ISO 8601, digests hexadecimal. */
export function explanationJson({ target, seen, verdict, findings }: Explanation): object {
  const { kind, ...outcome } = verdict;
  return {
    target,
    deliverable: kind === "deliverable",
    verdict: kind,
    outcome,
    destination: seen.destination,
    at: iso(seen.at),
    source: seen.source,
    route: seen.route,
    ...(seen.mx === undefined ? {} : { mx: lookupJson(seen.mx) }),
    nameServers: seen.nameServers,
    hosts: seen.hosts.map(hostJson),
    ...(seen.sts === undefined ? {} : { mtaSts: { record: seen.sts.record, inForce: seen.sts.inForce } }),
    ...(seen.tlsrpt === undefined ? {} : { tlsrpt: tlsrptJson(seen.tlsrpt) }),
    findings,
  };
}

function iso(milliseconds: number): string {
  return Number.isNaN(milliseconds) ? "unreadable" : new Date(milliseconds).toISOString();
}

function tlsrptJson(record: NonNullable<Observation["tlsrpt"]>): object {
  return record.kind === "record" ? { kind: record.kind, uris: record.uris.map(({ text }) => text) } : record;
}

function hostJson(host: HostObservation): object {
  const { host: name, dnssec, lookups } = host;
  const about = { host: name, dnssec, lookups: lookups.map(lookupJson) };
  if (host.kind !== "reachable") return { ...about, policy: "none", tls: "none", dane: "not-tried", because: host.kind };
  const { demand, sessions, addresses, dane } = host;
  // An attempt ends at the first address that will do.
  const first = sessions.find(({ failure }) => failure === undefined) ?? sessions[0];
  const refused =
    demand.kind === "refuse" ? { dane: demand.dane, reason: demand.cause.text } : { dane: first?.dane ?? "not-tried" };
  return {
    ...about,
    policy: demand.kind,
    tls: first?.tls ?? demand.wanted,
    ...refused,
    discovery: dane.kind,
    ...("because" in dane ? { because: dane.because } : {}),
    ...("base" in dane ? { base: displayName(dane.base) } : {}),
    addresses,
    tlsa: tlsaLines(host),
    sessions: sessions.map(sessionJson),
  };
}

function sessionJson({ handshake, match, identity, failure, ...session }: SessionObservation): object {
  return {
    ...session,
    ...(failure === undefined ? {} : { failure: { stage: failure.stage, text: failure.text } }),
    ...(handshake === undefined ? {} : { handshake: handshakeJson(handshake) }),
    ...(match?.kind === "match" ? { matchedDepth: match.depth } : {}),
    ...(identity === undefined ? {} : { pkix: identity }),
  };
}

function handshakeJson({ chain, ...rest }: NonNullable<SessionObservation["handshake"]>): object {
  return { ...rest, certificates: chain.map((der) => certificateJson(certificateFact(der))) };
}

function certificateJson(fact: ReturnType<typeof certificateFact>): object {
  if ("kind" in fact) return fact;
  const { notBefore, notAfter, ...rest }: CertificateFact = fact;
  return { ...rest, notBefore: iso(notBefore), notAfter: iso(notAfter) };
}

function lookupJson({ name, type, resolution, signatures, denial, chain }: LookupObservation): object {
  return {
    name: displayName(name),
    type,
    ...resolutionJson(resolution),
    signatures: signatures.map(signatureJson),
    denial: denial.map(({ record, owner, says }) => ({ record, owner: displayName(owner), says })),
    chain: chain.map(linkJson),
  };
}

function resolutionJson(resolution: LookupObservation["resolution"]): object {
  const { status } = resolution;
  const reasons = resolution.reasons === undefined ? {} : { reasons: resolution.reasons };
  if (resolution.status === "bogus" || resolution.status === "indeterminate") return { status, ...reasons };
  const { answer, ttlSeconds } = resolution;
  const aliases = resolution.aliases.map(({ name, target, status: hop }) => ({
    name: displayName(name),
    target: displayName(target),
    status: hop,
  }));
  return { status, answer, ttlSeconds, ...(aliases.length === 0 ? {} : { aliases }), ...reasons };
}

function signatureJson({ inception, expiration, signer, ...rest }: SignatureFact): object {
  return { ...rest, signer: displayName(signer), inception: iso(inception * 1000), expiration: iso(expiration * 1000) };
}

function linkJson({ zone, status, ds, dsSignatures, denial, keys, keySignatures, reasons }: ChainLink): object {
  return {
    zone: displayName(zone),
    status,
    ds,
    dsSignatures: dsSignatures.map(signatureJson),
    ...(denial.length === 0
      ? {}
      : { denial: denial.map(({ record, owner, says }) => ({ record, owner: displayName(owner), says })) }),
    keys: keys.map(({ keyTag, algorithm, role }) => ({ keyTag, algorithm, role })),
    keySignatures: keySignatures.map(signatureJson),
    ...(reasons === undefined ? {} : { reasons }),
  };
}
