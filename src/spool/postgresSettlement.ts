import type { Clock } from "../clock.ts";
import type { DatabaseTime } from "./databaseTime.ts";
import type { NewMessage, Settled } from "./message.ts";
import { Persistence } from "./persistence.ts";
import type { PostgresConnection } from "./postgresConnection.ts";
import type { PostgresIntake } from "./postgresIntake.ts";
import type { OwnedKey } from "./postgresLease.ts";
import { attemptsJson, STORE, storeValues, waitingJson } from "./postgresRows.ts";
import { settlement } from "./queueRows.ts";
import type { StoreError } from "./store.ts";
import type { ClaimedWork, MessageRow, WaitingRecipient } from "./storeOperation.ts";

/** The record of what became of claimed works, which outlives connections, failovers and lost leases. */
export type Claimed = ClaimedWork & { key: OwnedKey };
type Generated = readonly { message: NewMessage; content: Buffer }[];

export type SettlementParts = {
  connection: PostgresConnection;
  intake: PostgresIntake;
  clock: Clock;
  time: DatabaseTime;
  closing: AbortSignal;
  onTrouble: (error: StoreError) => void;
};

const RETRY_MILLISECONDS = 500;

export class PostgresSettlement {
  readonly #parts: SettlementParts;
  readonly #persistence: Persistence;

  constructor(parts: SettlementParts) {
    this.#parts = parts;
    const { connection, closing, onTrouble } = parts;
    this.#persistence = new Persistence({
      failureOf: (error) => connection.failure(error),
      isOver: () => closing.aborted,
      pauseMilliseconds: RETRY_MILLISECONDS,
      onTrouble,
    });
  }

  /**
   * Resolves with what waits on, and the messages that were stored, when it is recorded. After a lost lease only what was delivered is: the
   * rest is for the one who has the work now. That is also what makes it safe to say the same again when a connection broke in the middle: a
   * record that was committed has ended the lease.
   */
  async record(
    claimed: Claimed,
    settled: readonly Settled[],
    generated: Generated,
  ): Promise<{ waiting: readonly WaitingRecipient[]; stored: readonly MessageRow[] }> {
    const { waiting, attempts } = settlement(claimed, settled, this.#parts.clock.now());
    const { message, destination, owner } = claimed.key;
    const due = waiting.reduce<number | null>((least, one) => Math.min(least ?? one.due, one.due), null);
    const { ahead } = this.#parts.time;
    const history = attemptsJson(attempts, claimed.recipients, ahead);
    const waits = due === null ? [null, null] : [due + ahead, waitingJson(waiting, ahead)];
    const values = [owner, message, destination, ...waits, history];
    const delivered = settled.filter(({ outcome }) => outcome.kind === "delivered").map(({ index }) => index);
    return this.#persistence.record(async () => {
      const messages: MessageRow[] = [];
      let outcome: "recorded" | "lost" | "failed" = "failed";
      try {
        for (const one of generated) messages.push(await this.#parts.intake.rowOf(one.message, one.content));
        outcome = await this.#settle(values, messages);
      } finally {
        if (outcome !== "recorded") for (const one of messages) await this.#parts.intake.discard(one);
      }
      if (outcome === "recorded") return { waiting, stored: messages };
      if (delivered.length > 0)
        await this.#parts.connection.ask("SELECT delivered_late($1, $2, $3, $4)", [message, destination, delivered, history]);
      return { waiting: [], stored: [] };
    });
  }

  async #settle(values: readonly unknown[], generated: readonly MessageRow[]): Promise<"recorded" | "lost"> {
    const { connection } = this.#parts;
    const statement = "SELECT settle($1, $2, $3, $4, $5, $6)";
    if (generated.length === 0) return (await connection.ask(statement, values))[0]?.settle === true ? "recorded" : "lost";
    return connection.transaction(async (ask) => {
      // What is generated comes first, so that it cannot take the place of the message that it is about; the lease before it, for without it
      // nothing is stored.
      const [owner, message, destination] = values;
      await ask("SELECT FROM message WHERE seq = $1 FOR UPDATE", [message]);
      const lease = "SELECT FROM lease WHERE owner = $1 AND message = $2 AND destination = $3 FOR UPDATE";
      if ((await ask(lease, [owner, message, destination])).length === 0) return "lost";
      for (const one of generated) await ask(STORE, storeValues(one, this.#parts.time.ahead));
      if ((await ask(statement, values))[0]?.settle !== true) throw new Error("a lease ended while it was locked");
      return "recorded";
    });
  }
}
