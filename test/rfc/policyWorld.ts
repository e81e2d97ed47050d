import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { InsecureMxPolicy } from "../../src/dane/tlsDiscovery.ts";
import type { attempt } from "../../src/delivery/attempt.ts";
import type { ConnectionRequest, ConnectionResult } from "../../src/delivery/connection.ts";
import type { SmtpSession } from "../../src/delivery/smtpSession.ts";
import { name } from "../../src/dns/name.ts";
import type { TlsaData } from "../../src/dns/rdata.ts";
import type { TlsDemand, TlsLevel } from "../../src/policy/tlsPolicy.ts";
import type { Work } from "../../src/spool/message.ts";
import { makeLeaf, tlsaFor } from "../fake/certificates.ts";
import { type FakeAnswer, FakeResolver } from "../fake/resolver.ts";

/**
 * The policy truth table's combinations, each as a world: look-ups that end as it says, and a receiver that can do TLS and holds the key
 * of the usable record. What the real attempt makes of it is told in the words of policyTable.tsv.
 */
export type Combination = {
  mx: string;
  host: string;
  expanded: string;
  own: string;
  insecureMx: InsecureMxPolicy;
  level: TlsLevel;
  from: TlsDemand["levelFrom"];
  message: TlsDemand["messageTls"];
};

const MX_HOST = "mx.example.org";
const DOMAIN = "example.org";
const EXPANDED = "real.example.net";
const ADDRESS = { A: "192.0.2.1", AAAA: "2001:db8::1" };

const CERTIFICATE = makeLeaf();
const USABLE = tlsaFor(CERTIFICATE, 3, 1, 1);
const UNUSABLE: TlsaData = { ...USABLE, usage: 1 };

type MxWord = FakeAnswer<"MX"> | "literal" | "relay";
const exchange = [{ preference: 10, exchange: name(MX_HOST) }];
const MX: Readonly<Record<string, MxWord>> = {
  secure: { status: "secure", records: exchange },
  insecure: { status: "insecure", records: exchange },
  "none-secure": { status: "secure", absent: "nodata" },
  "none-insecure": { status: "insecure", absent: "nodata" },
  relay: "relay",
  literal: "literal",
  bogus: { status: "bogus" },
  failed: { status: "fail" },
  nxdomain: { status: "secure", absent: "nxdomain" },
  null: { status: "secure", records: [{ preference: 0, exchange: name(".") }] },
};

type AddressWord = Omit<FakeAnswer<"A">, "records"> & { records: "one" | "none" };
const HOST: Readonly<Record<string, AddressWord>> = {
  secure: { status: "secure", records: "one" },
  insecure: { status: "insecure", records: "one" },
  "secure>secure": { status: "secure", via: [{ to: EXPANDED, status: "secure" }], records: "one" },
  "secure>insecure": { status: "insecure", via: [{ to: EXPANDED, status: "secure" }], records: "one" },
  "insecure>insecure": { status: "insecure", via: [{ to: EXPANDED, status: "insecure" }], records: "one" },
  absent: { status: "secure", absent: "nodata", records: "none" },
  bogus: { status: "bogus", records: "none" },
  failed: { status: "fail", records: "none" },
};

const TLSA: Readonly<Record<string, FakeAnswer<"TLSA">>> = {
  usable: { status: "secure", records: [UNUSABLE, USABLE] },
  unusable: { status: "secure", records: [UNUSABLE] },
  insecure: { status: "insecure", records: [USABLE] },
  absent: { status: "secure", absent: "nodata" },
  bogus: { status: "bogus" },
  failed: { status: "fail" },
};

/** Complete by their types. */
const INSECURE_MX: Readonly<Record<InsecureMxPolicy, "listed">> = { dane: "listed", encrypt: "listed", may: "listed" };
const LEVELS: Readonly<Record<TlsLevel, readonly TlsDemand["levelFrom"][]>> = {
  dane: ["default", "operator"],
  "dane-only": ["operator"],
  encrypt: ["operator"],
  may: ["operator"],
  none: ["operator"],
};
const MESSAGE: Readonly<Record<TlsDemand["messageTls"], "listed">> = {
  unspecified: "listed",
  required: "listed",
  "not-required": "listed",
};

