import type { DatabaseSync, SQLInputValue } from "node:sqlite";

/**
 * Copies what can be read of a damaged queue. A damaged page takes the rows on it; those before and behind it are found by asking for each
 * sequence number in turn. A message whose content cannot be read is copied all the same: it is never sent, and its sender is told so when
 * its lifetime ends. A message without readable recipients is lost, and named.
 */
export type DamagedMessages = {
  /** Queue ids of messages whose content is lost: they are kept, but will fail. */
  contentLost: readonly string[];
  /** Queue ids, or sequence numbers where not even these could be read, of messages that are lost. */
  lost: readonly string[];
};

/** Sequence numbers that are tried behind the last one that is known, when it cannot be told where the table ends. */
const BEYOND_LAST_KNOWN = 10_000;

type Row = Record<string, SQLInputValue>;

/** The value of `read`, or undefined when what it reads is damaged. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    // SQLITE_CORRUPT, and whatever else a damaged page leads to: it is what this is for.
    if (error instanceof Error) return undefined;
    throw error;
  }
}

function columnsOf(database: DatabaseSync, table: string): string[] {
  return database
    .prepare(`SELECT name FROM pragma_table_info('${table}')`)
    .all()
    .map(({ name }) => String(name));
}

class Salvage {
  readonly #source: DatabaseSync;
  readonly #target: DatabaseSync;
  readonly #contentLost: string[] = [];
  readonly #lost: string[] = [];
  #messages = 0;

  constructor(source: DatabaseSync, target: DatabaseSync) {
    this.#source = source;
    this.#target = target;
  }

  run(): { messages: number } & DamagedMessages {
    this.#target.exec("BEGIN IMMEDIATE");
    const insert = { message: this.#inserter("message"), work: this.#inserter("work"), attempt: this.#inserter("attempt") };
    const works = this.#source.prepare(`SELECT ${insert.work.columns} FROM work WHERE message = ?`);
    const attempts = this.#source.prepare(`SELECT ${insert.attempt.columns} FROM attempt WHERE message = ?`);
    for (const row of this.#messageRows(insert.message.columns)) {
      const seq = Number(row.seq);
      const recipients = attempt(() => works.all(seq) as Row[]) ?? [];
      if (recipients.length === 0) {
        this.#lost.push(String(row.id));
        continue;
      }
      insert.message.run(row);
      for (const work of recipients) insert.work.run(work);
      for (const past of attempt(() => attempts.all(seq) as Row[]) ?? []) insert.attempt.run(past);
      this.#messages += 1;
    }
    this.#nameTheLost();
    this.#count();
    this.#target.exec("COMMIT");
    return { messages: this.#messages, contentLost: this.#contentLost, lost: this.#lost };
  }

  /** Columns that both databases have: an earlier release's lacks some. */
  #inserter(table: string): { columns: string; run: (row: Row) => void } {
    const known = new Set(columnsOf(this.#target, table));
    const shared = columnsOf(this.#source, table).filter((column) => known.has(column));
    const columns = shared.join(", ");
    const statement = this.#target.prepare(`INSERT INTO ${table} (${columns}) VALUES (${shared.map(() => "?").join(", ")})`);
    return { columns, run: (row) => void statement.run(...shared.map((column) => row[column] ?? null)) };
  }

  *#messageRows(columns: string): Generator<Row> {
    const whole = this.#source.prepare(`SELECT ${columns} FROM message WHERE seq = ?`);
    const withoutContent = columns.split(", ").filter((column) => column !== "content");
    const head = this.#source.prepare(`SELECT ${withoutContent.join(", ")} FROM message WHERE seq = ?`);
    for (const seq of this.#sequence()) {
      const row = attempt(() => whole.get(seq) as Row | undefined);
      if (row !== undefined) {
        yield row;
        continue;
      }
      const rest = attempt(() => head.get(seq) as Row | undefined);
      if (rest === undefined) continue;
      this.#contentLost.push(String(rest.id));
      // Not of the size that is recorded: whoever reads it finds it damaged.
      yield { ...rest, content: new Uint8Array() };
    }
  }

  /** The sequence numbers that may have a message: those that a walk finds, and each one of a gap that cannot be walked over. */
  *#sequence(): Generator<number> {
    const following = this.#source.prepare("SELECT seq FROM message WHERE seq > ? ORDER BY seq LIMIT 1");
    const last = this.#lastSequence();
    let found = 0;
    let at = 0;
    for (;;) {
      const next = attempt(() => following.get(at) ?? "end");
      if (next === "end") return;
      at = next === undefined ? at + 1 : Number(next.seq);
      if (next !== undefined) found = at;
      else if (at > (last ?? found + BEYOND_LAST_KNOWN)) return;
      yield at;
    }
  }

  #lastSequence(): number | undefined {
    // Each message has work, so either knows the last one.
    const known = ["SELECT max(seq) AS n FROM message", "SELECT max(message) AS n FROM work"].flatMap((sql) => {
      const last = attempt(() => this.#source.prepare(sql).get()?.n);
      return typeof last === "number" ? [last] : [];
    });
    return known.length > 0 ? Math.max(...known) : undefined;
  }

  /** By what the index of ids still says. */
  #nameTheLost(): void {
    const there = this.#target.prepare("SELECT 1 FROM message WHERE id = ?");
    const named = new Set(this.#lost);
    const ids = attempt(() => this.#source.prepare("SELECT id FROM message INDEXED BY message_id ORDER BY id").all()) ?? [];
    for (const { id } of ids) {
      const text = String(id);
      if (!named.has(text) && there.get(text) === undefined) this.#lost.push(text);
    }
  }

  #count(): void {
    this.#target.exec(`
      UPDATE tally SET
        held = (SELECT count(DISTINCT message) FROM work WHERE held <> 0),
        deferred = (SELECT count(DISTINCT message) FROM attempt WHERE message NOT IN (SELECT message FROM work WHERE held <> 0));
      UPDATE tally SET incoming = (SELECT count(*) FROM message) - held - deferred;
    `);
  }
}

/** `target` is a fresh database of the same schema, or a later one. */
export function salvage(source: DatabaseSync, target: DatabaseSync): { messages: number } & DamagedMessages {
  return new Salvage(source, target).run();
}
