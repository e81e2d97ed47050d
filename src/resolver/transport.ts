import type { Message } from "../dns/message.ts";
import type { DomainName } from "../dns/name.ts";

export type ServerAddress = { address: string; port: number; tls?: { name: string } };

export type Query = {
  name: DomainName;
  type: number;
  recursionDesired: boolean;
  checkingDisabled: boolean;
  /** undefined: no OPT record at all (RFC 6891 §6.2.2 fallback). */
  edns?: { udpPayloadSize: number; dnssecOk: boolean };
};

export type ExchangeResult =
  | { kind: "response"; message: Message; transport: "udp" | "tcp" | "tls"; milliseconds: number }
  | { kind: "timeout" }
  | { kind: "unreachable"; reason: string }
  | { kind: "malformed"; reason: string };

/** One question to one server and its matching answer: retransmission, random ids and ports, TC fallback to TCP are inside. */
export interface Transport {
  exchange(server: ServerAddress, query: Query, timeoutMilliseconds: number): Promise<ExchangeResult>;
}

/** The size that avoids fragmentation on practically every path (DNS flag day 2020); bigger answers come by TCP. */
export const EDNS_UDP_PAYLOAD_SIZE = 1232;
