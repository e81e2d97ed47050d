import { createHash } from "node:crypto";
import { type DestinationStream, type Logger, pino } from "pino";
import type { AuditEvent } from "./log/auditEvent.ts";
import type { AuthenticationEvent } from "./log/authenticationEvent.ts";
import type { DkimEvent } from "./log/dkimEvent.ts";
import { LineWriter } from "./log/lineWriter.ts";
import type { WorkerEvent } from "./log/workerEvent.ts";
import type { StsMode } from "./mtasts/policy.ts";
import type { StsPolicyFailure, StsSessionFailure } from "./mtasts/stsFailure.ts";
import type { DaneOutcome } from "./policy/disposition.ts";

/**
 * What the relay tells: one line an event on standard output, in the closed vocabulary of LogEvent. No event has a field for a secret or for
 * a message's content. Mail addresses stand in it as `log.recipients` says.
 */
export type LogEvent =
  | AcceptedEvent
  | AuthenticationEvent
  | DeliveryEvent
  | BounceEvent
  | DkimEvent
  | DnssecEvent
  | QueueEvent
  | AuditEvent
  | StsEvent
  | TlsrptEvent
  | StartEvent
  | StopEvent
  | ConfigEvent
  | WorkerEvent;

/** A message was taken: it is durable. One line a message. */
export type AcceptedEvent = {
  event: "accepted";
  id: string;
  /** The client's address. */
  client: string;
  /** Who was logged in. */
  user?: string;
  /** "" is the null reverse-path. */
  sender: string;
  /** How many; each has its own delivery events. */
  recipients: number;
  bytes: number;
  /** RFC 8689: yes for REQUIRETLS, no for `TLS-Required: No`. */
  tlsRequired?: "yes" | "no";
};

/** What a look-up was: the words of design.md §4. */
export type DnssecWord = "secure" | "insecure" | "bogus" | "failed" | "not-asked";

/** One recipient in one attempt. */
export type DeliveryEvent = {
  event: "delivery";
  id: string;
  recipient: string;
  domain: string;
  host?: string;
  address?: string;
  /** 1 for the first. */
  attempt: number;
  outcome: "delivered" | "deferred" | "failed";
  /** *wanted* or *wanted:got*, `!` in front where policy kept the message back, `?` behind where it is undecided. */
  tls: string;
  dane: DaneOutcome;
  dnssec: { mx: DnssecWord; address: DnssecWord; tlsa: DnssecWord };
  /** The record that matched or should have: "3 1 1 abcd...". */
  tlsa?: string;
  protocol?: string;
  cipher?: string;
  group?: string;
  /** What the session came to under the MTA-STS policy of its domain; `result` other than success is a word of RFC 8460 §4.3. */
  sts?: { mode: "enforce" | "testing"; result: "success" | StsSessionFailure; reason?: string };
  /** The peer's reply in one line. */
  reply?: string;
  /** RFC 3463. */
  status: string;
  /** Why, in a sentence; for deferred and failed. */
  reason?: string;
  /** The end of the message was sent and no reply came: the peer may have it, and gets it again. */
  ambiguous?: "yes";
  seconds: number;
};

/** A delivery status notification was queued. */
export type BounceEvent = {
  event: "bounce";
  /** Of the notification itself. */
  id: string;
  /** Of the message it speaks of. */
  about: string;
  action: "failed" | "delayed" | "delivered" | "relayed" | "expanded";
  /** To whom it goes: the sender of the message. */
  recipient: string;
  /** The recipients it speaks of. */
  recipients: readonly string[];
};

/** The validation probe came to another result than before, or to its first. */
export type DnssecEvent = { event: "dnssec"; state: "validating" | "not-validating"; source: string; reason: string };

/** The queue as it is; `state` other than ok says in `reason` what is wrong and what to do. */
export type QueueEvent = {
  event: "queue";
  /** trouble: an error of the relay itself, not of the spool. */
  state: "ok" | "unwritable" | "left-behind" | "trouble";
  reason?: string;
  incoming?: number;
  active?: number;
  deferred?: number;
  held?: number;
};

/** The MTA-STS policy of a domain: one that is new here, or one that could not be had. */
export type StsEvent =
  | { event: "sts"; state: "policy"; domain: string; mode: StsMode; id: string; maxAgeSeconds: number }
  /** `mode`: of the cached policy that stays in force. */
  | { event: "sts"; state: "failed"; domain: string; mode: StsMode | "nothing"; failure: StsPolicyFailure; reason: string }
  /** Policies cannot be kept. */
  | { event: "sts"; state: "trouble"; reason: string };

/** A TLS report (RFC 8460) to one place, or why it did not go there. `id`: of the report as a message of our own. */
export type TlsrptEvent = {
  event: "tlsrpt";
  /** Whom it is about, and which UTC day: `2026-11-21`. */
  domain: string;
  day: string;
  /** As the domain published it; "" where it could not be looked up. */
  uri: string;
  result: "mailed" | "posted" | "deferred" | "failed" | "unsigned";
  id?: string;
  reason?: string;
};

export type StartEvent = {
  event: "start";
  version: string;
  hostname: string;
  /** Of submission. */
  listen: readonly string[];
  admin: string;
  spool: string;
  resolver: string;
};

export type StopEvent = { event: "stop"; because: "signal" | "failure"; reason?: string; seconds?: number };

/**
 * Something about the configuration that the operator should know: an exception that expired, a name that is not public (`notice`, also when
 * not given); `reloaded`: a change is in force now; `refused`: it is not, and everything stays as it was.
 */
