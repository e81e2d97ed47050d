import type { Message, Question } from "../dns/message.ts";
import type { DomainName } from "../dns/name.ts";
import { type AuthoritativeResponse, judgeResponse } from "./authoritativeResponse.ts";
import type { WorkBudget } from "./recursorLimits.ts";
import { type ServerSelection, serverKey } from "./serverSelection.ts";
import { EDNS_UDP_PAYLOAD_SIZE, type ExchangeResult, type Query, type ServerAddress, type Transport } from "./transport.ts";

/** `silent`: no answer, no way there, or nothing readable. `message` is the whole response, for what it says beside the answer. */
export type ServerReply =
  | { kind: "silent"; reason: string }
  | { kind: "response"; response: Exclude<AuthoritativeResponse, { kind: "ednsRefused" }>; message: Message; edns: boolean };

export type ServerQuestion = { question: Question; zone: DomainName; recursionDesired: boolean };

/**
 * Asks single servers: EDNS and its fallback, waiting times, what is remembered of the server, and one query on the wire for equal
 * questions at the same time (so that no flood of guesses can ride on repeated queries, RFC 5452 §5).
 */
export class ServerQueries {
  readonly #transport: Transport;
  readonly #selection: ServerSelection;
  readonly #underway = new Map<string, Promise<ExchangeResult>>();

  constructor(transport: Transport, selection: ServerSelection) {
    this.#transport = transport;
    this.#selection = selection;
  }

  async ask(server: ServerAddress, asked: ServerQuestion, budget: WorkBudget): Promise<ServerReply> {
    const first = await this.#exchange(server, asked, budget, this.#selection.takesEdns(server));
    if (!("refused" in first)) return first;
    this.#selection.refusedEdns(server);
    // RFC 6891 §6.2.2, §7: once more without OPT. No signatures come that way; the caller ranks such answers last.
    const second = await this.#exchange(server, asked, budget, false);
    return "refused" in second ? { kind: "silent", reason: "it refuses queries without EDNS as those with it" } : second;
  }

  async #exchange(
    server: ServerAddress,
    asked: ServerQuestion,
    budget: WorkBudget,
    edns: boolean,
  ): Promise<ServerReply | { refused: "edns" }> {
    if (budget.exhausted !== undefined) return { kind: "silent", reason: budget.exhausted };
    const result = await this.#send(server, asked, budget, edns);
    if (result.kind !== "response")
      return { kind: "silent", reason: result.kind === "timeout" ? "no answer in time" : `${result.kind} (${result.reason})` };
    const { zone, recursionDesired } = asked;
    const response = judgeResponse(result.message, asked.question, { zone, recursionDesired, edns });
    if (response.kind === "ednsRefused") return { refused: "edns" };
    if (response.kind === "lame") this.#selection.isLame(server, zone);
    return { kind: "response", response, message: result.message, edns: result.message.edns !== undefined };
  }

  #send(server: ServerAddress, asked: ServerQuestion, budget: WorkBudget, edns: boolean): Promise<ExchangeResult> {
    const { question, recursionDesired } = asked;
    const key = `${serverKey(server)} ${server.tls?.name ?? ""} ${question.name} ${question.type} ${recursionDesired} ${edns}`;
    const underway = this.#underway.get(key);
    if (underway !== undefined) return underway;
    budget.spendQuery();
    const query: Query = {
      name: question.name,
      type: question.type,
      recursionDesired,
      checkingDisabled: recursionDesired,
      ...(edns ? { edns: { udpPayloadSize: EDNS_UDP_PAYLOAD_SIZE, dnssecOk: true } } : {}),
    };
    const timeout = Math.min(this.#selection.timeoutMilliseconds(server), budget.millisecondsLeft);
    const exchange = this.#transport.exchange(server, query, timeout).finally(() => this.#underway.delete(key));
    const remembered = exchange.then((result) => this.#remember(server, result));
    this.#underway.set(key, remembered);
    return remembered;
  }

  #remember(server: ServerAddress, result: ExchangeResult): ExchangeResult {
    if (result.kind === "response") this.#selection.answered(server, result.milliseconds);
    else this.#selection.wasSilent(server, result.kind);
    return result;
  }
}
