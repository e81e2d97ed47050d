import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";
import type { Random } from "../clock.ts";
import { decodeHead, decodeMessage, encodeQuery, isMalformed, type Message } from "../dns/message.ts";
import { answersQuery } from "./transaction.ts";
import type { ExchangeResult, Query, ServerAddress } from "./transport.ts";

type DatagramLimits = { timeoutMilliseconds: number; retransmitMilliseconds: number; random: Random };
type DatagramResult =
  | { kind: "response"; message: Message }
  | { kind: "truncated" }
  | Exclude<ExchangeResult, { kind: "response" }>;

/**
 * One question over UDP: a socket of its own, and so a random source port that the kernel chose, connected, so that the kernel drops
 * what comes from elsewhere; a random id (RFC 5452 §9). What does not match the query is ignored and the wait goes on.
 */
export function exchangeDatagrams(server: ServerAddress, query: Query, limits: DatagramLimits): Promise<DatagramResult> {
  const id = limits.random.below(0x10000);
  const wire = encodeQuery({ id, ...query });
  const socket = createSocket(isIPv6(server.address) ? "udp6" : "udp4");
  return new Promise((resolve) => {
    let again: NodeJS.Timeout | undefined;
    let settled = false;
    const finish = (result: DatagramResult) => {
      if (settled) return;
      settled = true;
      clearTimeout(again);
      clearTimeout(limit);
      socket.close();
      resolve(result);
    };
    const limit = setTimeout(() => finish({ kind: "timeout" }), Math.max(0, limits.timeoutMilliseconds));
    const send = (wait: number) => {
      if (settled) return;
      socket.send(wire, (error) => {
        if (error !== null) finish({ kind: "unreachable", reason: `UDP to ${server.address}: ${error.message}` });
      });
      again = setTimeout(() => send(wait * 2), wait);
    };
    socket.on("message", (datagram) => {
      const judged = judgeDatagram(id, query, datagram);
      if (judged !== undefined) finish(judged);
    });
    socket.on("error", (error) => finish({ kind: "unreachable", reason: `UDP to ${server.address}: ${error.message}` }));
    socket.connect(server.port, server.address, (error?: Error) => {
      if (error === undefined || error === null) send(limits.retransmitMilliseconds);
      else finish({ kind: "unreachable", reason: `UDP to ${server.address}: ${error.message}` });
    });
  });
}

/** What a datagram means for the query; undefined: it is not the answer to it, and is ignored. */
function judgeDatagram(id: number, query: Query, datagram: Buffer): DatagramResult | undefined {
  const head = decodeHead(datagram);
  if (isMalformed(head) || !answersQuery(head, id, query)) return undefined;
  // Some servers cut a record in the middle: TC is looked at before the rest is decoded.
  if (head.truncated) return { kind: "truncated" };
  const message = decodeMessage(datagram);
  return isMalformed(message) ? message : { kind: "response", message };
}
