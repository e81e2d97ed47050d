import type { DomainName } from "./name.ts";
import { decodeExactly, type MalformedRdata } from "./rdata.ts";
import type { WireReader } from "./wireReader.ts";

/**
 * RDATA of the DNSSEC types (RFC 4034, RFC 5155).
 *
 * Key tag: 16-bit checksum of a DNSKEY; a hint, not an identity. Type bitmap: the types that exist at an owner (or at the name whose
 * hash it is). Salt, iterations: parameters of the NSEC3 hash. Opt-out: the NSEC3 span may hide unsigned delegations.
 */

/** DNSKEY flags: RFC 4034 §2.1.1, RFC 5011 §3. */
export const DNSKEY_FLAG = { zone: 0x0100, revoke: 0x0080, secureEntryPoint: 0x0001 } as const;
/** NSEC3 flags: RFC 5155 §3.1.2.1. */
export const NSEC3_OPT_OUT = 0x01;
/** RFC 5155 §11: the only hash there is. */
export const NSEC3_SHA1 = 1;

/** RFC 4034 §5.1. */
export type Ds = { keyTag: number; algorithm: number; digestType: number; digest: Buffer };

/** RFC 4034 §2.1; `keyTag` is computed (appendix B). */
export type Dnskey = { flags: number; protocol: number; algorithm: number; publicKey: Buffer; keyTag: number };

/** RFC 4034 §3.1. `expiration` and `inception` are seconds modulo 2^32; `originalTtl` is seconds. */
export type Rrsig = {
  typeCovered: number;
  algorithm: number;
  labels: number;
  originalTtl: number;
  expiration: number;
  inception: number;
  keyTag: number;
  signer: DomainName;
  signature: Buffer;
};

export type TypeBitmap = ReadonlySet<number>;

/** RFC 4034 §4.1. */
export type Nsec = { next: DomainName; types: TypeBitmap };

/** RFC 5155 §3.2; `nextHash` is the hash itself, not its base32hex text. */
export type Nsec3 = {
  hashAlgorithm: number;
  flags: number;
  iterations: number;
  salt: Buffer;
  nextHash: Buffer;
  types: TypeBitmap;
};

/** RFC 5155 §4.2. */
export type Nsec3param = { hashAlgorithm: number; flags: number; iterations: number; salt: Buffer };

export function decodeDs(rdata: Buffer): Ds | MalformedRdata {
  return decodeExactly(rdata, (reader) => ({
    keyTag: reader.uint16(),
    algorithm: reader.octet(),
    digestType: reader.octet(),
    digest: reader.rest(),
  }));
}

export function decodeDnskey(rdata: Buffer): Dnskey | MalformedRdata {
  return decodeExactly(rdata, (reader) => ({
    flags: reader.uint16(),
    protocol: reader.octet(),
    algorithm: reader.octet(),
    publicKey: reader.rest(),
    keyTag: keyTagOf(rdata),
  }));
}

const ALGORITHM_RSAMD5 = 1;

/** RFC 4034 appendix B over the whole RDATA of a DNSKEY; B.1 for algorithm 1. */
export function keyTagOf(rdata: Buffer): number {
  if (rdata.length >= 7 && rdata.readUInt8(3) === ALGORITHM_RSAMD5) return rdata.readUInt16BE(rdata.length - 3);
  let sum = 0;
  rdata.forEach((octet, i) => {
    sum += (i & 1) === 0 ? octet << 8 : octet;
  });
  return (sum + (sum >>> 16)) & 0xffff;
}

export function decodeRrsig(rdata: Buffer): Rrsig | MalformedRdata {
  return decodeExactly(rdata, (reader) => ({
    typeCovered: reader.uint16(),
    algorithm: reader.octet(),
    labels: reader.octet(),
    originalTtl: reader.uint32(),
    expiration: reader.uint32(),
    inception: reader.uint32(),
    keyTag: reader.uint16(),
    signer: reader.name(),
    signature: reader.rest(),
  }));
}

export function decodeNsec(rdata: Buffer): Nsec | MalformedRdata {
  return decodeExactly(rdata, (reader) => ({ next: reader.name(), types: readTypeBitmap(reader) }));
}

export function decodeNsec3(rdata: Buffer): Nsec3 | MalformedRdata {
  return decodeExactly(rdata, (reader) => {
    const parameters = readNsec3param(reader);
    const nextHash = reader.characterString();
    if (nextHash.length === 0) reader.fail("NSEC3 without a next hash"); // RFC 5155 §3.1.6: 1 to 255 octets
    return { ...parameters, nextHash, types: readTypeBitmap(reader) };
  });
}

export function decodeNsec3param(rdata: Buffer): Nsec3param | MalformedRdata {
  return decodeExactly(rdata, readNsec3param);
}

function readNsec3param(reader: WireReader): Nsec3param {
  return {
    hashAlgorithm: reader.octet(),
    flags: reader.octet(),
    iterations: reader.uint16(),
    salt: reader.characterString(),
  };
}

const MAX_WINDOW_OCTETS = 32;
const TYPES_PER_WINDOW = 256;

/** RFC 4034 §4.1.2: windows in increasing order, 1 to 32 octets each. Zero octets at the end of one change nothing and are let pass. */
function readTypeBitmap(reader: WireReader): TypeBitmap {
  const types = new Set<number>();
  let previous = -1;
  while (reader.remaining > 0) {
    const window = reader.octet();
    const octets = reader.octets(reader.octet());
    if (octets.length === 0 || octets.length > MAX_WINDOW_OCTETS) reader.fail(`type bitmap window of ${octets.length} octets`);
    if (window <= previous) reader.fail("type bitmap windows out of order");
    previous = window;
    if (reader.failure !== undefined) break;
    octets.forEach((octet, i) => {
      for (let bit = 0; bit < 8; bit += 1) if ((octet & (0x80 >> bit)) !== 0) types.add(window * TYPES_PER_WINDOW + 8 * i + bit);
    });
  }
  return types;
}
