import { createHash, createPrivateKey, type KeyObject, sign } from "node:crypto";

/**
 * DKIM signatures (RFC 6376) over relaxed/relaxed, with rsa-sha256 (RFC 8301) or ed25519-sha256 (RFC 8463): what a TLSRPT report needs. No l=
 * tag is ever made (RFC 8460 §3).
 *
 * Header fields come as they are sent, without the last line end: `Subject: a\r\n b`.
 */
export type DkimKey = { domain: string; selector: string; key: KeyObject; algorithm: "rsa-sha256" | "ed25519-sha256" };

/** RFC 8301 §3.2: shorter ones MUST NOT be used by signers. */
const MIN_RSA_BITS = 1024;
const BASE64_LINE = 70;

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
  return { kind: "key", key: { domain, selector, key, algorithm: "rsa-sha256" } };
}

/** RFC 6376 §3.4.2: name in lower case, unfolded, white space reduced to one space and gone at both ends of the value. */
export function relaxedField(field: string): string {
  const colon = field.indexOf(":");
  const value = field.slice(colon + 1).replace(/\r\n/g, "");
  return `${field.slice(0, colon).trim().toLowerCase()}:${reduced(value).trim()}`;
}

function reduced(text: string): string {
  return text.replace(/[ \t]+/g, " ");
}

/** RFC 6376 §3.4.4: white space reduced, gone at line ends; empty lines at the end gone, one CRLF there unless all is empty. */
export function relaxedBody(body: Buffer): Buffer {
  const lines = body
    .toString("latin1")
    .split("\r\n")
    .map((line) => reduced(line).replace(/ $/, ""));
  let length = lines.length;
  while (length > 0 && lines[length - 1] === "") length -= 1;
  return Buffer.from(length === 0 ? "" : `${lines.slice(0, length).join("\r\n")}\r\n`, "latin1");
}

/**
 * The DKIM-Signature field to put in front of `header`, without the last line end. `signed` names the fields to cover; each is signed as
 * often as it is there, and once more as absent, so that none can be added (RFC 6376 §5.4).
 */
export function dkimSignature(
  { domain, selector, key, algorithm }: DkimKey,
  message: { header: readonly string[]; body: Buffer },
  options: { signed: readonly string[]; now: number },
): string {
  const covered = coveredFields(message.header, options.signed);
  const bodyHash = createHash("sha256").update(relaxedBody(message.body)).digest("base64");
  const unsigned = [
    `DKIM-Signature: v=1; a=${algorithm}; c=relaxed/relaxed; d=${domain};`,
    ` s=${selector}; t=${Math.floor(options.now / 1000)};`,
    ` h=${covered.names.join(":\r\n  ")};`,
    ` bh=${bodyHash};`,
    " b=",
  ].join("\r\n");
  // RFC 6376 §3.7: the fields, then the signature field itself with an empty b=, without a line end.
  const input = Buffer.from([...covered.fields.map(relaxedField), relaxedField(unsigned)].join("\r\n"), "latin1");
  // RFC 8463 §3: Ed25519 signs the SHA-256 of the input.
  const signature =
    algorithm === "rsa-sha256" ? sign("sha256", input, key) : sign(null, createHash("sha256").update(input).digest(), key);
  const lines = signature.toString("base64").match(new RegExp(`.{1,${BASE64_LINE}}`, "g")) ?? [];
  return `${unsigned}${lines.join("\r\n  ")}`;
}

/** RFC 6376 §5.4.2: of fields with the same name the last is signed first; a name beyond them is signed as the empty string. */
function coveredFields(header: readonly string[], signed: readonly string[]): { names: string[]; fields: string[] } {
  const names: string[] = [];
  const fields: string[] = [];
  for (const name of signed) {
    const present = header.filter((field) => field.slice(0, field.indexOf(":")).trim().toLowerCase() === name.toLowerCase());
    for (const field of present.toReversed()) {
      names.push(name);
      fields.push(field);
    }
    names.push(name);
  }
  return { names, fields };
}
