import type { Message } from "../dns/message.ts";
import type { Query } from "./transport.ts";

/**
 * Whether what came back belongs to what was sent (RFC 5452 §9.1): transaction id, QR, opcode, and the question, octet by octet.
 * Server address and port are the socket's business.
 */

const HEADER_OCTETS = 12;
const QR_BIT = 0x80;
const OPCODE_BITS = 0x78;
const TC_BIT = 0x02;
const FORMERR = 1;
const SERVFAIL = 2;
const NOTIMP = 4;
const REFUSED = 5;

/**
 * Whether `received` carries the id of `sent`, is a response to a standard query and repeats its question. A response without a
 * question is taken only where its RCODE says that the server could not or would not read the query: it can say no more than that.
 */
export function sameTransaction(sent: Buffer, received: Buffer): boolean {
  if (received.length < HEADER_OCTETS || received.readUInt16BE(0) !== sent.readUInt16BE(0)) return false;
  const flags = received.readUInt8(2);
  if ((flags & QR_BIT) === 0 || (flags & OPCODE_BITS) !== 0) return false;
  const questions = received.readUInt16BE(4);
  if (questions === 0) return [FORMERR, SERVFAIL, NOTIMP, REFUSED].includes(received.readUInt8(3) & 0x0f);
  const end = questionEnd(sent);
  return questions === 1 && received.length >= end && lowered(received, end).equals(lowered(sent, end));
}

export function isTruncated(received: Buffer): boolean {
  return (received.readUInt8(2) & TC_BIT) !== 0;
}

/** The same judgement on the decoded message: the question is the one asked (or there is none, see `sameTransaction`). */
export function answersQuery(message: Message, query: Query): boolean {
  const [question] = message.questions;
  if (question === undefined) return message.rcode !== 0;
  return question.name === query.name && question.type === query.type;
}

/** Offset behind the question section of a query that we encoded: one question, no compression. */
function questionEnd(wire: Buffer): number {
  let at = HEADER_OCTETS;
  while (wire.readUInt8(at) !== 0) at += wire.readUInt8(at) + 1;
  return at + 5;
}

/** The question section up to `end` with ASCII letters in lower case: servers need not keep the case. Length octets are below "A". */
function lowered(wire: Buffer, end: number): Buffer {
  const copy = Buffer.from(wire.subarray(HEADER_OCTETS, end));
  for (let i = 0; i < copy.length - 4; i += 1) {
    const octet = copy.readUInt8(i);
    if (octet >= 0x41 && octet <= 0x5a) copy.writeUInt8(octet + 0x20, i);
  }
  return copy;
}
