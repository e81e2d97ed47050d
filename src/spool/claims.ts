import type { FreshMessages } from "./freshMessages.ts";
import type { QueueTables, WorkRow } from "./queueTables.ts";
import type { CountedEntry } from "./queueTally.ts";
import type { Answer, ClaimedWork, Question, WorkKey } from "./storeOperation.ts";

/**
 * Which works are claimed, and the choice of what is claimed next. Claims are memory only: when the process dies, everything is due again.
 *
 * A claim reads the works of each picked destination in order of due time, and takes from the destination whose next work has waited
 * longest, until the limit is reached: what comes out is the oldest due work of all picked destinations, without reading the rest.
 */

/** Rows read at a time of one destination, so that a long queue is not read for one work. */
const MIN_CHUNK = 4;

function keyText(key: WorkKey): string {
  return `${key.message}/${key.destination}`;
}

/** One destination's works in order of due time, read chunk by chunk; `head` is the next one. */
class Cursor {
  readonly destination: string;
  room: number;
  head: WorkRow | undefined;
  #rows: readonly WorkRow[] = [];
  #at = 0;
  readonly #read: (after: WorkRow | undefined) => readonly WorkRow[];

  constructor(destination: string, room: number, read: (after: WorkRow | undefined) => readonly WorkRow[]) {
    this.destination = destination;
    this.room = room;
    this.#read = read;
  }

  /** Moves `head` to the next work that is not claimed; undefined at the end of the queue. */
  advance(isClaimed: (row: WorkRow) => boolean): void {
    do {
      if (this.#at === this.#rows.length) {
        this.#rows = this.#read(this.#rows.at(-1));
        this.#at = 0;
      }
      this.head = this.#rows[this.#at];
      this.#at += 1;
    } while (this.head !== undefined && isClaimed(this.head));
  }
}

export class Claims {
  readonly #tables: QueueTables;
  readonly #fresh: FreshMessages;
  /** With the entry as it was claimed; without, where it could not be read. */
  readonly #works = new Map<string, CountedEntry | undefined>();
  /** Per message how many of its works are claimed, and whether it had been tried before. */
  readonly #messages = new Map<number, { works: number; tried: boolean }>();

  constructor(tables: QueueTables, fresh: FreshMessages) {
    this.#tables = tables;
    this.#fresh = fresh;
  }

  end(key: WorkKey): void {
    if (!this.#works.delete(keyText(key))) return;
    const message = this.#messages.get(key.message);
    if (message === undefined) return;
    message.works -= 1;
    if (message.works === 0) this.#messages.delete(key.message);
  }

  has(key: WorkKey): boolean {
    return this.#works.has(keyText(key));
  }

  /** A claimed work as it was claimed, and so is until it is settled. */
  entry(key: WorkKey): CountedEntry | undefined {
    return this.#works.get(keyText(key));
  }

  /** Messages with a claimed work. */
  messages(): readonly number[] {
    return [...this.#messages.keys()];
  }

  /** How many they are, by what the tally counts them as. */
  active(isHeld: (message: number) => boolean): { incoming: number; deferred: number; held: number } {
    const active = { incoming: 0, deferred: 0, held: 0 };
    for (const [message, { tried }] of this.#messages) active[isHeld(message) ? "held" : tried ? "deferred" : "incoming"] += 1;
    return active;
  }

  claim(request: Question & { kind: "claim" }): Answer & { kind: "claimed" } {
    const { now, limit, picks } = request;
    const chunk = Math.max(MIN_CHUNK, Math.ceil(limit / Math.max(1, picks.length)) + 1);
    const isClaimed = (row: WorkRow): boolean => this.#works.has(keyText(row.key));
    const cursors = picks.map(
      ({ destination, room }) => new Cursor(destination, room, (after) => this.#tables.dueWorks(destination, after, chunk)),
    );
    for (const cursor of cursors) cursor.advance(isClaimed);
    const works: ClaimedWork[] = [];
    let unreadable: unknown;
    while (works.length < limit) {
      const oldest = oldestDue(cursors, now);
      if (oldest?.head === undefined) break;
      this.#works.set(keyText(oldest.head.key), undefined);
      try {
        works.push(this.#take(oldest.head));
        oldest.room -= 1;
      } catch (error) {
        // The work stays marked as claimed until the next start, so that one damaged row does not stop all mail behind it.
        unreadable = error;
      }
      oldest.advance(isClaimed);
    }
    if (works.length === 0 && unreadable !== undefined) throw unreadable;
    const next = cursors.map(({ destination, head }) => ({ destination, ...(head === undefined ? {} : { due: head.due }) }));
    return { kind: "claimed", works, next };
  }

  #take({ key, due }: WorkRow): ClaimedWork {
    const recipients = this.#tables.recipients(key);
    const message = this.#fresh.take(key.message) ?? this.#tables.message(key.message);
    const { id, acceptedAt } = message.envelope;
    this.#works.set(keyText(key), { id, acceptedAt, destination: key.destination, recipients });
    const active = this.#messages.get(key.message);
    if (active === undefined) this.#messages.set(key.message, { works: 1, tried: this.#tables.tried(key.message) });
    else active.works += 1;
    return { key, due, recipients, ...message };
  }
}

function oldestDue(cursors: readonly Cursor[], now: number): Cursor | undefined {
  let oldest: { cursor: Cursor; due: number } | undefined;
  for (const cursor of cursors) {
    const due = cursor.room > 0 ? cursor.head?.due : undefined;
    if (due !== undefined && due <= now && (oldest === undefined || due < oldest.due)) oldest = { cursor, due };
  }
  return oldest?.cursor;
}
