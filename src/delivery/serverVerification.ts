import { matchCertificate } from "../dane/certificateMatch.ts";
import type { MatchVerdict } from "../dane/matchVerdict.ts";
import type { DomainName } from "../dns/name.ts";
import type { UsableDemand } from "../policy/stsPolicy.ts";
import type { DaneAuthenticate } from "../policy/tlsPolicy.ts";
import { authenticateServer, type ServerIdentity, type TrustedRoots } from "../x509/serverIdentity.ts";
import type { VerifyVerdict } from "./connection.ts";
import { identityRefusalText, refusalText } from "./sessionFailure.ts";

export type VerificationContext = {
  /** Milliseconds since the epoch, for certificate dates. */
  now: () => number;
  /** The CAs of PKIX. */
  trustedRoots: () => TrustedRoots;
};

/** PKIX authentication of the server that sent `chain` (RFC 8461 §4.2). */
export function identityOf(identifier: DomainName, chain: readonly Buffer[], context: VerificationContext): ServerIdentity {
  return authenticateServer({ chain, anchors: context.trustedRoots(), identifier, now: context.now() });
}

/** Judges the certificates of one handshake by what the policy of the host demands, and remembers what came of it. */
export class ServerVerification {
  readonly #host: string;
  readonly #tls: UsableDemand;
  readonly #context: VerificationContext;
  match: MatchVerdict | undefined;
  identity: ServerIdentity | undefined;

  constructor(host: string, tls: UsableDemand, context: VerificationContext) {
    this.#host = host;
    this.#tls = tls;
    this.#context = context;
  }

  /** `chain`: as sent, DER, leaf first. RFC 7672 §3.2: where there are usable records, nothing but a match of one of them will do. */
  verify(chain: readonly Buffer[]): VerifyVerdict {
    const tls = this.#tls;
    switch (tls.kind) {
      case "authenticate":
        return this.#byTlsa(tls.policy, chain);
      case "authenticateByPkix": {
        // With an insecure MX RRset both have to hold (design.md §3); a mismatch says more than a CA that is not known here.
        const byTlsa: VerifyVerdict = tls.dane === undefined ? { kind: "accepted" } : this.#byTlsa(tls.dane, chain);
        if (byTlsa.kind === "refused") return byTlsa;
        this.identity = identityOf(tls.identifier, chain, this.#context);
        if (this.identity.kind === "valid") return { kind: "accepted" };
        return { kind: "refused", reason: identityRefusalText(this.#host, tls, this.identity) };
      }
      case "encrypt":
      case "opportunistic":
      case "clear":
        return { kind: "refused", reason: "there is nothing to authenticate with" };
      default:
        return tls satisfies never;
    }
  }

  #byTlsa({ records, identifiers }: DaneAuthenticate, chain: readonly Buffer[]): VerifyVerdict {
    this.match = matchCertificate({ records, chain, identifiers, now: this.#context.now() });
    if (this.match.kind === "match") return { kind: "accepted" };
    return { kind: "refused", reason: refusalText(this.#host, this.match.tried, chain.length) };
  }
}
