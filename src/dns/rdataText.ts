import { base32hex } from "./base32hex.ts";
import {
  decodeDnskey,
  decodeDs,
  decodeNsec,
  decodeNsec3,
  decodeNsec3param,
  decodeRrsig,
  type TypeBitmap,
} from "./dnssecRdata.ts";
import { RR_TYPE } from "./message.ts";
import type { DomainName } from "./name.ts";
import { decodeExactly, decodeLookup, decodeSoa, decodeTarget, type MalformedRdata } from "./rdata.ts";
import type { WireReader } from "./wireReader.ts";

/**
 * RDATA as text (RFC 1035 §5.1): names absolute and in lower case, one blank between fields, base64 without blanks, hex in lower
 * case, character-strings quoted; RFC 3597 §5 (`\# length hex`) for types without a form of their own and for malformed RDATA.
 */
export function presentRdata(type: number, rdata: Buffer): string {
  const text = knownForm(type, rdata);
  return typeof text === "string" ? text : genericForm(rdata);
}

const TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(RR_TYPE).map(([mnemonic, number]): [number, string] => [number, mnemonic]),
  [13, "HINFO"],
  [17, "RP"],
  [18, "AFSDB"],
  [29, "LOC"],
  [35, "NAPTR"],
  [44, "SSHFP"],
  [59, "CDS"],
  [60, "CDNSKEY"],
  [61, "OPENPGPKEY"],
  [64, "SVCB"],
  [65, "HTTPS"],
  [99, "SPF"],
  [128, "NXNAME"],
  [257, "CAA"],
]);

/** The mnemonic of a type, or `TYPE123` (RFC 3597 §5). */
export function typeName(type: number): string {
  return TYPE_NAMES.get(type) ?? `TYPE${type}`;
}

type Text = string | MalformedRdata;

function knownForm(type: number, rdata: Buffer): Text | undefined {
  switch (type) {
    case RR_TYPE.A:
      return decodeLookup("A", rdata);
    case RR_TYPE.AAAA:
      return decodeLookup("AAAA", rdata);
    case RR_TYPE.NS:
    case RR_TYPE.CNAME:
    case RR_TYPE.PTR:
    case RR_TYPE.DNAME:
      return decodeTarget(rdata);
    case RR_TYPE.MX:
      return fields(decodeLookup("MX", rdata), (mx) => [mx.preference, mx.exchange]);
    case RR_TYPE.TXT:
      return fields(decodeLookup("TXT", rdata), (strings) => strings.map(quoted));
    case RR_TYPE.SRV:
      return fields(decodeExactly(rdata, readSrv), (srv) => srv);
    case RR_TYPE.SOA:
      return fields(decodeSoa(rdata), (soa) => Object.values(soa));
    case RR_TYPE.TLSA:
      return fields(decodeLookup("TLSA", rdata), (tlsa) => [
        tlsa.usage,
        tlsa.selector,
        tlsa.matchingType,
        tlsa.data.toString("hex"),
      ]);
    case NAPTR:
      return fields(decodeExactly(rdata, readNaptr), (naptr) => naptr);
    default:
      return dnssecForm(type, rdata);
  }
}

function dnssecForm(type: number, rdata: Buffer): Text | undefined {
  switch (type) {
    case RR_TYPE.DS:
      return fields(decodeDs(rdata), (ds) => [ds.keyTag, ds.algorithm, ds.digestType, ds.digest.toString("hex")]);
    case RR_TYPE.DNSKEY:
      return fields(decodeDnskey(rdata), (key) => [key.flags, key.protocol, key.algorithm, key.publicKey.toString("base64")]);
    case RR_TYPE.RRSIG:
      return fields(decodeRrsig(rdata), (sig) => [
        ...[
          typeName(sig.typeCovered),
          sig.algorithm,
          sig.labels,
          sig.originalTtl,
          timeText(sig.expiration),
          timeText(sig.inception),
        ],
        ...[sig.keyTag, sig.signer, sig.signature.toString("base64")],
      ]);
    case RR_TYPE.NSEC:
      return fields(decodeNsec(rdata), (nsec) => [nsec.next, ...typeTexts(nsec.types)]);
    case RR_TYPE.NSEC3:
      return fields(decodeNsec3(rdata), (nsec3) => [
        ...[nsec3.hashAlgorithm, nsec3.flags, nsec3.iterations, saltText(nsec3.salt), base32hex(nsec3.nextHash)],
        ...typeTexts(nsec3.types),
      ]);
    case RR_TYPE.NSEC3PARAM:
      return fields(decodeNsec3param(rdata), (p) => [p.hashAlgorithm, p.flags, p.iterations, saltText(p.salt)]);
    default:
      return undefined;
  }
}

const NAPTR = 35;

function readSrv(reader: WireReader): readonly (number | DomainName)[] {
  return [reader.uint16(), reader.uint16(), reader.uint16(), reader.name()];
}

/** RFC 3403 §4.1. */
function readNaptr(reader: WireReader): readonly (number | string)[] {
  const numbers = [reader.uint16(), reader.uint16()];
  const strings = [reader.characterString(), reader.characterString(), reader.characterString()];
  return [...numbers, ...strings.map(quoted), reader.name()];
}

function fields<T extends object>(value: T | MalformedRdata, list: (value: T) => readonly (string | number)[]): Text {
  if ("kind" in value && value.kind === "malformed") return value;
  return list(value as T).join(" ");
}

function genericForm(rdata: Buffer): string {
  return rdata.length === 0 ? "\\# 0" : `\\# ${rdata.length} ${rdata.toString("hex")}`;
}

function quoted(octets: Buffer): string {
  let text = "";
  for (const octet of octets) {
    if (octet === 0x22 || octet === 0x5c) text += `\\${String.fromCharCode(octet)}`;
    else if (octet < 0x20 || octet > 0x7e) text += `\\${octet.toString().padStart(3, "0")}`;
    else text += String.fromCharCode(octet);
  }
  return `"${text}"`;
}

/** RFC 4034 §3.2: YYYYMMDDHHmmSS in UTC. Serial arithmetic leaves the century open; it is read as 1970 to 2106. */
function timeText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/[-T:]/g, "").slice(0, 14);
}

function typeTexts(types: TypeBitmap): string[] {
  return [...types].map(typeName);
}

function saltText(salt: Buffer): string {
  return salt.length === 0 ? "-" : salt.toString("hex");
}
