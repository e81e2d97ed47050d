import { Api, type AuditRecord } from "../admin/api.ts";
import { type ControlSocket, openControlSocket } from "../admin/controlSocket.ts";
import type { Check } from "../admin/health.ts";
import { OperatorPage } from "../admin/page.ts";
import type { RelayState } from "../admin/relayStatus.ts";
import type { RelayFacts } from "../admin/relayVerdict.ts";
import type { Config } from "../config/schema.ts";
import type { DeliveryEngine } from "../delivery/engine.ts";
import type { MtaSts } from "../reporting/openMtaSts.ts";
import type { OpenResolver } from "../resolver/openResolver.ts";
import type { AdministeredStore } from "../spool/queueAdmin.ts";
import { openAdminAccess } from "./adminAccess.ts";
import { auditEvent, logInEvent } from "./auditRecord.ts";
import { createExplain } from "./explain.ts";
import type { Watch } from "./hostHistory.ts";
import { createPageExplain, shownExplanation, type ToldExplanation } from "./pageExplain.ts";
import type { Parts } from "./parts.ts";
import type { Submission } from "./submission.ts";

/** The operator's API and page as the configuration wants them: who may use them, what they know, and what of their use the log tells. */
export type Operator = {
  api: Api;
  page: OperatorPage;
  /** What the supervisor of this process asks for its own page. */
  facts(): RelayFacts;
  explain(target: string): Promise<ToldExplanation>;
  /** For /readyz: nothing where the token's file can be used. */
  tokenCheck(): readonly Check[];
  /** Reads the token again, from another file where it is elsewhere now; it counts from `apply` on. */
  reload(config: Config): { kind: "read"; apply: () => void } | { kind: "refused"; key: string; reason: string };
};

export type OperatorNeeds = {
  store: AdministeredStore;
  engine: DeliveryEngine;
  resolver: OpenResolver;
  mtaSts: MtaSts;
  submission: Pick<Submission, "listener">;
  watch: Pick<Watch, "certificatesOf" | "rollovers">;
  checks: () => Promise<readonly Check[]>;
};

/** Throws when the token cannot be read. */
export function openOperator(parts: Parts, needs: OperatorNeeds): Operator {
  const { config, clock, ring, series } = parts;
  const { store, engine, resolver, mtaSts, submission, watch, checks } = needs;
  const startedAt = clock.now();
  const { access, check, reload } = openAdminAccess(parts);
  let inForce = config;
  const facts = (): RelayFacts => ({
    version: parts.version ?? "unknown",
    hostname: config.hostname,
    startedAt,
    now: clock.now(),
    validation: resolver.validation(),
    exceptions: engine.activeExceptions(),
    connections: { inbound: submission.listener.connections(), outbound: engine.openConnections },
    ...atRisk(watch),
  });
  const { queueAdmin } = store;
  const { now, monotonic } = clock;
  const state = async (): Promise<RelayState> => ({ ...facts(), checks: await checks(), counts: await store.counts() });
  const api = new Api({ queueAdmin, access, ring, now, monotonic, state, onAudit: (record) => audited(record, parts, engine) });
  const configured = (): Config => inForce;
  const { random } = parts;
  const explained = createExplain({ config: configured, resolver, mtaSts, clock, random, historyOf: watch.certificatesOf });
  const explain = createPageExplain(explained, configured);
  const page = new OperatorPage({
    ...{ api, queueAdmin, access, facts, checks, ring, series, monotonic },
    counts: () => store.counts(),
    explain: async (target) => shownExplanation(await explain(target)),
    onLogIn: (client) => parts.log.event(logInEvent(client)),
  });
  return {
    api,
    page,
    facts,
    explain,
    tokenCheck: check,
    reload: (changed) => {
      const reading = reload(changed);
      if (reading.kind === "refused") return reading;
      const apply = (): void => {
        reading.apply();
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

function atRisk(watch: Pick<Watch, "rollovers">): Pick<RelayFacts, "hostsAtRisk"> {
  const rollovers = watch.rollovers();
  return rollovers === undefined ? {} : { hostsAtRisk: rollovers.atRisk };
}
