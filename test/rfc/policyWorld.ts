import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { InsecureMxPolicy } from "../../src/dane/tlsDiscovery.ts";
import type { attempt } from "../../src/delivery/attempt.ts";
import type { ConnectionRequest, ConnectionResult } from "../../src/delivery/connection.ts";
import type { SmtpSession } from "../../src/delivery/smtpSession.ts";
import { name } from "../../src/dns/name.ts";
import type { TlsaData } from "../../src/dns/rdata.ts";
import type { StsMode } from "../../src/mtasts/policy.ts";
import type { PolicyInForce } from "../../src/mtasts/policyInForce.ts";
import type { TlsDemand, TlsLevel } from "../../src/policy/tlsPolicy.ts";
import type { Work } from "../../src/spool/message.ts";
import { distinctCertificates } from "../../src/x509/distinctCertificates.ts";
import { TrustedRoots } from "../../src/x509/serverIdentity.ts";
import { makeAuthority, makeLeaf, tlsaFor } from "../fake/certificates.ts";
import { type FakeAnswer, FakeResolver } from "../fake/resolver.ts";

/**
 * The policy truth table's combinations, each as a world: look-ups that end as it says, and a receiver that can do TLS and holds the key
 * of the usable record, with a certificate that PKIX finds valid. What the real attempt makes of it is told in the words of policyTable.tsv.
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

const AUTHORITY = makeAuthority({ commonName: "Test CA" });
const TRUSTED = new TrustedRoots(distinctCertificates([AUTHORITY.der], []));
const CERTIFICATE = makeLeaf({ names: [MX_HOST, DOMAIN], issuer: AUTHORITY });
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
function connect({ tls }: ConnectionRequest, chain: readonly Buffer[]): ConnectionResult {
  if (tls.need === "none") return { kind: "ready", session: new AcceptingSession({ kind: "clear", starttlsOffered: true }) };
  const verdict = tls.need === "authenticate" ? tls.verify(chain) : undefined;
  if (verdict?.kind === "refused") return { kind: "failed", failure: { stage: "verify", text: verdict.reason, chain } };
  const authenticated = verdict === undefined ? "not-verified" : "verified";
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

/** What is there beside DANE: the MTA-STS policy of every domain, and whether PKIX finds the server's certificate valid. */
export type Beside = { sts: StsWord; pkix: "valid" | "invalid" };
export type StsWord = keyof typeof STS;

const LISTED = [MX_HOST, DOMAIN];
const UNLISTED = ["mx.elsewhere.example"];
const policyOf = (mode: StsMode, mx: readonly string[]): PolicyInForce => ({
  kind: "policy",
  domain: name(DOMAIN),
  id: "1",
  policy: { mode, maxAgeSeconds: 86_400, mx },
});
/** `-other`: the policy does not list the host. */
const STS = {
  none: { kind: "none", because: "no-record" },
  failed: { kind: "none", because: "lookup-failed" },
  "mode-none": policyOf("none", []),
  testing: policyOf("testing", LISTED),
  "testing-other": policyOf("testing", UNLISTED),
  enforce: policyOf("enforce", LISTED),
  "enforce-other": policyOf("enforce", UNLISTED),
} as const satisfies Record<string, PolicyInForce>;

const CHAINS = {
  valid: [CERTIFICATE.der, AUTHORITY.der],
  invalid: [makeLeaf({ names: LISTED, keys: CERTIFICATE.keys }).der],
} as const;

/** What becomes of one message, in the words of the table's column `expected`. */
export async function decide(
  of: Combination,
  byAttempt: typeof attempt,
  beside: Beside = { sts: "none", pkix: "valid" },
): Promise<string> {
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
      stsPolicyFor: () => Promise.resolve(STS[beside.sts]),
      demandOf: () => ({ level: of.level, levelFrom: of.from, messageTls: of.message }),
      request: { hostname: "relay.test", timeouts: { connectSeconds: 1 } },
      localAddressFor: () => undefined,
      session: {
        now: () => Date.now(),
        trustedRoots: () => TRUSTED,
        matches: new WeakMap(),
        release: () => undefined,
        connect: (_key, request) => {
          requests.push(request);
          return Promise.resolve(connect(request, CHAINS[beside.pkix]));
        },
      },
      content: () => assert.fail("nobody reads the content here"),
      onHost: () => undefined,
      onTrouble: (error) => assert.fail(String(error)),
    },
  );
  assert.ok(result !== undefined);
  const { outcome, trace } = result;
  const [request] = requests;
  if (outcome.kind !== "delivered") {
    // Where nothing may be sent no connection is made, unless to see the certificate.
    assert.equal(request === undefined, !trace.tls.includes("nocertmatch"), "a connection was made");
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
export const POLICY_ROWS: readonly TableRow[] = readTable("policyTable.tsv", [
  "mx",
  "host",
  "expanded",
  "own",
  "insecureMx",
  "demand",
]);
export const ALL_ROWS: readonly TableRow[] = [...DEMAND_ROWS, ...POLICY_ROWS];

/** The rows that decide a combination, and what they say; undefined where a row is missing. */
export function expectedOf(of: Combination): { demandRow: TableRow; row: TableRow; expected: string } | undefined {
  const demandRow = firstFit(DEMAND_ROWS, of);
  const demand = demandRow?.cells.demand ?? "";
  const row = firstFit(POLICY_ROWS, { ...of, demand });
  if (demandRow === undefined || row === undefined) return undefined;
  const wanted = demand === "requiretls" || demand === "both" ? "dane-only" : demand;
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

/** What the second stage sees of the first: its need, or its refusal; its DANE word; and who named the host. */
export type Base = { base: string; dane: string; named: "trusted" | "insecure-mx" | "nobody" };

export function baseOf(of: Combination, expected: string): Base {
  const dane = expected.split(" ").at(-1) ?? "";
  const named = of.mx === "literal" ? "nobody" : of.mx === "insecure" ? "insecure-mx" : "trusted";
  const [need = "", tls = ""] = expected.split(" ");
  const refusal = /!dane-only:(notlsa|encrypt|halfdane) /.exec(expected)?.[1];
  if (refusal !== undefined) return { base: `!${refusal}`, dane, named };
  if (need === "deferred" || need === "failed") return { base: "unreachable", dane, named };
  if (tls === "dane:halfdane") return { base: "halfdane", dane, named };
  if (tls === "pkix") return { base: dane === "unusable" ? "pkix-unusable" : "pkix", dane, named };
  return { base: need.split("@")[0] ?? "", dane, named };
}

export const STS_ROWS: readonly TableRow[] = readTable("stsTable.tsv", ["base", "named", "insecureMx", "sts", "pkix", "demand"]);

/** The row of stsTable.tsv that decides a combination with what is beside it, and what it says. */
export function expectedBeside(of: Combination, beside: Beside): { row: TableRow; expected: string } | undefined {
  const found = expectedOf(of);
  if (found === undefined) return undefined;
  const { base, dane, named } = baseOf(of, found.expected);
  const demand = found.demandRow.cells.demand ?? "";
  const row = firstFit(STS_ROWS, { base, named, insecureMx: of.insecureMx, ...beside, demand });
  if (row === undefined) return undefined;
  const said = (row.cells.expected ?? "").replace("{dane}", dane);
  return { row, expected: said === "=" ? found.expected : said };
}

export const BESIDE: readonly Beside[] = keys(STS).flatMap((sts) => [
  { sts, pkix: "valid" },
  { sts, pkix: "invalid" },
]);
