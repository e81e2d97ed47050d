import type { KeyObject } from "node:crypto";
import type { Certificate } from "./certificate.ts";
import type { CertificatePath } from "./pathValidation.ts";

/**
 * Path building (RFC 4158, RFC 5280 §6): all ways from the server's certificate upwards through whatever was sent, in any order, with
 * superfluous and cross-signed certificates among it. Every step is a verified signature; nothing here says that a path is good.
 */

/** The server's certificate and its issuers; real paths have two to five. */
export const MAX_PATH_CERTIFICATES = 16;
/** Signatures checked in one search: what a peer can make us work. Each pair of certificates is checked once. */
export const MAX_SIGNATURE_CHECKS = 64;
/** Paths looked at in one search: certificates that all sign each other make factorially many. */
export const MAX_PATHS = 512;

/** Counts the work of one search; made anew for each. */
export class PathSearch {
  readonly #known = new Map<Certificate, Map<Certificate, boolean>>();
  #signatureChecks = 0;
  #paths = 0;
  #exhausted = false;

  /** Whether the search ended because it became too much: "no path" then means "none found". */
  get exhausted(): boolean {
    return this.#exhausted;
  }

  /** Whether `key` signed `certificate`; false, and `exhausted`, once the limit is reached. */
  signedByKey(certificate: Certificate, key: KeyObject): boolean {
    if (this.#signatureChecks >= MAX_SIGNATURE_CHECKS) {
      this.#exhausted = true;
      return false;
    }
    this.#signatureChecks += 1;
    return verifies(certificate, key);
  }

  /** Whether `issuer` issued `certificate`: names, key identifiers and key usage agree, and the signature holds. */
  issuedBy(certificate: Certificate, issuer: Certificate): boolean {
    const known = this.#known.get(certificate)?.get(issuer);
    if (known !== undefined) return known;
    const { publicKey } = issuer;
    const issued =
      publicKey !== undefined && certificate.x509.checkIssued(issuer.x509) && this.signedByKey(certificate, publicKey);
    const row = this.#known.get(certificate) ?? new Map<Certificate, boolean>();
    this.#known.set(certificate, row.set(issuer, issued));
    return issued;
  }

  /** Counts one more path; false when there may be no more. */
  mayVisit(): boolean {
    this.#paths += 1;
    if (this.#paths > MAX_PATHS) this.#exhausted = true;
    return !this.#exhausted;
  }
}

function verifies(certificate: Certificate, key: KeyObject): boolean {
  try {
    return certificate.x509.verify(key);
  } catch {
    // A key that does not fit the signature's algorithm, or one that OpenSSL cannot use: it did not sign this.
    return false;
  }
}

/** `reached`: on the way up, shortest first. `left`: on the way back, when nothing above is left to try, so longest first. */
export type PathVisit = { at: "reached" | "left"; path: CertificatePath };

/** Visits every path from `path` upwards through `pool`, each certificate at most once per path. */
export function* pathsUpwards(
  path: CertificatePath,
  pool: readonly Certificate[],
  search: PathSearch,
): Generator<PathVisit, void, undefined> {
  if (!search.mayVisit()) return;
  yield { at: "reached", path };
  const top = path[path.length - 1] ?? path[0];
  if (path.length < MAX_PATH_CERTIFICATES) {
    for (const issuer of pool) {
      if (!path.includes(issuer) && search.issuedBy(top, issuer)) yield* pathsUpwards([...path, issuer], pool, search);
    }
  }
  yield { at: "left", path };
}
