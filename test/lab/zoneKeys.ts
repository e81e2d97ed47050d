import { createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeDnskey, keyTagOf } from "../../src/dns/dnssecRdata.ts";
import { isMalformed, type ResourceRecord, RR_TYPE } from "../../src/dns/message.ts";
import type { SigningKey } from "../fake/signer.ts";

/** The private keys that other people's signers made, so that what they signed can be changed and signed again. */

/** RFC 8410 §7: what stands before the octets of a private key in PKCS #8. */
const EDDSA_PKCS8 = { 15: "302e020100300506032b657004220420", 16: "3047020100300506032b6571043b0439" } as const;
const CURVES = { 13: "P-256", 14: "P-384" } as const;
const HASHES: Readonly<Record<number, string>> = { 8: "sha256", 10: "sha512", 13: "sha256", 14: "sha384" };

function signingKey(privateKey: KeyObject, dnskey: Buffer): SigningKey {
  const algorithm = dnskey.readUInt8(3);
  const key = { key: privateKey, dsaEncoding: "ieee-p1363" } as const;
  return { algorithm, dnskey, keyTag: keyTagOf(dnskey), sign: (data) => sign(HASHES[algorithm] ?? null, data, key) };
}

/** `Private-key-format: v1`, as BIND and ldns write it. */
function fromBindText(text: string, dnskey: Buffer): KeyObject {
  const fields = new Map(text.split("\n").map((line) => line.split(": ", 2) as [string, string | undefined]));
  const field = (name: string): Buffer => Buffer.from(fields.get(name) ?? "", "base64");
  const url = (name: string): string => field(name).toString("base64url");
  const algorithm = dnskey.readUInt8(3);
  if (algorithm === 15 || algorithm === 16) {
    const der = Buffer.concat([Buffer.from(EDDSA_PKCS8[algorithm], "hex"), field("PrivateKey")]);
    return createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  }
  if (algorithm === 13 || algorithm === 14) {
    const point = dnskey.subarray(4);
    const half = point.length / 2;
    const [x, y] = [point.subarray(0, half).toString("base64url"), point.subarray(half).toString("base64url")];
    return createPrivateKey({ key: { kty: "EC", crv: CURVES[algorithm], x, y, d: url("PrivateKey") }, format: "jwk" });
  }
  const [n, e, d] = [url("Modulus"), url("PublicExponent"), url("PrivateExponent")];
  const [p, q, dp, dq, qi] = [url("Prime1"), url("Prime2"), url("Exponent1"), url("Exponent2"), url("Coefficient")];
  return createPrivateKey({ key: { kty: "RSA", n, e, d, p, q, dp, dq, qi }, format: "jwk" });
}

/** The keys in `directory` (K*.private) that belong to DNSKEY records of `records`. */
export async function bindKeys(directory: string, records: readonly ResourceRecord[]): Promise<SigningKey[]> {
  const dnskeys = records.filter((record) => record.type === RR_TYPE.DNSKEY).map((record) => record.rdata);
  const files = (await readdir(directory)).filter((file) => file.endsWith(".private"));
  const keys: SigningKey[] = [];
  for (const file of files) {
    const tag = Number(/\+(\d+)\.private$/.exec(file)?.[1]);
    const dnskey = dnskeys.find((rdata) => keyTagOf(rdata) === tag);
    if (dnskey !== undefined) keys.push(signingKey(fromBindText(await readFile(join(directory, file), "utf8"), dnskey), dnskey));
  }
  return whole(keys, dnskeys);
}

/** The same for Knot, which keeps PKCS #8 in PEM. */
export async function knotKeys(directory: string, records: readonly ResourceRecord[]): Promise<SigningKey[]> {
  const dnskeys = records.filter((record) => record.type === RR_TYPE.DNSKEY).map((record) => record.rdata);
  const keys: SigningKey[] = [];
  for (const file of await readdir(directory)) {
    const privateKey = createPrivateKey(await readFile(join(directory, file), "utf8"));
    const dnskey = dnskeys.find((rdata) => publicOctets(privateKey).equals(publicKeyEnd(rdata)));
    if (dnskey !== undefined) keys.push(signingKey(privateKey, dnskey));
  }
  return whole(keys, dnskeys);
}

function whole(keys: readonly SigningKey[], dnskeys: readonly Buffer[]): SigningKey[] {
  if (keys.length !== dnskeys.length) throw new Error(`${keys.length} private keys for ${dnskeys.length} DNSKEY records`);
  return [...keys];
}

/** What tells public keys apart: the modulus of RSA, the point of the others. */
function publicOctets(key: KeyObject): Buffer {
  const { n, x, y } = createPublicKey(key).export({ format: "jwk" });
  return Buffer.concat([n, x, y].map((part) => Buffer.from(part ?? "", "base64url")));
}

function publicKeyEnd(rdata: Buffer): Buffer {
  const dnskey = decodeDnskey(rdata);
  if (isMalformed(dnskey)) throw new Error(dnskey.reason);
  if (dnskey.algorithm !== 8 && dnskey.algorithm !== 10) return dnskey.publicKey;
  return dnskey.publicKey.subarray(1 + dnskey.publicKey.readUInt8(0));
}
