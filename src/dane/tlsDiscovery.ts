import { type DomainName, isName, prefixed } from "../dns/name.ts";
import type { TlsaData } from "../dns/rdata.ts";
import type { ReasonChain, Resolution } from "../dnssec/securityStatus.ts";
import { type HostOrigin, referenceIdentifiers } from "./referenceIdentifier.ts";
import { type Tlsa, type UnusableRecord, usableRecords } from "./tlsa.ts";

/**
 * TLS discovery (RFC 7672 §2.2): from the look-ups made for one host to what a connection to it needs. No look-up is made here: the
 * caller asks what `discoverTls` wants asked, hands in the answer, and calls it again until it is decided.
 *
 * TLSA base domain: the name that `_<port>._tcp` is put before; also the SNI and the first reference identifier.
 * Candidate: a name that may become the base domain: the fully expanded host name, then the host name itself; nothing between (§2.2.3).
 * First response: the first hop of the alias chain where there is one, else the address RRset itself (§2.2.2).
 */

/** RFC 7672 §2.2 for one MX host. `unusable` says which records of the RRset were passed over, and why. */
export type DanePolicy =
  | {
      kind: "notApplicable";
      because: "insecure-mx" | "insecure-address" | "tlsa-absent" | "tlsa-insecure" | "address-literal" | "exempt";
    }
  | {
      kind: "authenticate";
      mx: "secure" | "insecure";
      base: DomainName;
      records: readonly [Tlsa, ...Tlsa[]];
      identifiers: readonly DomainName[];
      unusable?: readonly UnusableRecord[];
    }
  | {
      kind: "encryptWithoutAuthentication";
      base: DomainName;
      /** No record that could authenticate, or `insecureMx: encrypt`. */
      because: "no-usable-record" | "insecure-mx";
      unusable?: readonly UnusableRecord[];
    }
  | { kind: "unreachable"; reasons: ReasonChain };

/** What is done with the TLSA records of a host that an insecure MX named (`delivery.insecureMx`; RFC 7672 §2.2.1 leaves it open). */
export type InsecureMxPolicy = "dane" | "encrypt" | "may";

export type HostLookups = {
  /** The host as the MX record, the operator or (implicit MX) the recipient domain names it, not expanded. */
  host: DomainName;
  port: number;
  origin: HostOrigin;
  insecureMx: InsecureMxPolicy;
  a: Resolution<string>;
  aaaa: Resolution<string>;
};

export type TlsDiscovery =
  /** Ask the TLSA RRset of `query` and call again with its answer appended. */
  | { kind: "ask"; query: DomainName; base: DomainName }
  /** Both families are proved to hold no address (RFC 7672 §2.2.2 "Not found"): there is nothing to connect to. */
  | { kind: "noAddress" }
  | { kind: "decided"; policy: DanePolicy };

type Definite<R> = Exclude<Resolution<R>, { status: "bogus" | "indeterminate" }>;

function isDefinite<R>(resolution: Resolution<R>): resolution is Definite<R> {
  return resolution.status === "secure" || resolution.status === "insecure";
}

function firstResponseStatus(resolution: Definite<string>): "secure" | "insecure" {
  return resolution.aliases[0]?.status ?? resolution.status;
}

export type CandidateBases =
  | { kind: "candidates"; bases: readonly [DomainName, ...DomainName[]] }
  | { kind: "insecure" }
  | { kind: "noAddress" }
  | { kind: "unreachable"; reasons: ReasonChain };

/**
 * The candidate base domains of a host, in the order in which they are to be tried (RFC 7672 §2.2.2's three cases), from its address
 * look-ups. If either family's first response is secure DANE applies; a family whose look-up failed contributes nothing.
 */
export function candidateBases(lookups: Pick<HostLookups, "host" | "a" | "aaaa">): CandidateBases {
  const families = [lookups.a, lookups.aaaa];
  const definite = families.filter(isDefinite);
  if (!definite.some((family) => family.answer === "records")) {
    for (const family of families) {
      // RFC 7672 §2.1.2: a failed look-up is not "no address".
      if (!isDefinite(family)) return { kind: "unreachable", reasons: family.reasons };
    }
    return { kind: "noAddress" };
  }
  // RFC 7672 §2.2.2: first response insecure: TLSA SHOULD NOT be asked; name servers of unsigned zones often mishandle it.
  if (!definite.some((family) => firstResponseStatus(family) === "secure")) return { kind: "insecure" };
  const expanded = definite
    // RFC 7672 §2.2.2 "Secure CNAME": secure at every stage, down to the addresses. "Insecure CNAME": only the host's own name.
    .filter((family) => family.status === "secure" && family.answer === "records" && family.aliases.length > 0)
    .map((family) => family.name);
  const [first, ...more] = [...new Set([...expanded, lookups.host])];
  return { kind: "candidates", bases: [first ?? lookups.host, ...more] };
}

