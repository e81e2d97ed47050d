import type { Reply } from "../smtp/reply.ts";
import type { RecipientResult, TransactionEnvelope, TransactionRecipient } from "../smtp/transaction.ts";

/** What protects the connection. */
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

/** The two ends of a connection as they showed themselves. `address`: the server's; `helo`: its name in its greeting. */
export type ConnectionEnds = { address?: string; localAddress?: string; helo?: string };

export type Transaction = {
  envelope: TransactionEnvelope;
  recipients: readonly [TransactionRecipient, ...TransactionRecipient[]];
  content: () => AsyncIterable<Buffer>;
};

export interface SmtpSession {
  readonly security: ChannelSecurity;
  readonly extensions: ReadonlySet<string>;
  readonly ends?: ConnectionEnds;
  /** One mail transaction (RFC 5321 §3.3). Never rejects for what the peer does; rejects, the connection cut, when `content` cannot be read. */
  transact(transaction: Transaction): Promise<readonly RecipientResult[]>;
  /** Whether another transaction may follow on this connection. */
  readonly state: "idle" | "busy" | "closed";
  /** QUIT, then close; resolves when the socket is gone. */
  quit(): Promise<void>;
  destroy(): void;
}
