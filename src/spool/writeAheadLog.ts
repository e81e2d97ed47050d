import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { isMissing } from "./storeFailure.ts";

/**
 * Whether SQLite would silently pass over acknowledged mail in its write-ahead log (https://www.sqlite.org/walformat.html). SQLite reads the log
 * up to the first frame whose checksum does not hold, and forgets the rest: after a power cut that is the transaction that was being written.
 * Each transaction is on disk before the next begins, so whole transactions behind a broken frame mean damage.
 *
 * frame   one page with a header: page number, size of the database after a commit (else 0), two salts of this log, two sums over all before it
 */
export type LogState = { kind: "whole" } | { kind: "damaged"; reason: string };

const HEADER_OCTETS = 32;
const FRAME_HEADER_OCTETS = 24;
const MAGIC = 0x377f0682;
const MAGIC_BIG_ENDIAN = 0x377f0683;
/** One may be the transaction that a power cut tore. */
const TORN_TRANSACTIONS = 1;

type Sums = readonly [number, number];

/** The running sums of the format, over whole pairs of 32-bit words of the byte order of the log. */
function sumsOver(bytes: DataView, from: number, to: number, [first, second]: Sums, littleEndian: boolean): Sums {
  let [a, b] = [first, second];
  for (let at = from; at < to; at += 8) {
    a = (a + bytes.getUint32(at, littleEndian) + b) >>> 0;
    b = (b + bytes.getUint32(at + 4, littleEndian) + a) >>> 0;
  }
  return [a, b];
}

function sumsAt(bytes: DataView, at: number): Sums {
  return [bytes.getUint32(at), bytes.getUint32(at + 4)];
}

function equal(one: Sums, other: Sums): boolean {
  return one[0] === other[0] && one[1] === other[1];
}

/** Throws what the file system throws; a log that is not there, or has no header that holds, is whole: SQLite begins it anew. */
export function checkLog(path: string): LogState {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    if (isMissing(error)) return { kind: "whole" };
    throw error;
  }
  try {
    return checkFrames(file, fstatSync(file).size);
  } finally {
    closeSync(file);
  }
}

function checkFrames(file: number, size: number): LogState {
  const header = new DataView(new ArrayBuffer(HEADER_OCTETS));
  if (readSync(file, header, 0, HEADER_OCTETS, 0) < HEADER_OCTETS) return { kind: "whole" };
  const magic = header.getUint32(0);
  const littleEndian = magic === MAGIC;
  if (!littleEndian && magic !== MAGIC_BIG_ENDIAN) return { kind: "whole" };
  const begin = sumsOver(header, 0, 24, [0, 0], littleEndian);
  if (!equal(begin, sumsAt(header, 24))) return { kind: "whole" };
  const salts = sumsAt(header, 16);
  const octets = FRAME_HEADER_OCTETS + header.getUint32(8);
  const frame = new DataView(new ArrayBuffer(octets));
  let before = begin;
  let broken: number | undefined;
  let behind = 0;
  for (let number = 0; HEADER_OCTETS + (number + 1) * octets <= size; number += 1) {
    readSync(file, frame, 0, octets, HEADER_OCTETS + number * octets);
    const stored = sumsAt(frame, 16);
    const summed = sumsOver(frame, FRAME_HEADER_OCTETS, octets, sumsOver(frame, 0, 8, before, littleEndian), littleEndian);
    const holds = equal(salts, sumsAt(frame, 8)) && equal(summed, stored);
    if (!holds) broken ??= number;
    else if (broken !== undefined && frame.getUint32(4) !== 0) behind += 1;
    // Each frame's sums begin with those that the frame before it has, whether these are right or not.
    before = stored;
  }
  if (broken === undefined || behind <= TORN_TRANSACTIONS) return { kind: "whole" };
  return { kind: "damaged", reason: `its log is damaged at frame ${broken}, with ${behind} transactions behind it` };
}
