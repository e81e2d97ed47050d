import type { Reply } from "./reply.ts";

/** What MAIL says about a message (the part of the queue's envelope that the dialogue needs). */
export type TransactionEnvelope = {
  /** "" is the null reverse-path. */
  sender: string;
  smtpUtf8: boolean;
  eightBitMime: boolean;
  envelopeId?: string;
  returnContent?: "FULL" | "HDRS";
  requireTls: boolean;
  /** Octets of the content, before dot-stuffing. */
  size: number;
};

/** RFC 3461 parameters and address of one RCPT. */
export type TransactionRecipient = { address: string; notify?: readonly string[]; originalRecipient?: string };

export type TransactionPhase = "MAIL" | "RCPT" | "DATA" | "CONTENT";

/** An extension that the message needs and the server did not announce (SIZE: announced, and too small). */
export type NeededExtension = "SMTPUTF8" | "8BITMIME" | "SIZE" | "REQUIRETLS";

/** In the order of the recipients. `lost` with `ambiguous` "yes": the end of the message was sent and no usable reply came. */
export type RecipientResult =
  | { kind: "accepted"; reply: Reply; dsnRelayed: "yes" | "no" }
  | { kind: "rejected"; phase: TransactionPhase; reply: Reply }
  | { kind: "lost"; phase: TransactionPhase; ambiguous: "yes" | "no"; text: string }
  | { kind: "unsupported"; extension: NeededExtension; text: string };

/**
 * Recipients (by index) that a further transaction on the same connection may take at once: the server took some and said of these that
 * they are too many for one (RFC 5321 §4.5.3.1.10).
 */
export function leftOverRecipients(results: readonly RecipientResult[]): readonly number[] {
  if (!results.some((result) => result.kind === "accepted")) return [];
  const indexes: number[] = [];
  for (const [index, result] of results.entries()) {
    if (result.kind === "rejected" && result.phase === "RCPT" && isTooMany(result.reply)) indexes.push(index);
  }
  return indexes;
}

function isTooMany(reply: Reply): boolean {
  if (reply.code !== 452 && reply.code !== 552) return false;
  return reply.enhanced === undefined || reply.enhanced.endsWith(".5.3");
}
