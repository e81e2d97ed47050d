import { RR_TYPE } from "../dns/message.ts";
import type { DaneOutcome, TlsGot, TlsWanted } from "../policy/disposition.ts";
import type { RejectionReason } from "../submission/rejection.ts";

/** Closed sets of label values. Whatever is not in one counts as `other`, so that no peer decides how many series there are. */

export const OUTCOMES = ["delivered", "deferred", "failed"] as const;
export type DeliveryOutcome = (typeof OUTCOMES)[number];

/** Complete by its type: a reason that submission learns to give must be here. */
const REJECTION_TABLE: Readonly<Record<RejectionReason, "listed">> = {
  "relay-denied": "listed",
  "bad-address": "listed",
  "utf8-address": "listed",
  "bad-parameter": "listed",
  "too-big": "listed",
  "header-too-big": "listed",
  "too-many-recipients": "listed",
  "too-many-connections": "listed",
  "line-ends": "listed",
  nul: "listed",
  loop: "listed",
  "spool-full": "listed",
  "spool-error": "listed",
  shutdown: "listed",
  "tls-handshake": "listed",
  "tls-required": "listed",
  "auth-required": "listed",
  "auth-failed": "listed",
  "auth-throttled": "listed",
  "sender-denied": "listed",
  "rate-limited": "listed",
  "proxy-header": "listed",
  protocol: "listed",
};
/** Why a connection, a recipient or a message was refused at submission. */
export const REJECTIONS: readonly string[] = Object.keys(REJECTION_TABLE);

/** TLSA certificate usage (RFC 7218): DANE-TA, DANE-EE. */
export const USAGES = ["2", "3", "none"] as const;
export type UsageLabel = (typeof USAGES)[number];

/** Outcomes of DANE and DNSSEC for which mail is kept back. */
export const DANE_REFUSALS = [
  "mismatch",
  "starttls-missing",
  "handshake-failed",
  "bogus",
  "lookup-failed",
] as const satisfies readonly DaneOutcome[];
export type DaneRefusal = (typeof DANE_REFUSALS)[number];

export const LOOKUP_TYPES = ["A", "AAAA", "MX", "TLSA", "TXT"] as const;
/** The label of a record type's number; types that only validation itself asks for have none. */
export const LOOKUP_TYPE_BY_NUMBER: ReadonlyMap<number, (typeof LOOKUP_TYPES)[number]> = new Map(
  LOOKUP_TYPES.map((type) => [RR_TYPE[type], type]),
);
export const VERDICTS = ["secure", "insecure", "bogus", "indeterminate"] as const;
export const DNS_SOURCES = ["forward", "recursive"] as const;
export const TRANSPORTS = ["udp", "tcp", "tls"] as const;
export const QUEUE_STATES = ["incoming", "active", "deferred", "held"] as const;
/** Files that are read again while the relay runs. */
export const WATCHED_FILES = ["certificate", "users", "token", "dkim"] as const;
export type WatchedFile = (typeof WATCHED_FILES)[number];
export const DIRECTIONS = ["inbound", "outbound"] as const;

/** What became of a TLS report at one place (RFC 8460). */
export const REPORT_RESULTS = ["mailed", "posted", "failed", "unsigned"] as const;
export type ReportResult = (typeof REPORT_RESULTS)[number];

export const PROTOCOLS = ["TLSv1.2", "TLSv1.3", "other"] as const;
/** Key exchange groups; `none` where there was no ephemeral key. */
export const GROUPS = ["X25519MLKEM768", "X25519", "X448", "P-256", "P-384", "P-521", "ffdhe", "none", "other"] as const;

const WANTED = ["dane", "dane-only", "sts", "pkix", "encrypt", "may", "none"] as const satisfies readonly TlsWanted[];
const GOT = [
  ...WANTED,
  "halfdane",
  "nocertmatch",
  "nostarttls",
  "notls",
  "notlsa",
  "noconnect",
] as const satisfies readonly TlsGot[];
const TLS_WORD = new RegExp(`^!?(?:${WANTED.join("|")})(?::(?:${GOT.join("|")})|\\?)?$`);

/** What operators alert on, so that these series exist, at zero, before the first such delivery. */
export const EXPECTED_DELIVERIES = [
  ...["dane", "dane-only", "dane:halfdane", "dane:encrypt", "sts", "encrypt", "may:encrypt", "may:none", "none"].map((tls) => ({
    outcome: "delivered",
    tls,
  })),
  ...[
    "!dane:nocertmatch",
    "!dane:nostarttls",
    "!dane:notls",
    "!dane?",
    "dane:noconnect",
    "!sts:nocertmatch",
    "!sts:nostarttls",
    "!sts:noconnect",
  ].map((tls) => ({
    outcome: "deferred",
    tls,
  })),
];

/** The log's `tls` word: its grammar is closed, so are its values. */
export function tlsLabel(word: string): string {
  return TLS_WORD.test(word) ? word : "other";
}

export function protocolLabel(protocol: string): (typeof PROTOCOLS)[number] {
  return PROTOCOLS.find((known) => known === protocol) ?? "other";
}

/** OpenSSL's name of a group as RFC 8446 §4.2.7 or common use has it. */
export function groupLabel(group: string | undefined): (typeof GROUPS)[number] {
  if (group === undefined) return "none";
  if (group.startsWith("ffdhe")) return "ffdhe";
  const names: Readonly<Record<string, string>> = {
    prime256v1: "P-256",
    secp256r1: "P-256",
    secp384r1: "P-384",
    secp521r1: "P-521",
  };
  return GROUPS.find((known) => known === (names[group] ?? group)) ?? "other";
}
