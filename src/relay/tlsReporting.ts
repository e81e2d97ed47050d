import { readFileSync } from "node:fs";
import { hostname as machineName } from "node:os";
import { join } from "node:path";
import { getCACertificates } from "node:tls";
import type { Clock, Random } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { stateDirectoryOf } from "../config/stateDirectory.ts";
import { type DkimKey, readDkimKey } from "../dkim/signingKey.ts";
import { createReportPost } from "../reporting/reportPost.ts";
import { type ReportEvent, TlsrptSender } from "../reporting/tlsrptSender.ts";
import { TlsrptStore } from "../reporting/tlsrptStore.ts";
import { openTables } from "../reporting/tlsrptTables.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { messageIds } from "../spool/messageId.ts";
import type { Store } from "../spool/store.ts";
import { type DomainAggregate, type Reporter, utcDay } from "../tlsrpt/report.ts";
import type { SessionResult } from "../tlsrpt/result.ts";

/** TLS reports (RFC 8460) put together: counting, and sending what was counted. */
export type TlsReporting = {
  record(result: SessionResult): void;
  start(): void;
  stop(): Promise<void>;
};

export type TlsReportingParts = {
  config: Config;
  clock: Clock;
  random: Random;
  resolver: Resolver;
  store: Store;
  onEvent: (event: ReportEvent) => void;
  onTrouble: (error: unknown) => void;
};

/** In the state directory. */
const FILE = "tlsrpt.db";

const OFF: TlsReporting = { record: () => undefined, start: () => undefined, stop: () => Promise.resolve() };

/** Opens what reporting needs; without `tlsrpt.contact` nothing is counted. Throws where a file cannot be used. */
export function openTlsReporting(parts: TlsReportingParts): TlsReporting {
  const { config, clock, random, resolver, store, onEvent, onTrouble } = parts;
  const reporter = reporterOf(config);
  if (reporter === undefined) return OFF;
  const dkim = signingKey(config);
  const counts = new TlsrptStore({ file: fileOf(config), clock, onTrouble });
  const sender = new TlsrptSender({
    reporter,
    counts,
    resolver,
    spool: store,
    post: createReportPost({ resolver, roots: trustedRoots(config), allowLoopback: config.delivery.allowLoopback }),
    ...(dkim === undefined ? {} : { dkim }),
    clock,
    random,
    newId: messageIds(clock, random),
    onEvent,
    onTrouble,
  });
  return {
    record: (result) => counts.record(result),
    start: () => sender.start(),
    stop: async () => {
      await sender.stop();
      counts.close();
    },
  };
}

/** Who reports; undefined: reporting is off. */
export function reporterOf(config: Config): Reporter | undefined {
  const { tlsrpt, hostname } = config;
  if (tlsrpt.contact === undefined) return undefined;
  // Workers differ in their directories, replicas in their machines; the same after a restart, so that a report that is sent again is known.
  const source = `${machineName()} ${fileOf(config)}`;
  return { organization: tlsrpt.organization ?? hostname, contact: tlsrpt.contact, hostname, source };
}

export type Counted = { kind: "counted"; aggregates: readonly DomainAggregate[] } | { kind: "unreadable"; reason: string };

/** What was counted on the UTC day of `now`, by reporting domain; a running relay writes it down every few seconds. */
export function countedOn(config: Config, now: number): Counted {
  const file = fileOf(config);
  try {
    const opened = openTables(file, "read");
    if (opened.kind === "missing") return { kind: "counted", aggregates: [] };
    if (opened.kind === "refused") return { kind: "unreadable", reason: opened.reason };
    const { tables } = opened;
    try {
      const day = utcDay(now);
      return { kind: "counted", aggregates: tables.domains(day).map((domain) => tables.aggregate(day, domain)) };
    } finally {
      tables.close();
    }
  } catch (error) {
    // SQLite's own words: no permission, damaged, locked.
    return { kind: "unreadable", reason: `${file}: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function fileOf(config: Config): string {
  return join(stateDirectoryOf(config), FILE);
}

/** The CAs of policy hosts are those of the hosts that reports are posted to. */
function trustedRoots({ mtaSts: { caFile } }: Config): readonly string[] {
  return caFile === undefined ? getCACertificates("default") : [readFileSync(caFile, "utf8")];
}

function signingKey({ dkim: { domain, selector, keyFile } }: Config): DkimKey | undefined {
  if (domain === undefined || selector === undefined || keyFile === undefined) return undefined;
  const read = readDkimKey(readFileSync(keyFile, "utf8"), { domain, selector });
  if (read.kind === "unusable") throw new Error(`dkim.keyFile ${keyFile}: ${read.reason}`);
  return read.key;
}
