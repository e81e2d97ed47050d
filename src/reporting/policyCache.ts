import { renameSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { LRUCache } from "lru-cache";
import { isName, parseName } from "../dns/name.ts";
import { parsePolicy, policyLines } from "../mtasts/policy.ts";
import { type CachedPolicy, isInForce, isRefreshDue } from "../mtasts/policyCaching.ts";

/**
 * The MTA-STS policies that were fetched, in memory, with a copy in an SQLite file that a restart reads: a cached policy is what keeps an
 * attacker from downgrading (RFC 8461 §10.2). A copy that cannot be written is told, and the policy holds as long as the process lives.
 */
export type PolicyCacheOptions = {
  /** Created where there is none. */
  file: string;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** The copy cannot be written, or could not be read and was put aside. */
  onTrouble: (error: Error) => void;
  maxPolicies?: number;
};

type Entry = { cached: CachedPolicy; usedAt: number };

const DEFAULT_MAX_POLICIES = 50_000;
/** Characters of names and patterns of all policies. */
const MAX_CHARACTERS = 32 * 1024 * 1024;
const SCHEMA_VERSION = 1;
/** "dsts" as a number: tells our files from other SQLite files. */
const APPLICATION_ID = 0x64737473;
const DAY = 86_400_000;
/** When a policy was last used is written once a day. */
const USE_RESOLUTION = DAY;
/** Policies that no delivery used for so long are not refreshed. */
const UNUSED_AFTER = 30 * DAY;
/** Expired policies are kept for so long: a clock that was wrong for a while must not cost them. */
const KEEP_EXPIRED = 7 * DAY;

const TABLE = `
  CREATE TABLE policy (
    domain TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    text TEXT NOT NULL,
    fetched_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
`;

export class PolicyCache {
  readonly #options: PolicyCacheOptions;
  readonly #entries: LRUCache<string, Entry>;
  readonly #database: DatabaseSync;
  readonly #write: StatementSync;
  readonly #remove: StatementSync;

  /** Throws only when not even an empty file can be made. */
  constructor(options: PolicyCacheOptions) {
    this.#options = options;
    this.#database = openDatabase(options);
    this.#write = this.#database.prepare("INSERT OR REPLACE INTO policy VALUES (?, ?, ?, ?, ?)");
    this.#remove = this.#database.prepare("DELETE FROM policy WHERE domain = ?");
    this.#entries = new LRUCache<string, Entry>({
      max: options.maxPolicies ?? DEFAULT_MAX_POLICIES,
      maxSize: MAX_CHARACTERS,
      sizeCalculation: ({ cached }) => cached.domain.length + policyLines(cached.policy).join("\n").length,
      dispose: (_entry, domain, reason) => {
        if (reason === "evict") this.#persist(() => this.#remove.run(domain));
      },
    });
    this.#load();
  }

  /** The policy that was fetched last, expired or not; counts as a use of it. */
  get(domain: string): CachedPolicy | undefined {
    const entry = this.#entries.get(domain);
    if (entry === undefined) return undefined;
    const now = this.#options.now();
    if (Math.abs(now - entry.usedAt) >= USE_RESOLUTION) this.#store({ ...entry, usedAt: now });
    return entry.cached;
  }

  /** The same, without being a use. */
  peek(domain: string): CachedPolicy | undefined {
    return this.#entries.peek(domain)?.cached;
  }

  put(cached: CachedPolicy): void {
    const usedAt = this.#entries.peek(cached.domain)?.usedAt ?? this.#options.now();
    this.#store({ cached, usedAt });
  }

  /** What is in force, used, and to be fetched again (RFC 8461 §10.2); the one that was fetched first is the first. */
  refreshable(limit: number): readonly CachedPolicy[] {
    const now = this.#options.now();
    return [...this.#entries.values()]
      .filter(({ cached, usedAt }) => isInForce(cached, now) && isRefreshDue(cached, now) && now - usedAt < UNUSED_AFTER)
      .map(({ cached }) => cached)
      .sort((a, b) => a.fetchedAt - b.fetchedAt)
      .slice(0, limit);
  }

  /** Forgets what expired long ago. */
  sweep(): void {
    const then = this.#options.now() - KEEP_EXPIRED;
    const gone = [...this.#entries.values()].filter(({ cached }) => !isInForce(cached, then));
    for (const { cached } of gone) {
      this.#entries.delete(cached.domain);
      this.#persist(() => this.#remove.run(cached.domain));
    }
  }

  get size(): number {
    return this.#entries.size;
  }

  close(): void {
    this.#database.close();
  }

  #store(entry: Entry): void {
    const { domain, id, policy, fetchedAt } = entry.cached;
    this.#entries.set(domain, entry);
    this.#persist(() => this.#write.run(domain, id, policyLines(policy).join("\n"), fetchedAt, entry.usedAt));
  }

  #persist(write: () => void): void {
    try {
      write();
    } catch (error) {
      // A full or broken disk: memory has it, mail goes on, the operator hears of it.
      this.#options.onTrouble(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #load(): void {
    // The least recently used first, so that it is the first to go.
    for (const row of this.#database.prepare("SELECT * FROM policy ORDER BY used_at").all()) {
      const entry = entryOf(row);
      if (entry !== undefined) this.#entries.set(entry.cached.domain, entry);
    }
  }
}

/** A row as an entry; undefined for what this release would not have written: it is fetched anew. */
function entryOf(row: Record<string, unknown>): Entry | undefined {
  const { domain, id, text, fetched_at: fetchedAt, used_at: usedAt } = row;
  if (typeof domain !== "string" || typeof id !== "string" || typeof text !== "string") return undefined;
  if (typeof fetchedAt !== "number" || typeof usedAt !== "number") return undefined;
  const name = parseName(domain);
  const parsed = parsePolicy(Buffer.from(text));
  if (!isName(name) || parsed.kind === "invalid") return undefined;
  return { cached: { domain: name, id, policy: parsed.policy, fetchedAt }, usedAt };
}

/** SQLite's result codes for a file that is no database, or a broken one. */
const UNREADABLE: ReadonlySet<unknown> = new Set([11, 26]);

/** What cannot be read or written protects nobody, and must not keep mail from its way: told, and gone on without. */
function openDatabase({ file, now, onTrouble }: PolicyCacheOptions): DatabaseSync {
  try {
    return prepared(new DatabaseSync(file));
  } catch (error) {
    const code = error instanceof Error && "errcode" in error ? error.errcode : undefined;
    const text = error instanceof Error ? error.message : String(error);
    if (code !== undefined && !UNREADABLE.has(code)) {
      onTrouble(new Error(`the MTA-STS policies in ${file} cannot be used (${text}): policies end with this process`));
      return prepared(new DatabaseSync(":memory:"));
    }
    const aside = `${file}.unreadable-${now()}`;
    renameSync(file, aside);
    onTrouble(new Error(`the MTA-STS policies in ${file} cannot be read (${text}); moved to ${aside}, all are fetched anew`));
    return prepared(new DatabaseSync(file));
  }
}

function prepared(database: DatabaseSync): DatabaseSync {
  try {
    // The spool's lock is held by the same process; this one keeps others from writing here by mistake.
    database.exec(
      "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 4194304",
    );
    const version = Number(Object.values(database.prepare("PRAGMA user_version").get() ?? {})[0]);
    if (version > SCHEMA_VERSION) throw new Error(`written by a newer release (schema ${version})`);
    if (version === 0)
      database.exec(`BEGIN; ${TABLE} PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
    const check = Object.values(database.prepare("PRAGMA quick_check(1)").get() ?? {})[0];
    if (check !== "ok") throw new Error(String(check));
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}
