import type { TLSSocket } from "node:tls";

/**
 * `submission.tls.clientCaFile`: whose certificates let a client relay, as an alternative to AUTH. OpenSSL checks path, dates and purpose in the
 * handshake, which goes on without a certificate as well: then the client is nobody.
 */
export type ClientCertificates = {
  /** PEM. */
  ca: string;
  /** `sha256:` and the fingerprint in hexadecimal, a DNS name, or a mail address; empty: every certificate of that CA. */
  accepted: readonly string[];
};

const FINGERPRINT = "sha256:";

/** Whether the certificate that was shown in this handshake is one of those. */
export function certificateStanding(socket: TLSSocket, { accepted }: ClientCertificates): "accepted" | "none" {
  // A resumed session counts as authorized in Node even where no certificate was ever shown: only what is there counts.
  const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined;
  if (certificate === undefined) return "none";
  if (accepted.length === 0) return "accepted";
  const fingerprint = FINGERPRINT + certificate.fingerprint256.replaceAll(":", "").toLowerCase();
  const fits = accepted.some((entry) => {
    if (entry.startsWith(FINGERPRINT)) return entry === fingerprint;
    const match = entry.includes("@") ? certificate.checkEmail(entry) : certificate.checkHost(entry, { wildcards: false });
    return match !== undefined;
  });
  return fits ? "accepted" : "none";
}