type TlsaFinding = { kind: "found"; records: readonly [TlsaData, ...TlsaData[]] } | { kind: "absent" | "insecure" };

/** RFC 7672 §2.2.3: anything but a secure RRset (over aliases that are all secure) sends the search to the next candidate. */
function findingOf(answer: Definite<TlsaData>): TlsaFinding {
  if (answer.status === "insecure") return { kind: "insecure" };
  return answer.answer === "records" ? { kind: "found", records: answer.records } : { kind: "absent" };
}

/** RFC 7672 §2.2: what a secure TLSA RRset at `base` demands. */
function policyOf(base: DomainName, found: readonly TlsaData[], lookups: HostLookups): DanePolicy {
  const { usable, unusable } = usableRecords(found);
  const [first, ...more] = usable;
  const { origin } = lookups;
  // RFC 7672 §2.2: secure, but every record unusable: TLS is mandatory, authentication is not.
  if (first === undefined) return { kind: "encryptWithoutAuthentication", base, because: "no-usable-record", unusable };
  if (origin.kind === "mx" && origin.mx === "insecure" && lookups.insecureMx !== "dane") {
    return { kind: "encryptWithoutAuthentication", base, because: "insecure-mx", unusable };
  }
  return {
    kind: "authenticate",
    // RFC 7672 §2.2.2: a name that no MX record chose is a-priori secure.
    mx: origin.kind === "mx" ? origin.mx : "secure",
    base,
    records: [first, ...more],
    identifiers: referenceIdentifiers(base, origin),
    unusable,
  };
}

/**
 * Decides what a connection to the host needs, or what has to be asked first. `answers` are those to the questions asked so far, in
 * order. Deterministic: the same arguments always give the same next question.
 */
export function discoverTls(lookups: HostLookups, answers: readonly Resolution<TlsaData>[]): TlsDiscovery {
  const candidates = candidateBases(lookups);
  switch (candidates.kind) {
    case "noAddress":
      return { kind: "noAddress" };
    case "unreachable":
      return { kind: "decided", policy: candidates };
    case "insecure":
      return { kind: "decided", policy: { kind: "notApplicable", because: "insecure-address" } };
    case "candidates":
      if (lookups.origin.kind === "mx" && lookups.origin.mx === "insecure" && lookups.insecureMx === "may") {
        return { kind: "decided", policy: { kind: "notApplicable", because: "insecure-mx" } };
      }
      return searchRecords(candidates.bases, lookups, answers);
    default:
      return candidates satisfies never;
  }
}

/** RFC 7672 §2.2.3: the first candidate with a secure TLSA RRset becomes the base domain. */
function searchRecords(
  bases: readonly DomainName[],
  lookups: HostLookups,
  answers: readonly Resolution<TlsaData>[],
): TlsDiscovery {
  const remaining = [...answers];
  let because: "tlsa-absent" | "tlsa-insecure" = "tlsa-absent";
  for (const base of bases) {
    const query = prefixed([`_${lookups.port}`, "_tcp"], base);
    // A name above 255 octets cannot exist in the DNS: there is nothing to ask, and no record it could hold (RFC 1035 §2.3.4).
    if (!isName(query)) continue;
    const answer = remaining.shift();
    if (answer === undefined) return { kind: "ask", query, base };
    // RFC 7672 §2.1.2: an error on any question of the search makes the host unreachable; the next candidate is no way round it.
    if (!isDefinite(answer)) return { kind: "decided", policy: { kind: "unreachable", reasons: answer.reasons } };
    const finding = findingOf(answer);
    if (finding.kind === "found") return { kind: "decided", policy: policyOf(base, finding.records, lookups) };
    if (finding.kind === "insecure") because = "tlsa-insecure";
  }
  return { kind: "decided", policy: { kind: "notApplicable", because } };
}
