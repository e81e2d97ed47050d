import type { Access, Actor } from "../admin/access.ts";
import { AdminToken, readToken } from "../admin/adminToken.ts";
import { Api, type AuditRecord } from "../admin/api.ts";
import { type ControlSocket, openControlSocket } from "../admin/controlSocket.ts";
import type { Check } from "../admin/health.ts";
import { OperatorPage } from "../admin/page.ts";
import type { RelayState } from "../admin/relayStatus.ts";
import type { RelayFacts } from "../admin/relayVerdict.ts";
import type { Config } from "../config/schema.ts";
import type { DeliveryEngine } from "../delivery/engine.ts";
import type { AuditEvent } from "../log/auditEvent.ts";
import type { MtaSts } from "../reporting/openMtaSts.ts";
import type { OpenResolver } from "../resolver/openResolver.ts";
import type { AdministeredStore, QueueFilter } from "../spool/queueAdmin.ts";
import { createExplain } from "./explain.ts";
import type { Parts } from "./parts.ts";
import type { Submission } from "./submission.ts";

/** The operator's API and page as the configuration wants them: who may use them, what they know, and what of their use the log tells. */
export type Operator = {
  api: Api;
  page: OperatorPage;
  /** Reads the token again, from another file where it is elsewhere now; it counts from `apply` on. */
  reload(config: Config): { kind: "read"; apply: () => void } | { kind: "refused"; key: string; reason: string };
};

export type OperatorNeeds = {
  store: AdministeredStore;
  engine: DeliveryEngine;
  resolver: OpenResolver;
  mtaSts: MtaSts;
  submission: Pick<Submission, "listener">;
  checks: () => Promise<readonly Check[]>;
};

const TOKEN_KEY = "admin.tokenFile";
/** Ids that stand in the log; how many there were is in the counts. */
const MAX_LOGGED_IDS = 20;

/** Throws when the token cannot be read. */
export function openOperator(parts: Parts, needs: OperatorNeeds): Operator {
  const { config, clock, ring, series } = parts;
  const { store, engine, resolver, mtaSts, submission, checks } = needs;
  const startedAt = clock.now();
  const first = tokenOf(parts, config);
  if (first.kind === "refused") throw new Error(`${first.key}: ${first.reason}`);
  let { token } = first;
  let inForce = config;
  const hostnames = new Set([config.hostname.toLowerCase(), config.admin.listen.address.toLowerCase()]);
  const access = (): Access => ({ token: accessToken(token), hostnames });
  const facts = (): RelayFacts => ({
    version: parts.version ?? "unknown",
    hostname: config.hostname,
    startedAt,
    now: clock.now(),
    validation: resolver.validation(),
    exceptions: engine.activeExceptions(),
    connections: { inbound: submission.listener.connections(), outbound: engine.openConnections },
  });
  const { queueAdmin } = store;
  const { now, monotonic } = clock;
  const state = async (): Promise<RelayState> => ({ ...facts(), checks: await checks(), counts: await store.counts() });
  const api = new Api({ queueAdmin, access, ring, now, monotonic, state, onAudit: (record) => audited(record, parts, engine) });
  const page = new OperatorPage({
    ...{ api, queueAdmin, access, facts, checks, ring, series, monotonic },
    counts: () => store.counts(),
    explain: createExplain({ config: () => inForce, resolver, mtaSts, clock, random: parts.random }),
    onWrongToken: (client) =>
      parts.log.event({ event: "authentication", result: "failed", client, reason: "the operator's page: not the token" }),
  });
  return {
    api,
    page,
    reload: (changed) => {
      const reading = tokenOf(parts, changed);
      if (reading.kind === "refused") return reading;
      const apply = (): void => {
        token = reading.token;
        inForce = changed;
      };
      return { kind: "read", apply };
    },
  };
}

function audited(record: AuditRecord, { log }: Parts, engine: DeliveryEngine): void {
  log.event(auditEvent(record));
  // Due now means tried now, also where a host or a destination is left alone for a while.
  if (record.action === "retry") engine.endRests();
}

/** The control socket, for a spool of our own; a shared one is reached directly. */
export async function openControl({ config }: Parts, { api }: Operator): Promise<ControlSocket> {
  if (config.spool.kind === "file") return await openControlSocket(api, config.spool.directory);
  return { close: () => Promise.resolve() };
}

type TokenResult = { kind: "token"; token: AdminToken | undefined } | { kind: "refused"; key: string; reason: string };

function tokenOf({ clock, log }: Parts, { admin: { tokenFile } }: Config): TokenResult {
  if (tokenFile === undefined) return { kind: "token", token: undefined };
  const reading = readToken(tokenFile);
  if (reading.kind === "unusable") return { kind: "refused", key: TOKEN_KEY, reason: `${tokenFile}: ${reading.reason}` };
  const onChange = (change: { kind: "renewed" } | { kind: "unusable"; reason: string }): void => {
    if (change.kind === "renewed") {
      log.event({
        event: "config",
        key: TOKEN_KEY,
        state: "reloaded",
        reason: "the token has changed: the old one is worth nothing now",
      });
    } else {
      log.event({
        event: "config",
        key: TOKEN_KEY,
        reason: `the token in use stays, since ${tokenFile} cannot be used: ${change.reason}`,
      });
    }
  };
  return { kind: "token", token: new AdminToken({ file: tokenFile, monotonic: clock.monotonic, onChange }, reading.token) };
}

function accessToken(token: AdminToken | undefined): Access["token"] {
  return token === undefined ? { kind: "none" } : { kind: "configured", matches: (presented) => token.matches(presented) };
}

function auditEvent(record: AuditRecord): AuditEvent {
  const { actor, action, filter } = record;
  const base = { event: "audit", ...whoOf(actor), action, filter: loggedFilter(filter), outcome: record.outcome } as const;
  if (record.outcome === "failed") return { ...base, reason: record.reason };
  const { changed, unchanged, busy, unknown } = record.change;
  return { ...base, changed, unchanged, busy, unknown: unknown.length };
}

function whoOf(actor: Actor): Pick<AuditEvent, "who" | "client"> {
  return actor.who === "local" ? { who: "local" } : { who: actor.who, client: actor.client };
}

function loggedFilter({ ids, acceptedBefore, ...rest }: QueueFilter): AuditEvent["filter"] {
  return {
    ...rest,
    ...(ids === undefined ? {} : { ids: ids.slice(0, MAX_LOGGED_IDS) }),
    ...(acceptedBefore === undefined ? {} : { acceptedBefore: new Date(acceptedBefore).toISOString() }),
  };
}
