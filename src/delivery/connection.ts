import type { Reply } from "../smtp/reply.ts";
import type { Envelope } from "../spool/message.ts";

/** What TLS a connection must reach before MAIL may be sent. */
export type TlsNeed =
  | { need: "none" }
  /** STARTTLS if offered; without it, or where it is refused with a reply, the same connection goes on in clear text. */
  | { need: "opportunistic" }
  /** STARTTLS, any certificate. */
  | { need: "encrypt" }
  /** STARTTLS, and `verify` accepts the chain as sent (DER, leaf first), before any byte of SMTP goes into the channel. */
  | { need: "authenticate"; verify: (chain: readonly Buffer[]) => VerifyVerdict };

export type VerifyVerdict = { kind: "accepted" } | { kind: "refused"; reason: string };

export type DialogueTimeouts = { connectSeconds: number; commandSeconds?: number };

export type ConnectionRequest = {
  address: string;
  port: number;
  localAddress?: string;
  /** EHLO name. */
  hostname: string;
  tls: TlsNeed;
  /** SNI (RFC 7672 §8.1: the TLSA base domain); undefined: none is sent. */
  serverName?: string;
  implicitTls: boolean;
  timeouts: DialogueTimeouts;
};

export type ChannelSecurity =
  | { kind: "clear"; starttlsOffered: boolean; starttlsReply?: Reply }
  | {
      kind: "tls";
      protocol: string;
      cipher: string;
      group?: string;
      authenticated: "verified" | "not-verified";
      chain: readonly Buffer[];
    };

export type ConnectionResult = { kind: "ready"; session: SmtpSession } | { kind: "failed"; failure: ConnectionFailure };

/** Why no session came about; `text` is for people, `reply` what the peer said if it said something. */
export type ConnectionFailure = {
  stage: "connect" | "greeting" | "ehlo" | "starttls-missing" | "starttls-refused" | "handshake" | "verify";
  text: string;
  reply?: Reply;
  /** For `verify`: what the peer presented. */
  chain?: readonly Buffer[];
};

/** RFC 3461 parameters and addresses of one RCPT. */
export type TransactionRecipient = { address: string; notify?: readonly string[]; originalRecipient?: string };

export type Transaction = {
  envelope: Pick<Envelope, "sender" | "smtpUtf8" | "eightBitMime" | "envelopeId" | "returnContent" | "requireTls" | "size">;
  recipients: readonly [TransactionRecipient, ...TransactionRecipient[]];
  content: () => AsyncIterable<Buffer>;
};

/** In the order of the recipients. `lost` with `ambiguous` "yes": the final dot was sent and no reply came. */
export type RecipientResult =
  | { kind: "accepted"; reply: Reply; dsnRelayed: "yes" | "no" }
  | { kind: "rejected"; phase: "MAIL" | "RCPT" | "DATA" | "CONTENT"; reply: Reply }
  | { kind: "lost"; phase: "MAIL" | "RCPT" | "DATA" | "CONTENT"; ambiguous: "yes" | "no"; text: string }
  | { kind: "unsupported"; extension: "SMTPUTF8" | "8BITMIME" | "SIZE" | "REQUIRETLS"; text: string };

export interface SmtpSession {
  readonly security: ChannelSecurity;
  readonly extensions: ReadonlySet<string>;
  /** One mail transaction (RFC 5321 §3.3); never rejects for what the peer does. */
  transact(transaction: Transaction): Promise<readonly RecipientResult[]>;
  /** Whether another transaction may follow on this connection. */
  readonly state: "idle" | "busy" | "closed";
  /** QUIT, then close; resolves when the socket is gone. */
  quit(): Promise<void>;
  destroy(): void;
}
