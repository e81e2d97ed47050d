import type { Rejection } from "./rejection.ts";

/** What one command is answered. */
export type Reply = { kind: "positive"; code: number; text: string } | { kind: "rejected"; rejection: Rejection };

export function refused(rejection: Rejection): Reply {
  return { kind: "rejected", rejection };
}

/** RFC 5321 §4.1.4. */
export function badSequence(text: string): Reply {
  return refused({ reason: "protocol", code: 503, status: "5.5.1", text });
}

export function syntaxError(text: string): Reply {
  return refused({ reason: "bad-address", code: 501, status: "5.5.2", text });
}
