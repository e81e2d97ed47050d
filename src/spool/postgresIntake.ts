import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../clock.ts";
import type { DatabaseTime } from "./databaseTime.ts";
import type { MessageId, NewMessage } from "./message.ts";
import { writeWhole } from "./messageWriter.ts";
import type { PostgresBodies } from "./postgresBody.ts";
import { isAmbiguous, isUniqueViolation, type PostgresConnection } from "./postgresConnection.ts";
import { STORE, storeValues } from "./postgresRows.ts";
import { messageRow } from "./queueRows.ts";
import type { SenderTurns } from "./senderTurns.ts";
import type { MessageRow } from "./storeOperation.ts";

/** How long a client waits for its 250 while it is not known whether its message was committed; then it is told to come again. */
const UNSURE_MILLISECONDS = 20_000;
const RETRY_MILLISECONDS = 500;

export type IntakeParts = {
  connection: PostgresConnection;
  bodies: PostgresBodies;
  inlineBytes: number;
  turns: SenderTurns;
  newName: () => MessageId;
  clock: Clock;
  time: DatabaseTime;
};

/** New messages into the database. */
export class PostgresIntake {
  readonly #parts: IntakeParts;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  /** The row of a message whose content is at hand; where that is large, it is in the database by then. */
  async rowOf({ envelope, recipients }: NewMessage, content: Buffer): Promise<MessageRow> {
    const { bodies, newName, inlineBytes, turns } = this.#parts;
    const stored = await writeWhole(bodies, newName(), content, inlineBytes);
    return messageRow({ ...envelope, size: stored.size }, recipients, stored, turns);
  }

  /** The row will not be stored: what is there of its content goes, unless it was stored all the same. */
  async discard({ file }: MessageRow): Promise<void> {
    if (file !== undefined) await this.#parts.bodies.discard(file);
  }

  /**
   * Durable when it resolves. A connection that breaks in the middle leaves it open whether the message was committed: then the same is said
   * again, and the id, which is unique, tells.
   */
  async store(message: MessageRow, abort: AbortSignal): Promise<void> {
    const { connection, clock, time } = this.#parts;
    const values = storeValues(message, time.ahead);
    const deadline = clock.monotonic() + UNSURE_MILLISECONDS;
    let certainty: "certain" | "unsure" = "certain";
    for (;;) {
      try {
        await connection.ask(STORE, values);
        return;
      } catch (error) {
        if (certainty === "unsure" && isUniqueViolation(error)) return;
        if (isAmbiguous(error)) certainty = "unsure";
        const failure = connection.failure(error);
        const over = failure.kind !== "io" || abort.aborted || clock.monotonic() > deadline;
        if (certainty === "certain" || over) throw failure;
      }
      await delay(RETRY_MILLISECONDS);
    }
  }
}