function keys<T extends string>(table: Readonly<Record<T, unknown>>): readonly T[] {
  return Object.keys(table) as T[];
}

/** Every combination there is; what cannot matter (a TLSA record of a host that is never asked for it) is combined all the same. */
export function* combinations(): Generator<Combination> {
  for (const mx of keys(MX))
    for (const host of keys(HOST))
      for (const expanded of keys(TLSA))
        for (const own of keys(TLSA))
          for (const insecureMx of keys(INSECURE_MX))
            for (const level of keys(LEVELS))
              for (const from of LEVELS[level])
                for (const message of keys(MESSAGE)) yield { mx, host, expanded, own, insecureMx, level, from, message };
}

function lookup<T>(table: Readonly<Record<string, T>>, key: string): T {
  const value = table[key];
  assert.ok(value !== undefined, key);
  return value;
}

class AcceptingSession implements SmtpSession {
  readonly extensions = new Set<string>();
  readonly state = "idle";
  readonly security: SmtpSession["security"];

  constructor(security: SmtpSession["security"]) {
    this.security = security;
  }

  transact(): ReturnType<SmtpSession["transact"]> {
    return Promise.resolve([{ kind: "accepted", reply: { code: 250, lines: ["ok"] }, dsnRelayed: "no" }]);
  }

  quit(): Promise<void> {
    return Promise.resolve();
  }

  destroy(): void {
    throw new Error("the session was given up");
  }
}

/** A receiver that does whatever TLS it is asked for. */
function connect({ tls }: ConnectionRequest): ConnectionResult {
  if (tls.need === "none") return { kind: "ready", session: new AcceptingSession({ kind: "clear", starttlsOffered: true }) };
  const chain = [CERTIFICATE.der];
  const verified = tls.need === "authenticate" && tls.verify(chain).kind === "accepted";
  const authenticated = verified ? "verified" : "not-verified";
  return {
    kind: "ready",
    session: new AcceptingSession({ kind: "tls", protocol: "TLSv1.3", cipher: "AES", authenticated, chain }),
  };
}

const ENVELOPE: Work["envelope"] = {
  id: "test1",
  sender: "sender@relay.test",
  acceptedAt: 0,
  smtpUtf8: false,
  eightBitMime: false,
  requireTls: false,
  tlsRequiredNo: false,
  size: 0,
};

function resolverFor(of: Combination): { resolver: FakeResolver; own: string } {
  const mx = lookup(MX, of.mx);
  const own = of.mx.startsWith("none-") ? DOMAIN : MX_HOST;
  const addresses = lookup(HOST, of.host);
  const { records, ...rest } = addresses;
  const answer = (family: keyof typeof ADDRESS) => (records === "one" ? { ...rest, records: [ADDRESS[family]] } : rest);
  const resolver = new FakeResolver({
    MX: typeof mx === "string" ? {} : { [DOMAIN]: mx },
    A: { [own]: answer("A") },
    AAAA: { [own]: answer("AAAA") },
    TLSA: { [`_25._tcp.${own}`]: lookup(TLSA, of.own), [`_25._tcp.${EXPANDED}`]: lookup(TLSA, of.expanded) },
  });
  return { resolver, own };
}

