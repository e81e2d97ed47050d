import type { Clock, Random } from "../../src/clock.ts";
import { decodeMessage, isMalformed, type Message } from "../../src/dns/message.ts";
import { isWithin, name } from "../../src/dns/name.ts";
import { typeName } from "../../src/dns/rdataText.ts";
import { type ConfiguredZone, createRecursor } from "../../src/resolver/recursor.ts";
import type { Source } from "../../src/resolver/source.ts";
import { answersQuery } from "../../src/resolver/transaction.ts";
import type { ExchangeResult, Query, ServerAddress, Transport } from "../../src/resolver/transport.ts";
import { type Fixture, phaseOf, type ServerEntry } from "./fixture.ts";

/** The recursor with the servers of an iterative fixture; `seed` makes its choices repeatable. */
export function iterativeStage(
  fixture: Fixture,
  clock: Clock,
  seed = 1,
): { source: Source; seek: (step: number) => void; unanswered: () => boolean; asked: () => readonly string[] } {
  const transport = new IterativeTransport(fixture);
  const { stubZones, forwardZones } = fixture;
  const source = createRecursor({
    transport,
    clock,
    random: seededRandom(seed),
    rootHints: (fixture.rootHints ?? []).map((hint) => ({ name: name(hint.name), addresses: [hint.address] })),
    qnameMinimisation: fixture.options.qnameMinimisation === true,
    ipv6: fixture.options.ipv6 !== false,
    verifySiblingGlue: fixture.options.hardenUnverifiedGlue === true,
    stubZones: (stubZones ?? []).map(configuredZone),
    forwardZones: (forwardZones ?? []).map(configuredZone),
  });
  return {
    source,
    seek: (step) => transport.seek(step),
    unanswered: () => transport.unanswered,
    asked: () => transport.asked,
  };
}

function configuredZone(entry: { zone: string; addresses: readonly string[] }): ConfiguredZone {
  const [first, ...more] = entry.addresses.map((address) => ({ address, port: 53 }));
  if (first === undefined) throw new Error(`no address for ${entry.zone}`);
  return { zone: name(entry.zone), servers: [first, ...more] };
}

/** A linear congruential generator (Numerical Recipes): repeatable, and good enough to vary the order of servers. */
export function seededRandom(seed: number): Random {
  let state = Math.imul(seed, 2_654_435_761) >>> 0;
  return {
    below: (exclusiveMaximum) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * exclusiveMaximum);
    },
  };
}

/** The canned servers of a fixture. What matches nothing is a time-out, at once. */
class IterativeTransport implements Transport {
  readonly #fixture: Fixture;
  #step = 0;
  /** Whether a question of this step had no answer. */
  unanswered = false;
  /** What was asked in this step: `address qname qtype`. */
  asked: string[] = [];

  constructor(fixture: Fixture) {
    this.#fixture = fixture;
  }

  seek(step: number): void {
    this.#step = step;
    this.unanswered = false;
    this.asked = [];
  }

  exchange(server: ServerAddress, query: Query): Promise<ExchangeResult> {
    this.asked.push(`${server.address} ${query.name} ${typeName(query.type)}${query.recursionDesired ? " RD" : ""}`);
    const result = this.#answer(server, query);
    if (result.kind !== "response") this.unanswered = true;
    return Promise.resolve(result);
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
    for (const { addresses, entries } of phaseOf(this.#fixture, this.#step).servers ?? []) {
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

function matches(entry: ServerEntry, query: Query, transport: "UDP" | "TCP"): boolean {
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
