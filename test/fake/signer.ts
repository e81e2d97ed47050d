import {
  createECDH,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from "node:crypto";
import { base32hex } from "../../src/dns/base32hex.ts";
import { DNSKEY_FLAG, keyTagOf } from "../../src/dns/dnssecRdata.ts";
import { CLASS_IN, type ResourceRecord, RR_TYPE } from "../../src/dns/message.ts";
import { type DomainName, name, nameToWire, rrsigLabelCount } from "../../src/dns/name.ts";
import { canonicalRdata } from "../../src/dns/rdata.ts";
import { encodeRecord, uint16, uint32 } from "./dnsWire.ts";

/** Signs RRsets, and makes the records that go with it: DNSKEY, DS, NSEC, NSEC3. Keys come from seeds, so that key tags are stable. */

export type SigningKey = {
  algorithm: number;
  /** RDATA of the DNSKEY record. */
  dnskey: Buffer;
  keyTag: number;
  sign: (data: Buffer) => Buffer;
};

/** Seconds since the epoch. */
export type Window = { inception: number; expiration: number };

type Material = { publicKey: Buffer; sign: (data: Buffer) => Buffer };

const made = new Map<string, Material>();

/** A key of one of the algorithms 5, 7, 8, 10, 13, 14, 15, 16. RSA keys are random, the others follow from `seed`. */
export function signingKey(
  options: { algorithm?: number; seed?: string; flags?: number; protocol?: number; rsaBits?: number } = {},
): SigningKey {
  const {
    algorithm = 13,
    seed = "",
    flags = DNSKEY_FLAG.zone | DNSKEY_FLAG.secureEntryPoint,
    protocol = 3,
    rsaBits = 2048,
  } = options;
  const id = `${algorithm} ${rsaBits} ${seed}`;
  const material = made.get(id) ?? materialOf(algorithm, seed, rsaBits);
  made.set(id, material);
  const dnskey = Buffer.concat([uint16(flags), Buffer.of(protocol, algorithm), material.publicKey]);
  return { algorithm, dnskey, keyTag: keyTagOf(dnskey), sign: material.sign };
}

function materialOf(algorithm: number, seed: string, rsaBits: number): Material {
  switch (algorithm) {
    case 5:
    case 7:
      return rsaMaterial("sha1", rsaBits);
    case 8:
      return rsaMaterial("sha256", rsaBits);
    case 10:
      return rsaMaterial("sha512", rsaBits);
    case 13:
      return ecdsaMaterial("prime256v1", "P-256", "sha256", seedOctets(seed, 32));
    case 14:
      return ecdsaMaterial("secp384r1", "P-384", "sha384", seedOctets(seed, 48));
    case 15:
      return eddsaMaterial("302e020100300506032b657004220420", 32, seed);
    case 16:
      return eddsaMaterial("3047020100300506032b6571043b0439", 57, seed);
    default:
      throw new Error(`no signer for algorithm ${algorithm}`);
  }
}

function seedOctets(seed: string, octets: number): Buffer {
  return createHash("shake256", { outputLength: octets }).update(seed).digest();
}

/** RFC 3110 §2. */
function rsaMaterial(hash: string, bits: number): Material {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: bits });
  const { n = "", e = "" } = publicKey.export({ format: "jwk" });
  const exponent = Buffer.from(e, "base64url");
  const octets = Buffer.concat([Buffer.of(exponent.length), exponent, Buffer.from(n, "base64url")]);
  return { publicKey: octets, sign: (data) => sign(hash, data, privateKey) };
}

/** RFC 6605 §4. */
function ecdsaMaterial(curve: string, crv: string, hash: string, scalar: Buffer): Material {
  const ecdh = createECDH(curve);
  ecdh.setPrivateKey(scalar);
  const point = ecdh.getPublicKey().subarray(1);
  const half = point.length / 2;
  const [x, y] = [point.subarray(0, half).toString("base64url"), point.subarray(half).toString("base64url")];
  const key = createPrivateKey({ key: { kty: "EC", crv, x, y, d: scalar.toString("base64url") }, format: "jwk" });
  return { publicKey: point, sign: (data) => sign(hash, data, { key, dsaEncoding: "ieee-p1363" }) };
}

/** RFC 8080 §3; the private key is PKCS #8 (RFC 8410 §7). */
function eddsaMaterial(pkcs8Prefix: string, octets: number, seed: string): Material {
  const der = Buffer.concat([Buffer.from(pkcs8Prefix, "hex"), seedOctets(seed, octets)]);
  const key: KeyObject = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  return { publicKey: spki.subarray(-octets), sign: (data) => sign(null, data, key) };
}

