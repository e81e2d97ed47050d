import { createHash } from "node:crypto";
import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import { presentTlsa, type Tlsa } from "../dane/tlsa.ts";
import type { SeenCertificate } from "../diagnosis/observation.ts";
import type { HostState, TlsaSight } from "../diagnosis/rollover.ts";
import { openHistoryFile } from "./historyTables.ts";

/** One look at one address of a host; `address` is empty where none was reached. Milliseconds since the epoch. */
export type HostSight = {
  host: string;
  address: string;
  at: number;
  /** As the server sent it; undefined: none was seen. */
  chain?: readonly Buffer[];
  tlsa: TlsaSight;
  /** The word of the delivery event, such as `authenticated`. */
  verdict: string;
};

/** Most stretches that are kept; what was last seen the longest ago goes first. Some 300 octets each. */
export const MAX_STATES = 200_000;
/**
 * Servers behind one address show their certificates in turn: what was seen within this time, under the same TLSA records, is a stretch that goes on
 * beside the others. Else each look would be a change, and one such address would soon take the place of everybody's history.
 */
const IN_TURN_MILLISECONDS = 86_400_000;
const MAX_IN_TURN = 32;
/** A server may send any number of certificates; a TLSA RRset may be any size. */
const MAX_CHAIN = 8;
const MAX_RECORDS = 32;
const DAY_MILLISECONDS = 86_400_000;

export type OpenedHistory = { kind: "history"; history: History } | { kind: "missing" } | { kind: "refused"; reason: string };

/** Throws what SQLite throws where the file cannot be used at all. */
export function openHistory(file: string, access: "read" | "write", busyMilliseconds: number): OpenedHistory {
  const opened = openHistoryFile(file, access, busyMilliseconds);
  return opened.kind === "open" ? { kind: "history", history: new History(opened.database) } : opened;
}

