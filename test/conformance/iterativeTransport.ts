import { decodeMessage, isMalformed, type Message } from "../../src/dns/message.ts";
import { isWithin, name } from "../../src/dns/name.ts";
import { typeName } from "../../src/dns/rdataText.ts";
import { answersQuery } from "../../src/resolver/transaction.ts";
import type { ExchangeResult, Query, ServerAddress, Transport } from "../../src/resolver/transport.ts";

/** One canned reply of a server, as in the README of the fixtures. */
export type IterativeEntry = {
  match: readonly string[];
  qname: string | null;
  qtype: string | null;
  adjust: readonly string[];
  response?: string;
  sleepSeconds?: number;
  noAnswer?: boolean;
};

export type IterativePhase = {
  fromStep: number;
  servers: readonly { addresses: readonly string[] | null; entries: readonly IterativeEntry[] }[];
};

/** The canned servers of a fixture; `step` tells which phase holds. What matches nothing is a time-out, at once. */
export class IterativeTransport implements Transport {
  readonly #phases: readonly IterativePhase[];
  step = 0;
  /** What was asked, for failing cases: `address qname qtype`. */
  readonly log: string[] = [];

  constructor(phases: readonly IterativePhase[]) {
    this.#phases = phases;
  }

  exchange(server: ServerAddress, query: Query): Promise<ExchangeResult> {
    this.log.push(`${server.address} ${query.name} ${typeName(query.type)}${query.recursionDesired ? " RD" : ""}`);
    return Promise.resolve(this.#answer(server, query));
  }

  #answer(server: ServerAddress, query: Query): ExchangeResult {
    const udp = this.#reply(server, query, "UDP");
    const truncated = typeof udp !== "string" && udp.truncated;
    const reply = truncated ? this.#reply(server, query, "TCP") : udp;
    if (typeof reply === "string") return reply === "none" ? { kind: "timeout" } : { kind: "malformed", reason: reply };
    // The ids agree; the rest is checked as the real transport checks it.
    if (!answersQuery(reply, reply.id, query)) return { kind: "timeout" };
    return { kind: "response", message: reply, transport: truncated ? "tcp" : "udp", milliseconds: 10 };
  }

  #reply(server: ServerAddress, query: Query, transport: "UDP" | "TCP"): Message | "none" | string {
    const phase = this.#phases.findLast((candidate) => candidate.fromStep <= this.step);
    for (const { addresses, entries } of phase?.servers ?? []) {
      if (addresses !== null && !addresses.includes(server.address)) continue;
      const entry = entries.find((candidate) => matches(candidate, query, transport));
      if (entry === undefined) continue;
      if (entry.noAnswer === true || entry.response === undefined) return "none";
      const message = decodeMessage(Buffer.from(entry.response, "base64"));
      if (isMalformed(message)) return message.reason;
      const asked = { name: query.name, type: query.type, class: 1 };
      return entry.adjust.includes("copy_query") ? { ...message, questions: [asked] } : message;
    }
    return "none";
  }
}

function matches(entry: IterativeEntry, query: Query, transport: "UDP" | "TCP"): boolean {
  const pattern = entry.qname === null ? undefined : name(entry.qname);
  return entry.match.every((item) => {
    switch (item) {
      case "opcode":
        return true;
      case "qtype":
        return entry.qtype === typeName(query.type);
      case "qname":
        return pattern === query.name;
      case "subdomain":
        return pattern !== undefined && isWithin(query.name, pattern);
      case "UDP":
      case "TCP":
        return item === transport;
      default:
        throw new Error(`fixture matches on ${item}, which this player does not know`);
    }
  });
}
