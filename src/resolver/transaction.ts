import { CLASS_IN, type MessageHead } from "../dns/message.ts";
import type { Query } from "./transport.ts";

/** RCODEs of a server that could not or would not read the query. */
const NOT_READ: readonly number[] = [1, 2, 4, 5];

/**
 * Whether a response belongs to the query that was sent with `id` (RFC 5452 §9.1): transaction id, QR, opcode and question. Server address
 * and port are the socket's business. A response without a question is taken only where its RCODE (FORMERR, SERVFAIL, NOTIMP, REFUSED)
 * says that the query was not read: it can say no more than that.
 */
export function answersQuery(head: MessageHead, id: number, query: Query): boolean {
  if (head.id !== id || !head.response || head.opcode !== 0) return false;
  const [question] = head.questions;
  if (question === undefined) return NOT_READ.includes(head.rcode);
  return question.name === query.name && question.type === query.type && question.class === CLASS_IN;
}