/** What was seen of hosts, a row for each change. Its methods throw what SQLite throws. */
export class History {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** All of them or, when it throws, none. */
  record(sights: readonly HostSight[]): void {
    this.#transaction(() => {
      for (const sight of sights) this.#recordOne(sight);
    });
  }

  #recordOne({ host, address, at, chain = [], tlsa, verdict }: HostSight): void {
    const kept = chain.slice(0, MAX_CHAIN);
    const fingerprints = kept.map(fingerprintOf);
    const records = tlsa.records.slice(0, MAX_RECORDS).map(presentTlsa).sort().join("\n");
    const now: Look = { chain: fingerprints.join(" "), tlsa_status: tlsa.status, tlsa: records, verdict };
    const recent = this.#statement(
      `SELECT id, chain, tlsa_status, tlsa, verdict, last_seen FROM state WHERE host = ? AND address = ? ORDER BY last_seen DESC, id DESC LIMIT ${MAX_IN_TURN}`,
    ).all(host, address);
    if (recent[0] !== undefined && at < Number(recent[0].last_seen)) return;
    const same = stretchOf(now, recent, at);
    if (same !== undefined) {
      this.#run("UPDATE state SET last_seen = ?, ttl = max(ttl, ?) WHERE id = ?", at, tlsa.ttlSeconds, same);
      return;
    }
    kept.forEach((der, i) => {
      this.#run("INSERT INTO certificate VALUES (?, ?) ON CONFLICT DO NOTHING", fingerprints[i] ?? "", der);
    });
    this.#run(
      "INSERT INTO state (host, address, first_seen, last_seen, chain, tlsa_status, ttl, tlsa, verdict) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      ...[host, address, at, at, now.chain, now.tlsa_status, tlsa.ttlSeconds, records, verdict],
    );
  }

  /** Every host that was seen, in the order of names, one at a time. */
  *hosts(): Generator<string> {
    const next = this.#database.prepare("SELECT min(host) AS host FROM state WHERE host > ?");
    for (let host = next.get("")?.host; typeof host === "string"; host = next.get(host)?.host) yield host;
  }

  /** The history of each address of a host, oldest first. */
  statesOf(host: string): ReadonlyMap<string, readonly HostState[]> {
    const byAddress = new Map<string, HostState[]>();
    const certificates = new Map<string, Buffer | undefined>();
    const certificate = (fingerprint: string): Buffer | undefined => {
      if (!certificates.has(fingerprint)) certificates.set(fingerprint, this.#certificate(fingerprint));
      return certificates.get(fingerprint);
    };
    const rows = this.#statement(
      "SELECT address, first_seen, last_seen, chain, tlsa_status, ttl, tlsa FROM state WHERE host = ? ORDER BY first_seen, id",
    ).all(host);
    for (const row of rows) {
      const address = String(row.address);
      const states = byAddress.get(address) ?? [];
      states.push(this.#stateOf(row, certificate));
      byAddress.set(address, states);
    }
    return byAddress;
  }

  #stateOf(row: Record<string, SQLOutputValue>, certificate: (fingerprint: string) => Buffer | undefined): HostState {
    const fingerprints = String(row.chain)
      .split(" ")
      .filter((one) => one !== "");
    const chain = fingerprints.flatMap((one) => certificate(one) ?? []);
    return {
      firstSeen: Number(row.first_seen),
      lastSeen: Number(row.last_seen),
      ...(chain.length === 0 ? {} : { chain }),
      tlsa: { status: statusOf(String(row.tlsa_status)), ttlSeconds: Number(row.ttl), records: recordsOf(String(row.tlsa)) },
    };
  }

  #certificate(fingerprint: string): Buffer | undefined {
    const der = this.#row("SELECT der FROM certificate WHERE fingerprint = ?", fingerprint)?.der;
    return der instanceof Uint8Array ? Buffer.from(der) : undefined;
  }

  /** The certificates that were seen at a host, with those that its server sent behind its own. */
  certificatesOf(host: string): readonly SeenCertificate[] {
    const seen = new Map<string, SeenCertificate>();
    for (const states of this.statesOf(host).values())
      for (const { chain = [], firstSeen, lastSeen } of states)
        for (const der of chain) {
          const key = fingerprintOf(der);
          const known = seen.get(key) ?? { der, firstSeen, lastSeen };
          const span = { firstSeen: Math.min(known.firstSeen, firstSeen), lastSeen: Math.max(known.lastSeen, lastSeen) };
          seen.set(key, { der, ...span });
        }
    return [...seen.values()];
  }

  /** Forgets what was last seen more than `days` before `now`, and the oldest beyond the bound. */
  prune(now: number, days: number): void {
    this.#transaction(() => {
      this.#run("DELETE FROM state WHERE last_seen < ?", now - days * DAY_MILLISECONDS);
      const excess = Number(this.#row("SELECT count(*) AS n FROM state")?.n) - MAX_STATES;
      if (excess > 0) this.#run("DELETE FROM state WHERE id IN (SELECT id FROM state ORDER BY last_seen LIMIT ?)", excess);
      const used = new Set<string>();
      for (const { chain } of this.#database.prepare("SELECT DISTINCT chain FROM state").iterate())
        for (const fingerprint of String(chain).split(" ")) used.add(fingerprint);
      for (const { fingerprint } of this.#database.prepare("SELECT fingerprint FROM certificate").all())
        if (!used.has(String(fingerprint))) this.#run("DELETE FROM certificate WHERE fingerprint = ?", String(fingerprint));
    });
  }

  close(): void {
    this.#database.close();
  }

  #row(sql: string, ...parameters: (number | string)[]): Record<string, SQLOutputValue> | undefined {
    return this.#statement(sql).get(...parameters);
  }

  #run(sql: string, ...parameters: (number | string | Buffer)[]): void {
    this.#statement(sql).run(...parameters);
  }

  /** Each is made once: it costs more than it does. */
  #statement(sql: string): StatementSync {
    const made = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, made);
    return made;
  }

  #transaction(work: () => void): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#database.exec("COMMIT");
    } catch (error) {
      // After some errors (SQLITE_FULL, SQLITE_IOERR) SQLite has rolled back by itself.
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }
}

/** What tells one stretch from another, in the words of the table. */
type Look = { chain: string; tlsa_status: string; tlsa: string; verdict: string };

/** The stretch that goes on with this look, of the last ones, newest first: the last one, or one in turn with it under the same records. */
function stretchOf(now: Look, recent: readonly Record<string, SQLOutputValue>[], at: number): number | undefined {
  for (const [i, row] of recent.entries()) {
    if (i > 0 && Number(row.last_seen) < at - IN_TURN_MILLISECONDS) return undefined;
    if ((["chain", "tlsa_status", "tlsa", "verdict"] as const).every((column) => row[column] === now[column]))
      return Number(row.id);
    // Where the records are not known, they have not changed.
    const known = row.tlsa_status !== "failed" && now.tlsa_status !== "failed";
    if (known && (row.tlsa_status !== now.tlsa_status || row.tlsa !== now.tlsa)) return undefined;
  }
  return undefined;
}

function fingerprintOf(der: Buffer): string {
  return createHash("sha256").update(der).digest("hex");
}

function statusOf(text: string): TlsaSight["status"] {
  return (["secure", "insecure", "absent"] as const).find((known) => known === text) ?? "failed";
}

function recordsOf(text: string): readonly Tlsa[] {
  return text.split("\n").flatMap((line) => {
    const [usage, selector, matchingType, data = ""] = line.split(" ");
    if (matchingType === undefined) return [];
    return [
      { usage: Number(usage), selector: Number(selector), matchingType: Number(matchingType), data: Buffer.from(data, "hex") },
    ];
  });
}