/** What becomes of one message, in the words of the table's column `expected`. */
export async function decide(of: Combination, byAttempt: typeof attempt): Promise<string> {
  const { resolver, own } = resolverFor(of);
  const requests: ConnectionRequest[] = [];
  const destination = of.mx === "literal" ? `[${ADDRESS.A}]` : DOMAIN;
  const recipient = { address: "u@example.org", destination, index: 0, attempts: 0, delayWarned: false };
  const [result] = await byAttempt(
    { envelope: ENVELOPE, destination, recipients: [recipient] },
    {
      route: {
        resolver,
        routes: of.mx === "relay" ? [{ domain: "*", nextHop: `[${MX_HOST}]`, tls: "starttls" }] : [],
        port: 25,
        self: name("relay.test"),
        random: () => 0,
      },
      resolver,
      allowLoopback: false,
      insecureMx: of.insecureMx,
      demandOf: () => ({ level: of.level, levelFrom: of.from, messageTls: of.message }),
      request: { hostname: "relay.test", timeouts: { connectSeconds: 1 } },
      localAddressFor: () => undefined,
      session: {
        now: () => Date.now(),
        matches: new WeakMap(),
        connect: (_key, request) => {
          requests.push(request);
          return Promise.resolve(connect(request));
        },
      },
      release: () => undefined,
      content: () => assert.fail("nobody reads the content here"),
      onHost: () => undefined,
      onTrouble: (error) => assert.fail(String(error)),
    },
  );
  assert.ok(result !== undefined);
  const { outcome, trace } = result;
  const [request] = requests;
  if (outcome.kind !== "delivered") {
    assert.equal(request, undefined, "a connection was made");
    return `${outcome.kind} ${outcome.status} ${trace.tls} ${trace.dane}`;
  }
  assert.ok(request !== undefined);
  const { need } = request.tls;
  const base = request.serverName === own ? "own" : request.serverName === EXPANDED ? "expanded" : "?";
  const needed = need === "none" ? "clear" : need === "authenticate" ? `authenticate@${base}` : need;
  return `${needed} ${trace.tls} ${trace.dane}`;
}

export type TableRow = {
  file: string;
  line: number;
  cells: Readonly<Record<string, string>>;
  /** What each column allows, where it does not allow anything. */
  conditions: readonly (readonly [column: string, allowed: readonly string[]])[];
};

/** A file of tab-separated cells: the first line that is no comment names the columns. */
function readTable(file: string, conditions: readonly string[]): readonly TableRow[] {
  const lines = readFileSync(join(import.meta.dirname, file), "utf8")
    .split("\n")
    .map((text, index) => ({ text, line: index + 1 }))
    .filter(({ text }) => text !== "" && !text.startsWith("#"));
  const [head, ...rows] = lines.map(({ text, line }) => ({ columns: text.split("\t"), line }));
  assert.ok(head !== undefined);
  return rows.map(({ columns, line }) => {
    assert.equal(columns.length, head.columns.length, `${file}:${line}`);
    const cells = Object.fromEntries(head.columns.map((column, i) => [column, columns[i] ?? ""]));
    const limited = conditions.filter((column) => cells[column] !== "*");
    return { file, line, cells, conditions: limited.map((column) => [column, (cells[column] ?? "").split("/")]) };
  });
}

function firstFit(rows: readonly TableRow[], values: Readonly<Record<string, string>>): TableRow | undefined {
  return rows.find((row) => row.conditions.every(([column, allowed]) => allowed.includes(values[column] ?? "")));
}

const DEMAND_ROWS = readTable("demandTable.tsv", ["level", "from", "message"]);
export const POLICY_ROWS = readTable("policyTable.tsv", ["mx", "host", "expanded", "own", "insecureMx", "demand"]);
export const ALL_ROWS: readonly TableRow[] = [...DEMAND_ROWS, ...POLICY_ROWS];

/** The rows that decide a combination, and what they say; undefined where a row is missing. */
export function expectedOf(of: Combination): { demandRow: TableRow; row: TableRow; expected: string } | undefined {
  const demandRow = firstFit(DEMAND_ROWS, of);
  const demand = demandRow?.cells.demand ?? "";
  const row = firstFit(POLICY_ROWS, { ...of, demand });
  if (demandRow === undefined || row === undefined) return undefined;
  const wanted = demand === "requiretls" ? "dane-only" : demand;
  return { demandRow, row, expected: (row.cells.expected ?? "").replace("{wanted}", wanted) };
}

/** Every word that a cell may hold, so that a misspelt one does not go unnoticed as a row that never fits. */
export const WORDS: Readonly<Record<string, readonly string[]>> = {
  mx: keys(MX),
  host: keys(HOST),
  expanded: keys(TLSA),
  own: keys(TLSA),
  insecureMx: keys(INSECURE_MX),
  level: keys(LEVELS),
  from: ["default", "operator"],
  message: keys(MESSAGE),
  demand: [...new Set(DEMAND_ROWS.map(({ cells }) => cells.demand ?? ""))],
};
