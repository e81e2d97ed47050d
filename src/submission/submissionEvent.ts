import type { Envelope } from "../spool/message.ts";
import type { Rejection } from "./rejection.ts";

/** What the listener reports; relay.ts turns it into log lines and metrics. */
export type SubmissionEvent =
  | { kind: "accepted"; envelope: Envelope; recipients: readonly string[]; client: string; helo: string }
  /** `error`: what the spool said, when that was the reason. */
  | { kind: "rejected"; rejection: Rejection; client: string; error?: unknown }
  /** `open`: connections now open on all listening addresses. */
  | { kind: "connection"; change: "opened" | "closed"; open: number }
  /** A socket failed in a way that is not a client going away. */
  | { kind: "trouble"; text: string };