export type ConfigEvent = { event: "config"; key: string; state?: "notice" | "reloaded" | "refused"; reason: string };

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogOptions = {
  level: LogLevel;
  format: "json" | "text";
  recipients: "full" | "domain" | "hash";
  /** Milliseconds since the epoch. */
  now: () => number;
  /** Where lines go; standard output when not given. */
  destination?: DestinationStream;
};

export type Log = {
  event(event: LogEvent): void;
  /** From now on. */
  reconfigure(options: Pick<LogOptions, "level" | "recipients">): void;
  /** Resolves when all lines are written, or cannot be; to be awaited before the process ends. */
  flush(): Promise<void>;
};

const STANDARD_OUTPUT = 1;
/** Characters of a hash that stand for an address: 64 bits, enough to tell addresses apart. */
const HASH_CHARACTERS = 16;
const ADDRESS = /(?:"(?:[^"\\]|\\.)*"|[^\s<>"'();:,]+)@(\[[^\]\s]*\]|[^\s<>"'();:,@]+)/g;

/** A log in the given form. Nobody waits for its reader but who calls `flush`. */
export function createLog(options: LogOptions): Log {
  const { target, flush } =
    options.destination === undefined ? standardOutput() : { target: options.destination, flush: nothingToFlush };
  const logger: Logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date(options.now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    options.format === "json" ? target : textDestination(target),
  );
  let { recipients } = options;
  return {
    event: (event) => logger[levelOf(event)](recipients === "full" ? event : masked(event, recipients)),
    reconfigure: (changed) => {
      logger.level = changed.level;
      recipients = changed.recipients;
    },
    flush,
  };
}

/** Not pino's own destination: on a full disk its flush never ends, and neither would the process. */
function standardOutput(): { target: DestinationStream; flush: () => Promise<void> } {
  const target = new LineWriter(STANDARD_OUTPUT);
  return { target, flush: () => target.flush() };
}

function nothingToFlush(): Promise<void> {
  return Promise.resolve();
}

/** How loud an event is: what an operator must act on is an error, what kept mail from its way by policy a warning. */
export function levelOf(event: LogEvent): LogLevel {
  switch (event.event) {
    case "delivery":
      return event.outcome === "failed" || event.tls.startsWith("!") ? "warn" : "info";
    case "dnssec":
      return event.state === "validating" ? "info" : "error";
    case "queue":
      if (event.state === "unwritable" || event.state === "trouble") return "error";
      return event.state === "left-behind" ? "warn" : "info";
    case "audit":
      return event.outcome === "failed" ? "error" : "info";
    case "stop":
      return event.because === "failure" ? "error" : "info";
    case "config":
      if (event.state === "refused") return "error";
      return event.state === "reloaded" ? "info" : "warn";
    case "sts":
      // RFC 8461 §10.2: administrators are alerted, but not where the policy is being removed.
      if (event.state === "failed") return event.mode === "none" ? "info" : "warn";
      return event.state === "trouble" ? "error" : "info";
    case "worker":
      return event.state === "ended" ? "error" : "info";
    case "tlsrpt":
      return event.result === "failed" || event.result === "unsigned" ? "warn" : "info";
    case "authentication":
      return event.result === "succeeded" ? "info" : "warn";
    case "dkim":
      return "warn";
    case "accepted":
    case "bounce":
    case "start":
      return "info";
    default:
      return event satisfies never;
  }
}

/** The event with every mail address in it replaced: replies and reasons quote them too. */
function masked(event: LogEvent, form: "domain" | "hash"): unknown {
  const mask = (value: unknown, key: string): unknown => {
    if (typeof value === "string") return ADDRESS_LIKE.has(key) ? maskAddress(value, form) : maskText(value, form);
    if (Array.isArray(value)) return value.map((entry) => mask(entry, key));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, mask(inner, name)]));
  };
  return mask(event, "");
}

/** Fields that hold nothing but an address, quoted local parts with blanks included. */
const ADDRESS_LIKE: ReadonlySet<string> = new Set(["sender", "recipient", "recipients"]);

function maskText(text: string, form: "domain" | "hash"): string {
  return text.replace(ADDRESS, (address) => maskAddress(address, form));
}

/** `*@example.org`, or `1f0e...@example.org`: the same address always has the same hash. "" stays. */
export function maskAddress(address: string, form: "domain" | "hash"): string {
  const at = address.lastIndexOf("@");
  if (at === -1) return address === "" ? "" : "*";
  const local = form === "domain" ? "*" : createHash("sha256").update(address).digest("hex").slice(0, HASH_CHARACTERS);
  return local + address.slice(at);
}

/** Makes of pino's JSON a line for people: `2027-01-31T12:00:00.000Z info delivery id=... outcome=deferred reason="..."`. */
function textDestination(target: DestinationStream): DestinationStream {
  return {
    write(line) {
      const { time, level, event, ...fields }: Record<string, unknown> = JSON.parse(line);
      target.write(`${[time, level, event, ...textFields(fields, "")].join(" ")}\n`);
    },
  };
}

function textFields(fields: object, prefix: string): string[] {
  return Object.entries(fields).flatMap(([name, value]: [string, unknown]) => {
    if (Array.isArray(value)) return [`${prefix}${name}=${textValue(value.join(","))}`];
    if (typeof value === "object" && value !== null) return textFields(value, `${prefix}${name}.`);
    return [`${prefix}${name}=${textValue(String(value))}`];
  });
}

function textValue(text: string): string {
  return /^[\x21\x23-\x3c\x3e-\x7e]+$/.test(text) ? text : JSON.stringify(text);
}
