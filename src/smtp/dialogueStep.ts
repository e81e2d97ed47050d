import { type Reply, replyText } from "./reply.ts";

/** The vocabulary of the sans-I/O dialogues: what one asks of the side that owns the socket and the clock, and what it is answered. */
export type DialogueStep =
  /** Send (if anything), then take the next reply. */
  | { kind: "reply"; send?: string; phase: TimeoutPhase }
  /** Send the text, then the content: with dot-stuffing and end of data, or `octets` as they are; then take the reply to it. */
  | { kind: "content"; send?: string; framing: "dot" }
  | { kind: "content"; send?: string; framing: "chunk"; octets: number }
  /** Turn the connection into TLS and verify the server; resumed with `secured`, or with `lost`. */
  | { kind: "startTls" };

export type DialogueInput =
  | { kind: "reply"; reply: Reply }
  /** A reply that came before the content was sent to its end: nothing more was sent since. */
  | { kind: "earlyReply"; reply: Reply }
  /** No usable reply: connection gone, timeout, not SMTP. `endSent`: the end of the content was given to the network. */
  | { kind: "lost"; text: string; endSent?: true }
  | { kind: "secured" };

/** What is waited for, as far as waiting times differ. */
export type TimeoutPhase = "greeting" | "command" | "MAIL" | "RCPT" | "DATA" | "block" | "end" | "QUIT";

/** RFC 5321 §4.5.3.2.1 to .6, in seconds. It has no time for EHLO, STARTTLS, AUTH, RSET: five minutes as for MAIL. QUIT is only politeness. */
const TIMEOUT_SECONDS: Readonly<Record<TimeoutPhase, number>> = {
  greeting: 300,
  command: 300,
  MAIL: 300,
  RCPT: 300,
  DATA: 120,
  block: 180,
  end: 600,
  QUIT: 5,
};

/** Seconds to wait in `phase`: the RFC's, or the operator's ceiling where it is lower. */
export function phaseSeconds(phase: TimeoutPhase, ceilingSeconds: number | undefined): number {
  return Math.min(TIMEOUT_SECONDS[phase], ceilingSeconds ?? Number.POSITIVE_INFINITY);
}

/** `quit` tells whether the server can still be told QUIT. */
export type OpeningFailure = {
  kind: "failed";
  stage: "greeting" | "ehlo" | "starttls-missing" | "starttls-refused" | "handshake" | "auth";
  text: string;
  reply?: Reply;
  quit: "possible" | "impossible";
};

/** The failure for an input that is not what the stage needs. */
export function openingFailure(stage: OpeningFailure["stage"], input: DialogueInput, what: string): OpeningFailure {
  switch (input.kind) {
    case "reply":
    case "earlyReply":
      return {
        kind: "failed",
        stage,
        text: `${what}: ${replyText(input.reply)}`,
        reply: input.reply,
        // RFC 5321 §3.8: after 421 the server closes; every other refusal is followed by QUIT.
        quit: input.reply.code === 421 ? "impossible" : "possible",
      };
    case "lost":
      return { kind: "failed", stage, text: `${what}: ${input.text}`, quit: "impossible" };
    case "secured":
      throw new Error("the driver secured a connection that was not asked to be");
    default:
      return input satisfies never;
  }
}
