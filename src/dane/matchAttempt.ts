import type { DomainName } from "../dns/name.ts";
import type { Certificate } from "../x509/certificate.ts";
import { matchedIdentifier } from "../x509/certificateName.ts";
import { ConstraintVerdicts } from "../x509/nameConstraints.ts";
import { type CertificatePath, MAX_JUDGED_PATHS, type PathRules, validatePath } from "../x509/pathValidation.ts";
import type { SecurityLevel } from "../x509/securityLevel.ts";
import { type MatchFailure, type TriedRecord, triedRecord } from "./matchVerdict.ts";
import { displayCertificate, nameMismatchText } from "./mismatchText.ts";
import type { Tlsa } from "./tlsa.ts";

export type Trial = { kind: "match"; record: Tlsa; depth: number } | { kind: "failed" };

/** One record and the path that it vouches for; `depth` is that of the certificate that it names. */
export type Candidate = { record: Tlsa; path: CertificatePath; anchor: PathRules["anchor"]; depth: number };

/** Judges candidates and remembers, per record, the first failure: the one on the shortest path, so the one to mend first. */
export class MatchAttempt {
  readonly server: Certificate;
  readonly #identifiers: readonly DomainName[];
  readonly #rules: Omit<PathRules, "anchor">;
  readonly #constraints = new ConstraintVerdicts();
  readonly #failures = new Map<Tlsa, TriedRecord>();
  #candidates = 0;

  constructor(server: Certificate, identifiers: readonly DomainName[], rules: Omit<PathRules, "anchor">) {
    this.server = server;
    this.#identifiers = identifiers;
    this.#rules = rules;
  }

  /** Path and name (RFC 7672 §3.1.2, §3.2.2) of a certificate that the record, or something above, is an anchor for. */
  judge({ record, path, anchor, depth }: Candidate): Trial {
    this.#candidates += 1;
    if (this.#candidates > MAX_JUDGED_PATHS) {
      return this.fail(record, "search-limit", `more than ${MAX_JUDGED_PATHS} paths would have to be judged`, depth);
    }
    const verdict = validatePath(path, { ...this.#rules, anchor, constraints: this.#constraints });
    if (verdict.kind === "valid") return this.judgeName(record, depth);
    const certificate = path[verdict.depth] ?? this.server;
    const subject = verdict.depth === 0 ? "the server's certificate" : displayCertificate(certificate);
    return this.fail(record, verdict.failure, `${subject} ${verdict.because}`, depth);
  }

  get securityLevel(): SecurityLevel {
    return this.#rules.securityLevel;
  }

  judgeName(record: Tlsa, depth: number): Trial {
    if (matchedIdentifier(this.server, this.#identifiers) !== undefined) return { kind: "match", record, depth };
    return this.fail(record, "name-mismatch", nameMismatchText(this.server, this.#identifiers), depth);
  }

  fail(record: Tlsa, failure: MatchFailure, clause: string, depth?: number): Trial {
    if (!this.#failures.has(record)) this.#failures.set(record, triedRecord(record, failure, clause, depth));
    return { kind: "failed" };
  }

  failureOf(record: Tlsa): TriedRecord | undefined {
    return this.#failures.get(record);
  }
}
