import { createHash } from "node:crypto";
import { openConnection } from "../delivery/connection.ts";
import type { HostView } from "../diagnosis/doubleTlsa.ts";
import type { DomainName } from "../dns/name.ts";
import { displayName } from "../dns/name.ts";
import { parseCertificate } from "../x509/certificate.ts";

/** Which key a mail host shows, address by address: what a sender would see, by STARTTLS, and QUIT. */
export type ShownAt = { host: DomainName; addresses: readonly string[]; port: number; hostname: string };

const TIMEOUTS = { connectSeconds: 10, commandSeconds: 20 };

export function shownKeys({ addresses, ...at }: ShownAt): Promise<readonly HostView[]> {
  return Promise.all(addresses.map((address) => shownKey(address, at)));
}

async function shownKey(address: string, { host, port, hostname }: Omit<ShownAt, "addresses">): Promise<HostView> {
  const result = await openConnection({
    address,
    port,
    hostname,
    tls: { need: "encrypt" },
    serverName: displayName(host),
    implicitTls: false,
    timeouts: TIMEOUTS,
  });
  if (result.kind === "failed") return { kind: "failed", address, reason: result.failure.text };
  const { session } = result;
  const { security } = session;
  await session.quit();
  const leaf = security.kind === "tls" ? security.chain[0] : undefined;
  if (leaf === undefined) return { kind: "failed", address, reason: "it showed no certificate" };
  const certificate = parseCertificate(leaf);
  if (certificate.kind === "malformed")
    return { kind: "failed", address, reason: `its certificate is malformed: ${certificate.because}` };
  return { kind: "key", address, fingerprint: createHash("sha256").update(certificate.publicKeyInfo).digest("hex") };
}
