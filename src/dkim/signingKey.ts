import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";

/** A private key with the name that its public half has in DNS: SELECTOR._domainkey.DOMAIN. The domain is in A-labels (RFC 8616 §4). */
export type DkimKey = { domain: string; selector: string; key: KeyObject; algorithm: "rsa-sha256" | "ed25519-sha256" };

/** RFC 8301 §3.2: shorter ones MUST NOT be used by signers; longer ones need not be understood by verifiers. */
const MIN_RSA_BITS = 1024;
const MAX_RSA_BITS = 4096;
/** RFC 1035 §3.3: of one character-string of a TXT record. */
const MAX_STRING_OCTETS = 255;

/** The signing key in PEM text. */
export function readDkimKey(
  pem: string,
  { domain, selector }: { domain: string; selector: string },
): { kind: "key"; key: DkimKey } | { kind: "unusable"; reason: string } {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (error) {
    return {
      kind: "unusable",
      reason: `it holds no private key in PEM (${error instanceof Error ? error.message : String(error)})`,
    };
  }
  if (key.asymmetricKeyType === "ed25519") return { kind: "key", key: { domain, selector, key, algorithm: "ed25519-sha256" } };
  if (key.asymmetricKeyType !== "rsa")
    return { kind: "unusable", reason: `DKIM knows RSA and Ed25519, not ${key.asymmetricKeyType}` };
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < MIN_RSA_BITS)
    return { kind: "unusable", reason: `an RSA key of ${bits} bits (at least ${MIN_RSA_BITS}, better 2048)` };
  if (bits > MAX_RSA_BITS)
    return { kind: "unusable", reason: `an RSA key of ${bits} bits (at most ${MAX_RSA_BITS}, which receivers must understand)` };
  return { kind: "key", key: { domain, selector, key, algorithm: "rsa-sha256" } };
}

/** Where the public half has to be published. */
export function recordName({ domain, selector }: Pick<DkimKey, "domain" | "selector">): string {
  return `${selector}._domainkey.${domain}`;
}

/** The record to publish, as a line of a zone file (RFC 6376 §3.6.1; for Ed25519 p= is the key alone, RFC 8463 §4.2). */
export function dkimRecord(signingKey: DkimKey): string {
  const { key, algorithm } = signingKey;
  const publicKey = createPublicKey(key);
  const [type, data] =
    algorithm === "rsa-sha256"
      ? ["rsa", publicKey.export({ type: "spki", format: "der" }).toString("base64")]
      : ["ed25519", Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url").toString("base64")];
  const text = `v=DKIM1; k=${type}; p=${data}`;
  const strings = text.match(new RegExp(`.{1,${MAX_STRING_OCTETS}}`, "g")) ?? [];
  return `${recordName(signingKey)}. IN TXT ${strings.map((string) => `"${string}"`).join(" ")}`;
}
