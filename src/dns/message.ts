import type { DomainName } from "./name.ts";

/** DNS messages (RFC 1035 §4, RFC 6891): types here; strict decoding and query encoding below. */

/** Numbers of the types this project speaks of (IANA); any other number passes through as it is. */
export const RR_TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  DNAME: 39,
  OPT: 41,
  DS: 43,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  NSEC3: 50,
  NSEC3PARAM: 51,
  TLSA: 52,
  ANY: 255,
} as const;

export const CLASS_IN = 1;

/** `rdata` is uncompressed (names inside the types of RFC 1035 are expanded), octets otherwise as received, case kept. */
export type ResourceRecord = { name: DomainName; type: number; class: number; ttl: number; rdata: Buffer };

export type Question = { name: DomainName; type: number; class: number };

export type Message = {
  id: number;
  response: boolean;
  opcode: number;
  authoritative: boolean;
  truncated: boolean;
  recursionDesired: boolean;
  recursionAvailable: boolean;
  authenticData: boolean;
  checkingDisabled: boolean;
  /** With the upper bits of OPT merged (RFC 6891 §6.1.3). */
  rcode: number;
  questions: readonly Question[];
  answer: readonly ResourceRecord[];
  authority: readonly ResourceRecord[];
  /** Without OPT. */
  additional: readonly ResourceRecord[];
  edns?: { udpPayloadSize: number; version: number; dnssecOk: boolean; options: readonly { code: number; data: Buffer }[] };
};

export type MalformedMessage = { kind: "malformed"; reason: string };
