import { associationData } from "../dane/association.ts";
import { CERT, SHA2_256, SPKI } from "../dane/tlsa.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { presentedIdentifiers } from "../x509/certificateName.ts";

/** One certificate of a chain in the words of whoever looks at it; everything in it was chosen by the peer, and is cut and made printable. */
export type CertificateFact = {
  subject: string;
  issuer: string;
  names: readonly string[];
  /** Milliseconds since the epoch; 0 where the certificate cannot be read. */
  notBefore: number;
  notAfter: number;
  /** SHA-256 in hexadecimal: of the certificate (selector 0), and of its key (selector 1). */
  certificateDigest: string;
  keyDigest: string;
};

const MAX_CHARACTERS = 80;
const MAX_NAMES = 20;

export function certificateFact(der: Buffer): CertificateFact | { kind: "malformed"; because: string } {
  const certificate = parseCertificate(der);
  if (certificate.kind === "malformed") return certificate;
  const { x509, notBefore, notAfter } = certificate;
  const digest = (selector: number): string => associationData(certificate, selector, SHA2_256)?.toString("hex") ?? "";
  return {
    subject: printable(x509.subject ?? ""),
    issuer: printable(x509.issuer ?? ""),
    names: presentedIdentifiers(certificate).slice(0, MAX_NAMES).map(printable),
    notBefore,
    notAfter,
    certificateDigest: digest(CERT),
    keyDigest: digest(SPKI),
  };
}

/** Printable, on one line, and not long. */
export function printable(text: string): string {
  const line = text.replaceAll("\n", ", ").replace(/[^\x20-\x7e]/g, "?");
  return line.length > MAX_CHARACTERS ? `${line.slice(0, MAX_CHARACTERS)}..` : line;
}
