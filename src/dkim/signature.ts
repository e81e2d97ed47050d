import { createHash, sign } from "node:crypto";
import { relaxedField } from "./canonicalForm.ts";
import type { CoveredFields } from "./coveredFields.ts";
import type { DkimKey } from "./signingKey.ts";

/**
 * The DKIM-Signature field (RFC 6376 §3.5, §3.7), relaxed/relaxed, with rsa-sha256 (RFC 8301) or ed25519-sha256 (RFC 8463). Never with l=, which
 * lets others append to the body (RFC 6376 §8.2), nor with x=: mail may wait for days.
 */
export type SignatureRequest = {
  covered: CoveredFields;
  /** As bh= has it. */
  bodyHash: string;
  /** Milliseconds since the epoch. */
  signedAt: number;
};

/** A field that lacks the value of b=. `digest` and `input`: what the key has to sign (the arguments of node:crypto's `sign`). */
export type UnsignedField = { field: string; digest: "sha256" | null; input: Buffer };

const LINE = 76;

export function unsignedField(
  { domain, selector, algorithm }: DkimKey,
  { covered, bodyHash, signedAt }: SignatureRequest,
): UnsignedField {
  const field = [
    `DKIM-Signature: v=1; a=${algorithm}; c=relaxed/relaxed; d=${domain};`,
    ` s=${selector}; t=${Math.floor(signedAt / 1000)};`,
    ...foldedNames(covered.names),
    ` bh=${bodyHash};`,
    " b=",
  ].join("\r\n");
  // RFC 6376 §3.7: the fields, then the signature field itself with an empty b=, without a line end.
  const input = Buffer.from([...covered.fields.map(relaxedField), relaxedField(field)].join("\r\n"), "latin1");
  // RFC 8463 §3: Ed25519 signs the SHA-256 of the input.
  if (algorithm === "ed25519-sha256") return { field, digest: null, input: createHash("sha256").update(input).digest() };
  return { field, digest: "sha256", input };
}

/** The field as it is put in front of the header, without the last line end. */
export function signedField({ field }: UnsignedField, signature: Buffer): string {
  const lines = signature.toString("base64").match(new RegExp(`.{1,${LINE - 2}}`, "g")) ?? [];
  return `${field}${lines.join("\r\n  ")}`;
}

/** Signs at once. The same request always gives the same field. */
export function dkimSignature(key: DkimKey, request: SignatureRequest): string {
  const unsigned = unsignedField(key, request);
  return signedField(unsigned, sign(unsigned.digest, unsigned.input, key.key));
}

/** RFC 6376 §3.5: white space may stand beside the colons of h=. */
function foldedNames(names: readonly string[]): string[] {
  const lines: string[] = [];
  let line = " h=";
  for (const [i, name] of names.entries()) {
    const word = `${name}${i === names.length - 1 ? ";" : ":"}`;
    if (line.length + word.length > LINE) {
      lines.push(line);
      line = "  ";
    }
    line += word;
  }
  return [...lines, line];
}
