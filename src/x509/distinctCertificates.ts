import { type Certificate, parseCertificate } from "./certificate.ts";

/** The certificates among `encoded` (DER) that can be read, each once, without those in `known`. */
export function distinctCertificates(encoded: readonly Buffer[], known: readonly Certificate[]): readonly Certificate[] {
  const distinct: Certificate[] = [];
  for (const der of encoded) {
    if ([...known, ...distinct].some((certificate) => certificate.der.equals(der))) continue;
    const certificate = parseCertificate(der);
    if (certificate.kind === "certificate") distinct.push(certificate);
  }
  return distinct;
}
