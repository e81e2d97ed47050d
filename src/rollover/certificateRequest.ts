import { createPublicKey, type KeyObject, sign } from "node:crypto";

/**
 * A certificate request (PKCS #10, RFC 2986) for one host name, as every CA and ACME client takes it: no subject, the name in the extension request
 * (RFC 5280 §4.2.1.6), signed with SHA-256.
 */

const TAG = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  sequence: 0x30,
  set: 0x31,
  context0: 0xa0,
  dnsName: 0x82,
} as const;

/** Object identifiers, as their content octets. */
const EXTENSION_REQUEST = Buffer.from("2a864886f70d01090e", "hex");
const SUBJECT_ALT_NAME = Buffer.from("551d11", "hex");
const ECDSA_WITH_SHA256 = Buffer.from("2a8648ce3d040302", "hex");
const RSA_WITH_SHA256 = Buffer.from("2a864886f70d01010b", "hex");
const NULL = Buffer.from("0500", "hex");

/** PEM. `key` is RSA or an EC key. */
export function certificateRequest(key: KeyObject, host: string): string {
  const publicKeyInfo = createPublicKey(key).export({ format: "der", type: "spki" });
  const names = element(TAG.sequence, element(TAG.dnsName, Buffer.from(host, "ascii")));
  const extension = element(TAG.sequence, element(TAG.oid, SUBJECT_ALT_NAME), element(TAG.octetString, names));
  const attribute = element(
    TAG.sequence,
    element(TAG.oid, EXTENSION_REQUEST),
    element(TAG.set, element(TAG.sequence, extension)),
  );
  const info = element(
    TAG.sequence,
    element(TAG.integer, Buffer.from([0])),
    element(TAG.sequence),
    publicKeyInfo,
    element(TAG.context0, attribute),
  );
  const signature = sign("sha256", info, key);
  const request = element(
    TAG.sequence,
    info,
    element(TAG.sequence, ...algorithmOf(key)),
    element(TAG.bitString, Buffer.from([0]), signature),
  );
  const body = request.toString("base64").replaceAll(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN CERTIFICATE REQUEST-----\n${body}\n-----END CERTIFICATE REQUEST-----\n`;
}

function algorithmOf(key: KeyObject): readonly Buffer[] {
  // RFC 4055 §5: the parameters of RSA are NULL; RFC 5758 §3.2: those of ECDSA are absent.
  if (key.asymmetricKeyType === "rsa") return [element(TAG.oid, RSA_WITH_SHA256), NULL];
  if (key.asymmetricKeyType === "ec") return [element(TAG.oid, ECDSA_WITH_SHA256)];
  throw new Error(`no certificate request for a key of type ${key.asymmetricKeyType ?? "unknown"}`);
}

function element(tag: number, ...content: readonly Buffer[]): Buffer {
  const value = Buffer.concat(content);
  if (value.length < 0x80) return Buffer.concat([Buffer.from([tag, value.length]), value]);
  const length = Buffer.from(value.length.toString(16).padStart(value.length > 0xff ? 4 : 2, "0"), "hex");
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, value]);
}
