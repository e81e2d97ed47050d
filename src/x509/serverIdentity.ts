import { type DomainName, displayName } from "../dns/name.ts";
import { type Certificate, parseCertificate } from "./certificate.ts";
import { dnsIdentifiers, matchesIdentifier } from "./certificateName.ts";
import { PathSearch, pathsUpwards } from "./certificationPath.ts";
import { distinctCertificates } from "./distinctCertificates.ts";
import { ConstraintVerdicts } from "./nameConstraints.ts";
import { MAX_JUDGED_PATHS, type PathFailure, validatePath } from "./pathValidation.ts";
import type { SecurityLevel } from "./securityLevel.ts";

/**
 * PKIX authentication of a server: a path from its certificate to a trusted CA (RFC 5280 §6), and its name among the certificate's DNS-IDs
 * (RFC 6125 §6). This is what MTA-STS asks of MX hosts (RFC 8461 §4.2) and of policy hosts (§3.3).
 */
export type ServerIdentityInput = {
  /** DER, as the server sent them, its own first. */
  chain: readonly Buffer[];
  /** Trusted CA certificates. */
  anchors: TrustedRoots;
  identifier: DomainName;
  /** Milliseconds since the epoch. */
  now: number;
};

export type ServerIdentityFailure = "no-certificate" | "no-path" | "search-limit" | "name-mismatch" | PathFailure;

/** `because`: a clause that begins with "its certificate" or names another one of the chain. */
export type ServerIdentity = { kind: "valid" } | { kind: "invalid"; failure: ServerIdentityFailure; because: string };

/** RSA from 2048 bits and no SHA-1, as OpenSSL demands by default and every public CA does. */
const SECURITY_LEVEL: SecurityLevel = 2;
/** Certificates of the chain that are looked at; further ones are ignored. */
const MAX_CHAIN_CERTIFICATES = 32;
const MAX_SHOWN_NAMES = 4;
const MAX_SHOWN_CHARACTERS = 80;

/** Trusted CA certificates by subject, so that a chain is not held against each of some 150. */
export class TrustedRoots {
  readonly #bySubject = new Map<string, Certificate[]>();

  constructor(roots: readonly Certificate[]) {
    for (const root of roots) {
      const key = root.subject.toString("latin1");
      this.#bySubject.set(key, [...(this.#bySubject.get(key) ?? []), root]);
    }
  }

  /** Those that may have issued one of `certificates`. */
  issuersOf(certificates: readonly Certificate[]): readonly Certificate[] {
    const subjects = new Set(certificates.map((certificate) => certificate.issuer.toString("latin1")));
    return [...subjects].flatMap((subject) => this.#bySubject.get(subject) ?? []);
  }
}

function invalid(failure: ServerIdentityFailure, because: string): ServerIdentity {
  return { kind: "invalid", failure, because };
}

/** Whether the server that sent `chain` is `identifier`. Of several faulty paths the shortest is told, since it is the one to mend. */
export function authenticateServer(input: ServerIdentityInput): ServerIdentity {
  const [leaf, ...above] = input.chain.slice(0, MAX_CHAIN_CERTIFICATES);
  if (leaf === undefined) return invalid("no-certificate", "it sent no certificate");
  const server = parseCertificate(leaf);
  if (server.kind === "malformed") return invalid("malformed", `its certificate is malformed: ${server.because}`);
  const path = trustedPath(server, distinctCertificates(above, [server]), input);
  return path.kind === "valid" ? named(server, input.identifier) : path;
}

function trustedPath(server: Certificate, sent: readonly Certificate[], input: ServerIdentityInput): ServerIdentity {
  const roots = input.anchors.issuersOf([server, ...sent]);
  // A trusted CA is trusted as it stands in our own list: a copy that the server sends of it adds nothing.
  const pool = [...sent.filter((certificate) => !roots.some((root) => root.der.equals(certificate.der))), ...roots];
  const search = new PathSearch();
  const rules = {
    now: input.now,
    securityLevel: SECURITY_LEVEL,
    anchor: "topmost",
    constraints: new ConstraintVerdicts(),
  } as const;
  let shortest: ServerIdentity | undefined;
  let paths = 0;
  for (const { at, path } of pathsUpwards([server], pool, search)) {
    const top = path.at(-1);
    if (at !== "reached" || top === undefined || !roots.includes(top)) continue;
    paths += 1;
    if (paths > MAX_JUDGED_PATHS) return invalid("search-limit", "too many paths would have to be judged");
    const verdict = validatePath(path, rules);
    if (verdict.kind === "valid") return verdict;
    const subject = verdict.depth === 0 ? "its certificate" : `the certificate of ${subjectOf(path[verdict.depth] ?? server)}`;
    shortest ??= invalid(verdict.failure, `${subject} ${verdict.because}`);
  }
  if (shortest !== undefined) return shortest;
  if (search.exhausted) return invalid("search-limit", "too many certificates of its chain sign each other");
  return invalid("no-path", "its certificate was issued by no CA that is trusted here");
}

/** RFC 8461 §3.3, §4.2: a DNS-ID; a common name is not looked at. */
function named(server: Certificate, identifier: DomainName): ServerIdentity {
  const presented = dnsIdentifiers(server);
  if (presented.some((name) => matchesIdentifier(name, identifier))) return { kind: "valid" };
  const shown = presented.slice(0, MAX_SHOWN_NAMES).map(quoted).join(", ");
  const more = presented.length > MAX_SHOWN_NAMES ? ` and ${presented.length - MAX_SHOWN_NAMES} more` : "";
  const bears = presented.length === 0 ? "bears no DNS name" : `is for ${shown}${more}`;
  return invalid("name-mismatch", `its certificate ${bears}, wanted ${displayName(identifier)}`);
}

function subjectOf(certificate: Certificate): string {
  return quoted(certificate.x509.subject?.replaceAll("\n", ", ") ?? "an empty subject");
}

/** The peer chose it, and it goes into logs and DSNs: printable, and not long. */
function quoted(text: string): string {
  const shown = text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}..` : text;
  return JSON.stringify(shown.replace(/[^\x20-\x7e]/g, "?"));
}
