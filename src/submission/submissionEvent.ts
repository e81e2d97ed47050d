import type { Envelope } from "../spool/message.ts";
import type { Rejection, RejectionReason } from "./rejection.ts";

/** What the listener reports; relay.ts turns it into log lines and metrics. */
export type SubmissionEvent =
  /** `user`: who was logged in. */
  | { kind: "accepted"; envelope: Envelope; recipients: readonly string[]; client: string; helo: string; user?: string }
  /** AUTH did not succeed. `user`: only where there is one of that name. */
  | { kind: "authentication-failed"; client: string; reason: RejectionReason; user?: string }
  /** `error`: what the spool said, when that was the reason. */
  | { kind: "rejected"; rejection: Rejection; client: string; error?: unknown }
  /** `open`: connections now open on all listening addresses. */
  | { kind: "connection"; change: "opened" | "closed"; open: number }
  /** A socket failed in a way that is not a client going away. */
  | { kind: "trouble"; text: string };
