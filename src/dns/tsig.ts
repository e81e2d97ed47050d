import { createHmac, timingSafeEqual } from "node:crypto";
import { type DomainName, nameToWire } from "./name.ts";
import { WireReader } from "./wireReader.ts";

/**
 * Transaction signatures (RFC 8945): a shared key signs one message and the answer to it, so that a name server knows who asks for a change, and we know
 * who said that it is done.
 */
export type TsigKey = { name: DomainName; algorithm: TsigAlgorithm; secret: Buffer };

export const TSIG_ALGORITHMS = ["hmac-sha256", "hmac-sha384", "hmac-sha512"] as const;
export type TsigAlgorithm = (typeof TSIG_ALGORITHMS)[number];

export type TsigVerdict = { kind: "verified" } | { kind: "refused"; reason: string };

const TYPE_TSIG = 250;
const CLASS_ANY = 255;
const HEADER_OCTETS = 12;
/** RFC 8945 §10: recommended. */
const FUDGE_SECONDS = 300;
const ERRORS: ReadonlyMap<number, string> = new Map([
  [16, "BADSIG: the key's secret differs there"],
  [17, "BADKEY: that key is not known there"],
  [18, "BADTIME: the clocks differ by more than five minutes"],
  [22, "BADTRUNC"],
]);

/** Adds the signature to `message` (RFC 8945 §5.1); `mac` is needed to check the answer. `now`: milliseconds since the epoch. */
export function signTsig(message: Buffer, key: TsigKey, now: number): { message: Buffer; mac: Buffer } {
  const timers = timersOf(Math.floor(now / 1000));
  const mac = createHmac(hashOf(key.algorithm), key.secret)
    .update(message)
    .update(variables(key, timers, 0, Buffer.alloc(0)))
    .digest();
  const rdata = Buffer.concat([
    nameToWire(algorithmName(key.algorithm)),
    timers,
    uint16(mac.length),
    mac,
    message.subarray(0, 2),
    uint16(0),
    uint16(0),
  ]);
  const record = Buffer.concat([
    nameToWire(key.name),
    uint16(TYPE_TSIG),
    uint16(CLASS_ANY),
    Buffer.alloc(4),
    uint16(rdata.length),
    rdata,
  ]);
  const signed = Buffer.concat([message, record]);
  signed.writeUInt16BE(signed.readUInt16BE(10) + 1, 10);
  return { message: signed, mac };
}

type Found = {
  start: number;
  name: DomainName;
  timers: Buffer;
  mac: Buffer;
  originalId: number;
  error: number;
  other: Buffer;
  algorithm: DomainName;
};

/** Whether `answer` is signed with `key` as the answer to a request with `requestMac` (RFC 8945 §5.3), within the time that it allows. */
export function verifyTsig(answer: Buffer, key: TsigKey, requestMac: Buffer, now: number): TsigVerdict {
  const found = findTsig(answer);
  if (found === undefined) return { kind: "refused", reason: "the answer is not signed" };
  if (found.error !== 0) return { kind: "refused", reason: ERRORS.get(found.error) ?? `TSIG error ${found.error}` };
  if (found.name.toLowerCase() !== key.name.toLowerCase() || found.algorithm !== algorithmName(key.algorithm))
    return { kind: "refused", reason: "the answer is signed with another key" };
  const unsigned = Buffer.from(answer.subarray(0, found.start));
  unsigned.writeUInt16BE(found.originalId, 0);
  unsigned.writeUInt16BE(unsigned.readUInt16BE(10) - 1, 10);
  const mac = createHmac(hashOf(key.algorithm), key.secret)
    .update(uint16(requestMac.length))
    .update(requestMac)
    .update(unsigned)
    .update(variables(key, found.timers, found.error, found.other))
    .digest();
  if (mac.length !== found.mac.length || !timingSafeEqual(mac, found.mac))
    return { kind: "refused", reason: "the answer's signature is wrong" };
  const signedAt = found.timers.readUIntBE(0, 6);
  const fudge = found.timers.readUInt16BE(6);
  if (Math.abs(now / 1000 - signedAt) > fudge) return { kind: "refused", reason: "the answer was signed at another time" };
  return { kind: "verified" };
}

/** The last record, if it is a TSIG (RFC 8945 §5.1: it must be the last). */
function findTsig(answer: Buffer): Found | undefined {
  const reader = new WireReader(answer, HEADER_OCTETS);
  reader.octets(4);
  const questions = reader.uint16();
  const others = reader.uint16() + reader.uint16();
  const additional = reader.uint16();
  const records = others + additional;
  for (let i = 0; i < questions; i += 1) {
    reader.name();
    reader.octets(4);
  }
  for (let i = 0; i + 1 < records && reader.failure === undefined; i += 1) {
    reader.name();
    reader.octets(8);
    reader.octets(reader.uint16());
  }
  const start = reader.position;
  const name = reader.name();
  const type = reader.uint16();
  reader.octets(6);
  const found = reader.within(reader.uint16(), () => ({
    algorithm: reader.name(),
    timers: reader.octets(8),
    mac: reader.octets(reader.uint16()),
    originalId: reader.uint16(),
    error: reader.uint16(),
    other: reader.octets(reader.uint16()),
  }));
  reader.finish();
  // RFC 8945 §5.1: in the additional section.
  if (additional === 0 || reader.failure !== undefined || type !== TYPE_TSIG || found === undefined) return undefined;
  return { start, name, ...found };
}

/** RFC 8945 §4.3.3. */
function variables({ name, algorithm }: TsigKey, timers: Buffer, error: number, other: Buffer): Buffer {
  return Buffer.concat([
    ...[nameToWire(lower(name)), uint16(CLASS_ANY), Buffer.alloc(4), nameToWire(algorithmName(algorithm)), timers],
    ...[uint16(error), uint16(other.length), other],
  ]);
}

function timersOf(seconds: number): Buffer {
  const timers = Buffer.alloc(8);
  timers.writeUIntBE(seconds, 0, 6);
  timers.writeUInt16BE(FUDGE_SECONDS, 6);
  return timers;
}

function hashOf(algorithm: TsigAlgorithm): string {
  return algorithm.slice("hmac-".length);
}

function algorithmName(algorithm: TsigAlgorithm): DomainName {
  return `${algorithm}.` as DomainName;
}

function lower(name: DomainName): DomainName {
  return name.toLowerCase() as DomainName;
}

function uint16(value: number): Buffer {
  const octets = Buffer.alloc(2);
  octets.writeUInt16BE(value);
  return octets;
}
