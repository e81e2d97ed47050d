import { CLASS_IN, type Message, type Question, RR_TYPE } from "../dns/message.ts";
import { displayName } from "../dns/name.ts";
import type { AuthoritativeResponse } from "./authoritativeResponse.ts";
import type { Delegation, DelegationCache } from "./delegation.ts";
import type { AddressPolicy } from "./nameserverAddress.ts";
import type { Undertaking } from "./nameserverAddresses.ts";
import type { RecursorLimits } from "./recursorLimits.ts";
import { nsRecords, type Referral, readReferral, targetsOf } from "./referral.ts";
import type { ServerQueries, ServerReply } from "./serverQuery.ts";
import { type ServerSelection, serverKey } from "./serverSelection.ts";
import type { ServerAddress } from "./transport.ts";

/** What the servers of one zone together say to one question. */
export type ZoneAnswer =
  | { kind: "answer"; message: Message; from: string }
  | { kind: "referral"; referral: Referral; from: string }
  /** `silent`: not one of the servers said anything. */
  | { kind: "failed"; reason: string; silent: boolean };

export type ZoneQueryOptions = {
  queries: ServerQueries;
  selection: ServerSelection;
  delegations: DelegationCache;
  addresses: AddressPolicy;
  limits: RecursorLimits;
};

export type ZoneQuestion = {
  question: Question;
  delegation: Delegation;
  /** In the order to ask them; none are looked up for it once `isContent`. */
  servers: (isContent: () => boolean) => AsyncGenerator<ServerAddress, void, undefined>;
  /** Servers that are left out (`AskOptions.avoid`). */
  avoid: ReadonlySet<string>;
  undertaking: Undertaking;
};

type Answered = { kind: "answer"; message: Message; from: string };

/**
 * One question to one zone: its servers are asked in turn until one gives an authoritative answer or a referral. What is found on the way:
 * a second-rate answer (no AA, or no EDNS) stands if a few more servers know nothing better; servers that answered as caches are asked
 * again as caches when nobody is authoritative; servers that were silent get one longer try.
 */
export class ZoneQuery {
  readonly #options: ZoneQueryOptions;
  readonly #asked: ZoneQuestion;
  readonly #reasons: string[] = [];
  readonly #silent: ServerAddress[] = [];
  readonly #recursive: ServerAddress[] = [];
  #secondRate: Answered | undefined;
  #tries = 0;
  #replies = 0;
  #opinions = 0;

  constructor(asked: ZoneQuestion, options: ZoneQueryOptions) {
    this.#asked = asked;
    this.#options = options;
  }

  async answer(): Promise<ZoneAnswer> {
    const { servers, delegation } = this.#asked;
    const recursionDesired = delegation.kind === "configured" && delegation.recursionDesired;
    for await (const server of servers(() => this.#secondRate !== undefined)) {
      if (this.#asked.avoid.has(serverKey(server))) {
        this.#note(server, "its answer is not trusted");
        continue;
      }
      // A second opinion is not worth waiting for a server that does not answer.
      if (this.#secondRate !== undefined && this.#options.selection.isTroubled(server, delegation.zone)) continue;
      const found = await this.#try(server, recursionDesired);
      if (found !== undefined) return found;
      if (this.#isEnough()) break;
    }
    if (this.#secondRate !== undefined) return this.#secondRate;
    return (await this.#lastResorts(recursionDesired)) ?? this.#failed();
  }

  async #lastResorts(recursionDesired: boolean): Promise<ZoneAnswer | undefined> {
    const found = await this.#tryAll(this.#recursive.splice(0), true);
    if (found !== undefined) return found;
    const again = this.#silent.splice(0, this.#options.limits.repeatedTries);
    return (await this.#tryAll(again, recursionDesired)) ?? this.#secondRate;
  }

  async #tryAll(servers: readonly ServerAddress[], recursionDesired: boolean): Promise<ZoneAnswer | undefined> {
    for (const server of servers) {
      if (this.#asked.undertaking.budget.exhausted !== undefined) return undefined;
      const found = await this.#try(server, recursionDesired);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #isEnough(): boolean {
    if (this.#asked.undertaking.budget.exhausted !== undefined) return true;
    if (this.#tries >= this.#options.limits.serversPerZone) return true;
    return this.#secondRate !== undefined && this.#opinions >= this.#options.limits.secondOpinions;
  }

  /** Asks one server; what is final is returned, the rest is kept. */
  async #try(server: ServerAddress, recursionDesired: boolean): Promise<ZoneAnswer | undefined> {
    const { question, delegation, undertaking } = this.#asked;
    this.#tries += 1;
    if (this.#secondRate !== undefined) this.#opinions += 1;
    const reply = await this.#options.queries.ask(
      server,
      { question, zone: delegation.zone, recursionDesired },
      undertaking.budget,
    );
    if (reply.kind === "silent") {
      this.#silent.push(server);
      this.#note(server, reply.reason);
      return undefined;
    }
    this.#replies += 1;
    return this.#weigh(server, reply, reply.response);
  }

  #weigh(
    server: ServerAddress,
    reply: ServerReply & { kind: "response" },
    response: Exclude<AuthoritativeResponse, { kind: "ednsRefused" }>,
  ): ZoneAnswer | undefined {
    const from = serverKey(server);
    const { zone } = this.#asked.delegation;
    switch (response.kind) {
      case "referral":
        return { kind: "referral", referral: readReferral(reply.message, response.zone, zone, this.#options), from };
      case "answer": {
        const answered: Answered = { kind: "answer", message: response.message, from };
        if (response.authoritative) this.#learnChildSide(reply.message);
        if (response.authoritative && reply.edns) return answered;
        this.#secondRate ??= answered;
        return this.#note(server, "its answer is second rate");
      }
      case "recursive":
        this.#recursive.push(server);
        return this.#note(server, "it is a cache, not an authoritative server");
      case "lame":
      case "failure":
        return this.#note(server, response.reason);
      default:
        return response satisfies never;
    }
  }

  #learnChildSide(message: Message): void {
    const { zone } = this.#asked.delegation;
    const inAnswer = message.answer.filter((record) => record.type === RR_TYPE.NS && record.class === CLASS_IN);
    const ns = [...inAnswer, ...nsRecords(message)].filter((record) => record.name === zone);
    this.#options.delegations.learnChildSide(zone, targetsOf(ns).slice(0, this.#options.limits.nameserversPerZone));
  }

  #note(server: ServerAddress, reason: string): undefined {
    this.#reasons.push(`${server.address}: ${reason}`);
  }

  #failed(): ZoneAnswer {
    const { delegation, undertaking } = this.#asked;
    const { exhausted } = undertaking.budget;
    const all = exhausted === undefined ? this.#reasons : [...this.#reasons, exhausted];
    const zone = displayName(delegation.zone);
    const reason = all.length === 0 ? "no address of a server is known" : all.join("; ");
    return { kind: "failed", reason: `no server of ${zone} answered: ${reason}`, silent: this.#replies === 0 };
  }
}
