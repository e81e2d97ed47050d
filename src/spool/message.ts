import type { Outcome } from "../policy/disposition.ts";

/** Queue id: letters and digits, sorts by time of acceptance, unique across restarts and processes. */
export type MessageId = string;

export type Notify = "NEVER" | "SUCCESS" | "FAILURE" | "DELAY";

/** One recipient as submitted. `destination` is the A-label domain without trailing dot in lower case, or the literal `[192.0.2.1]`. */
export type RecipientRequest = {
  address: string;
  destination: string;
  /** RFC 3461 §4.1; undefined: not given. */
  notify?: readonly Notify[];
  /** RFC 3461 §4.2, as `addr-type;decoded text`. */
  originalRecipient?: string;
};

export type Envelope = {
  id: MessageId;
  /** "" is the null reverse-path. */
  sender: string;
  /** Milliseconds since the epoch. */
  acceptedAt: number;
  smtpUtf8: boolean;
  eightBitMime: boolean;
  envelopeId?: string;
  returnContent?: "FULL" | "HDRS";
  requireTls: boolean;
  /** Header `TLS-Required: No` (RFC 8689 §5). */
  tlsRequiredNo: boolean;
  /** Mail of our own that RFC 8460 §3 has rules for: a TLSRPT report, delivered whatever TLS does, and never reported on. */
  purpose?: "tls-report";
  /** Octets of the stored content, trace headers included. */
  size: number;
};

/** One recipient in the queue; `index` is stable within its message. */
export type QueuedRecipient = RecipientRequest & {
  index: number;
  /** Attempts made so far. */
  attempts: number;
  /** Whether a delay warning (DSN "delayed") was already queued. */
  delayWarned: boolean;
  lastOutcome?: Outcome;
};

/** What one delivery transaction may carry: recipients of one message at one destination, all due and claimed. */
export type Work = {
  envelope: Envelope;
  destination: string;
  recipients: readonly [QueuedRecipient, ...QueuedRecipient[]];
  /** The whole content where it is stored inline; else read it with `Store.content`. */
  content?: Buffer;
};

/** A message that is ready to be stored: content with its trace headers, CRLF line ends, no dot-stuffing. */
export type NewMessage = {
  envelope: Envelope;
  recipients: readonly [RecipientRequest, ...RecipientRequest[]];
};

/** What became of one recipient of a claimed Work. */
export type Settled = {
  index: number;
  outcome: Outcome;
  /** For `deferred`: when it is due again, milliseconds since the epoch. */
  nextAttemptAt?: number;
  delayWarned?: boolean;
};
