import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";

/** The certificate that submission shows, with its chain, and its key: PEM. */
export type ServerCertificate = { cert: string; key: string };

/** `submission.tls`: where they are. */
export type CertificateFiles = { certificateFile: string; keyFile: string };

export type CertificateReading =
  | { kind: "certificate"; certificate: ServerCertificate }
  /** Missing, unreadable, no PEM, or a key that is not the certificate's. */
  | { kind: "unusable"; reason: string };

/** Reads both files, and makes sure that a handshake could be made with them. */
export async function readCertificate(files: CertificateFiles): Promise<CertificateReading> {
  const { certificateFile, keyFile } = files;
  try {
    const [cert, key] = await Promise.all([readFile(certificateFile, "utf8"), readFile(keyFile, "utf8")]);
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
      return unusable(files, "the key is not the certificate's");
    // The rest of the chain, and whether OpenSSL would use them.
    createSecureContext({ cert, key });
    return { kind: "certificate", certificate: { cert, key } };
  } catch (error) {
    // Whatever is wrong with them, it is for the operator to mend; OpenSSL's words name no secret.
    return unusable(files, error instanceof Error ? error.message : String(error));
  }
}

function unusable({ certificateFile, keyFile }: CertificateFiles, reason: string): CertificateReading {
  return { kind: "unusable", reason: `${certificateFile}, ${keyFile}: ${reason}` };
}
