import { CLASS_IN, type Message, type ResourceRecord, RR_TYPE } from "../../src/dns/message.ts";
import { isWithin, labelCount, name } from "../../src/dns/name.ts";
import { typeName } from "../../src/dns/rdataText.ts";
import type { ExchangeResult, Query, ServerAddress, Transport } from "../../src/resolver/transport.ts";
import { records, response } from "./dnsWire.ts";

/** Servers that exist only as functions from query to message, by address, and a transport that counts what it is asked. */

export type FakeServer = (query: Query) => Message | ExchangeResult;
export type SentQuery = { server: string; question: string; query: Query };

export class AuthoritativeServers implements Transport {
  readonly #servers: ReadonlyMap<string, FakeServer>;
  readonly sent: SentQuery[] = [];
  /** Called before each answer, as for moving a clock. */
  beforeAnswer: (timeoutMilliseconds: number, server: string) => void = () => undefined;

  constructor(servers: Readonly<Record<string, FakeServer>>) {
    this.#servers = new Map(Object.entries(servers));
  }

  /** The questions that were sent to one server, or to all: `name TYPE`. */
  questions(server?: string): string[] {
    return this.sent.filter((one) => server === undefined || one.server === server).map((one) => one.question);
  }

  exchange(server: ServerAddress, query: Query, timeoutMilliseconds: number): Promise<ExchangeResult> {
    const at = server.port === 53 ? server.address : `${server.address}#${server.port}`;
    this.sent.push({ server: at, question: `${query.name} ${typeName(query.type)}`, query });
    this.beforeAnswer(timeoutMilliseconds, at);
    const answer = this.#servers.get(at)?.(query) ?? { kind: "timeout" };
    if ("kind" in answer) return Promise.resolve(answer);
    return Promise.resolve({ kind: "response", message: answer, transport: "udp", milliseconds: 10 });
  }
}

/** A message of an authoritative server to `query`; `parts` may spoil it. */
export function reply(query: Query, parts: Partial<Message> = {}): Message {
  const { edns, ...plain } = response();
  return {
    ...plain,
    ...(query.edns === undefined || edns === undefined ? {} : { edns }),
    recursionDesired: query.recursionDesired,
    recursionAvailable: false,
    checkingDisabled: query.checkingDisabled,
    authoritative: true,
    questions: [{ name: query.name, type: query.type, class: CLASS_IN }],
    ...parts,
  };
}

/** A referral: NS records and glue, as text. */
export function referral(query: Query, ns: readonly string[], glue: readonly string[] = []): Message {
  return reply(query, { authoritative: false, authority: records(...ns), additional: records(...glue) });
}

export function withRcode(rcode: number): FakeServer {
  return (query) => reply(query, { rcode });
}

export const silent: FakeServer = () => ({ kind: "timeout" });

/**
 * A server that is authoritative for `apex` and has these records (RFC 1034 §4.3.2): NS records below the apex are delegations, addresses of
 * their targets glue. No wildcards and no signatures.
 */
export function authority(apex: string, ...texts: readonly string[]): FakeServer {
  const zone = name(apex);
  const all = records(...texts);
  const soa = records(`${apex} SOA ns.${apex === "." ? "" : apex} hostmaster. 1 7200 3600 86400 300`);
  return (query) => {
    if (!isWithin(query.name, zone)) return reply(query, { rcode: 5, authoritative: false });
    const cut = cutAbove(all, query, apex);
    if (cut.length > 0) {
      const glue = all.filter((one) => one.type === RR_TYPE.A || one.type === RR_TYPE.AAAA);
      return reply(query, { authoritative: false, authority: cut, additional: glue });
    }
    const own = all.filter((one) => one.name === query.name);
    const answer = own.filter((one) => one.type === query.type || one.type === RR_TYPE.CNAME);
    if (answer.length > 0) return reply(query, { answer });
    const exists = query.name === zone || all.some((one) => isWithin(one.name, query.name));
    return reply(query, { rcode: exists ? 0 : 3, authority: soa });
  };
}

/** The delegation with fewest labels that the name lies in; DS is answered above it. */
function cutAbove(all: readonly ResourceRecord[], query: Query, apex: string): readonly ResourceRecord[] {
  const below = all.filter((one) => one.type === RR_TYPE.NS && one.name !== name(apex) && isWithin(query.name, one.name));
  const cuts = below.filter((one) => query.type !== RR_TYPE.DS || one.name !== query.name);
  const top = Math.min(...cuts.map((one) => labelCount(one.name)));
  return cuts.filter((one) => labelCount(one.name) === top);
}