/** What an RRSIG says besides what follows from the RRset; each field can be told a lie. */
export type RrsigFields = Window & {
  labels?: number;
  originalTtl?: number;
  keyTag?: number;
  algorithm?: number;
  typeCovered?: number;
};

/** The RRSIG over `rrset` (records of one owner and type) by `key` of `zone` (RFC 4034 §3.1.8.1). */
export function signRrset(
  rrset: readonly ResourceRecord[],
  key: SigningKey,
  zone: DomainName,
  fields: RrsigFields,
): ResourceRecord {
  const [first] = rrset;
  if (first === undefined) throw new Error("nothing to sign");
  const { labels = rrsigLabelCount(first.name), originalTtl = first.ttl, typeCovered = first.type } = fields;
  const head = Buffer.concat([
    uint16(typeCovered),
    Buffer.of(fields.algorithm ?? key.algorithm, labels),
    ...[originalTtl, fields.expiration, fields.inception].map((value) => uint32(value >>> 0)),
    uint16(fields.keyTag ?? key.keyTag),
    nameToWire(zone),
  ]);
  const canonical = rrset.map((one) => canonicalRdata(one.type, one.rdata)).sort(Buffer.compare);
  const signed = canonical.map((rdata) => encodeRecord({ ...first, ttl: originalTtl, rdata }));
  const signature = key.sign(Buffer.concat([head, ...signed]));
  return { name: first.name, type: RR_TYPE.RRSIG, class: CLASS_IN, ttl: first.ttl, rdata: Buffer.concat([head, signature]) };
}

export function dnskeyRecord(zone: DomainName, key: SigningKey, ttl = 3600): ResourceRecord {
  return { name: zone, type: RR_TYPE.DNSKEY, class: CLASS_IN, ttl, rdata: key.dnskey };
}

/** RFC 4034 §5.1.4, RFC 4509. */
export function dsRecord(zone: DomainName, key: SigningKey, digestType = 2, ttl = 3600): ResourceRecord {
  const hash = { 1: "sha1", 2: "sha256", 4: "sha384" }[digestType];
  if (hash === undefined) throw new Error(`no digest type ${digestType}`);
  const digest = createHash(hash).update(nameToWire(zone)).update(key.dnskey).digest();
  const rdata = Buffer.concat([uint16(key.keyTag), Buffer.of(key.algorithm, digestType), digest]);
  return { name: zone, type: RR_TYPE.DS, class: CLASS_IN, ttl, rdata };
}

/** RFC 4034 §4.1. */
export function nsecRecord(owner: DomainName, next: DomainName, types: readonly number[], ttl = 3600): ResourceRecord {
  const rdata = Buffer.concat([nameToWire(next), typeBitmap(types)]);
  return { name: owner, type: RR_TYPE.NSEC, class: CLASS_IN, ttl, rdata };
}

export type Nsec3Parameters = { salt: Buffer; iterations: number; flags: number };

/** RFC 5155 §3.2; `hash` and `nextHash` are octets. */
export function nsec3Record(
  zone: DomainName,
  hash: Buffer,
  nextHash: Buffer,
  types: readonly number[],
  parameters: Nsec3Parameters,
  ttl = 3600,
): ResourceRecord {
  const { salt, iterations, flags } = parameters;
  const head = [Buffer.of(1, flags), uint16(iterations), Buffer.of(salt.length), salt, Buffer.of(nextHash.length), nextHash];
  const rdata = Buffer.concat([...head, typeBitmap(types)]);
  const owner = name(zone === "." ? base32hex(hash) : `${base32hex(hash)}.${zone}`);
  return { name: owner, type: RR_TYPE.NSEC3, class: CLASS_IN, ttl, rdata };
}

/** RFC 4034 §4.1.2. */
export function typeBitmap(types: readonly number[]): Buffer {
  const windows = new Map<number, Buffer>();
  for (const type of [...types].sort((a, b) => a - b)) {
    const window = windows.get(type >> 8) ?? Buffer.alloc(32);
    const octet = (type & 0xff) >> 3;
    window.writeUInt8(window.readUInt8(octet) | (0x80 >> (type & 7)), octet);
    windows.set(type >> 8, window);
  }
  const blocks = [...windows].map(([number, window]) => {
    const used = window.subarray(0, window.findLastIndex((octet) => octet !== 0) + 1);
    return Buffer.concat([Buffer.of(number, used.length), used]);
  });
  return Buffer.concat(blocks);
}
