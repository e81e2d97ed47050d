import type { EnhancedStatus } from "../smtp/enhancedStatus.ts";
import { StoreError } from "../spool/store.ts";

/** Label `reason` of messages_rejected_total; closed. */
export const REJECTION_REASONS = [
  "relay-denied",
  "bad-address",
  "utf8-address",
  "bad-parameter",
  "too-big",
  "header-too-big",
  "too-many-recipients",
  "too-many-connections",
  "line-ends",
  "nul",
  "loop",
  "spool-full",
  "spool-error",
  "shutdown",
  "tls-handshake",
  "tls-required",
  "auth-required",
  "auth-failed",
  "auth-throttled",
  "sender-denied",
  "rate-limited",
  "proxy-header",
  "protocol",
] as const;
export type RejectionReason = (typeof REJECTION_REASONS)[number];

/** A refusal as the client gets it: `code`, `status` and `text` are the reply. */
export type Rejection = { reason: RejectionReason; code: number; status: EnhancedStatus; text: string };

/** A client did not get through the handshake, and cannot be told; RFC 3463 §3.8, X.7.5: cryptographic failure. */
export function handshakeFailure(text: string): Rejection {
  return { reason: "tls-handshake", code: 421, status: "4.7.5", text };
}

/** A load balancer did not say whom it connects for; the connection is closed without a word, which would be the client's. */
export function proxyHeaderFailure(text: string): Rejection {
  return { reason: "proxy-header", code: 421, status: "4.7.0", text };
}

/** What the client is told when its message could not be stored; the details are for the log, not for strangers. */
export function storeRejection(error: unknown): Rejection {
  if (!(error instanceof StoreError))
    return { reason: "spool-error", code: 451, status: "4.3.0", text: "local error, try again later" };
  switch (error.kind) {
    case "full":
      return { reason: "spool-full", code: 452, status: "4.3.1", text: "the mail queue is full, try again later" };
    case "io":
    case "corrupt":
      return { reason: "spool-error", code: 451, status: "4.3.0", text: "the mail queue cannot be written, try again later" };
    case "closed":
      return { reason: "shutdown", code: 421, status: "4.3.2", text: "shutting down, try again later" };
    default:
      return error.kind satisfies never;
  }
}
