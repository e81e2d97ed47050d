import type { ChainRules } from "../diagnosis/chainLink.ts";
import { diagnose } from "../diagnosis/diagnose.ts";
import type { EvidenceLog } from "../diagnosis/evidenceLog.ts";
import { type Explanation, type Verdict, verdictKind } from "../diagnosis/explanation.ts";
import type { HistoryOf } from "../diagnosis/hostFinding.ts";
import type { HostObservation, Observation } from "../diagnosis/observation.ts";
import { RR_TYPE } from "../dns/message.ts";
import { type DomainName, displayName, isName, prefixed } from "../dns/name.ts";
import { readStsRecords } from "../mtasts/stsRecord.ts";
import { demandWithCredentials } from "../policy/authenticatedTls.ts";
import type { ValidatingResolver } from "../resolver/resolver.ts";
import type { Work } from "../spool/message.ts";
import { readTlsrptRecords } from "../tlsrpt/record.ts";
import { attempt } from "./attempt.ts";
import type { DeliveryContext } from "./context.ts";
import { type ContextParts, type ContextSettings, decidingContext } from "./contextSettings.ts";
import { type ExplainTarget, explainTarget, routesFor } from "./explainTarget.ts";
import { evidenceOf } from "./host.ts";
import { type Examination, examineHost } from "./hostExamination.ts";
import { ObservedLookups } from "./observedLookups.ts";
import { type OpenConnection, Rehearsal } from "./rehearsal.ts";
import { findRoute, type Route } from "./route.ts";

/**
 * Why a delivery would end as it would: the destination is looked at with the functions that deliveries use, host by host and address by address;
 * then one attempt is rehearsed, whole, for the verdict. No mail is sent, and no credentials.
 */
export type ExplainParts = Omit<ContextParts, "resolver"> & {
  settings: ContextSettings;
  resolver: ValidatingResolver;
  /** Hears the evidence of `resolver`. */
  log: EvidenceLog;
  algorithms: ChainRules["algorithms"];
  /** Where DNS data comes from, in words. */
  source: () => string;
  connecting: "yes" | "no";
  /** How connections are made; anew for each call when not given. */
  open?: OpenConnection;
  /** ask: hosts whose zone is not signed are asked for the TLSA records that no sender asks them for: for a survey. */
  unsecuredTlsa?: "ask";
  /** Whether `clock` tells the time, or another one. */
  moment: Observation["moment"];
  /** Certificates that were seen at a host before. */
  historyOf?: HistoryOf;
};

export type TargetError = Extract<ExplainTarget, { kind: "error" }>;
type Target = Exclude<ExplainTarget, { kind: "error" }>;

/** `clock` of the parts tells the moment that everything is judged for. Rejects only on a bug. */
export async function explain(text: string, parts: ExplainParts): Promise<Explanation | TargetError> {
  const { settings, clock, log, algorithms } = parts;
  const target = explainTarget(text, settings.routes, settings.port);
  if (target.kind === "error") return target;
  const at = clock.now();
  const lookups = new ObservedLookups(parts.resolver, log, { now: Math.floor(at / 1000), algorithms });
  const rehearsal = new Rehearsal(parts.connecting, parts.open);
  const context = rehearsedContext(
    { ...settings, routes: routesFor(target, settings.routes) },
    { ...parts, resolver: lookups },
    rehearsal,
  );
  const seen = await observe(target, { ...parts, at, lookups, rehearsal, context });
  const verdict = await rehearse(target, context, at);
  return { kind: "explanation", target: text, seen, verdict, findings: diagnose(seen, parts.historyOf) };
}

/** A ceiling for each phase of the dialogue: somebody waits for the answer. A server that takes longer is undecided here, and tried longer by mail. */
const PATIENCE_SECONDS = 60;

/** Fixed, so that what is shown and what is rehearsed have the same order of equal hosts. */
const FIRST = { below: () => 0 };

function rehearsedContext(settings: ContextSettings, parts: ContextParts, rehearsal: Rehearsal): DeliveryContext {
  const { connectSeconds, commandSeconds = PATIENCE_SECONDS } = settings.timeouts;
  const timeouts = { connectSeconds, commandSeconds: Math.min(commandSeconds, PATIENCE_SECONDS) };
  const { verification, ...deciding } = decidingContext({ ...settings, timeouts }, { ...parts, random: FIRST });
  return {
    ...deciding,
    session: { ...verification, matches: new WeakMap(), release: () => undefined, connect: rehearsal.connect },
    content: () => {
      throw new Error("a rehearsal has no content");
    },
    onHost: () => undefined,
    onTrouble: (error) => {
      throw error;
    },
  };
}

type Scene = ExplainParts & {
  at: number;
  lookups: ObservedLookups;
  rehearsal: Rehearsal;
  context: DeliveryContext;
};

async function observe(target: Target, the: Scene): Promise<Observation> {
  const { context, lookups, log } = the;
  const route = await findRoute(target.destination, context.route);
  const [mx] = await lookups.take();
  const nextHop = "nextHop" in route ? route.nextHop : undefined;
  const hosts = route.kind === "unroutable" ? [] : await examineHosts(route, target, the);
  return {
    destination: target.destination,
    at: the.at,
    moment: the.moment,
    route: shownRoute(route),
    ...(mx === undefined ? {} : { mx }),
    hosts,
    nameServers: nextHop === undefined ? [] : await lookups.nameServers(nextHop),
    ...(nextHop === undefined || route.kind === "unroutable" ? {} : await published(nextHop, the)),
    anySignature: anySignature(log),
    source: the.source(),
  };
}

function anySignature(log: EvidenceLog): Observation["anySignature"] {
  for (const { answer, authority } of log.messages())
    if ([...answer, ...authority].some(({ type }) => type === RR_TYPE.RRSIG)) return "yes";
  return "no";
}

async function examineHosts(route: Examination["route"], target: Target, the: Scene): Promise<readonly HostObservation[]> {
  const { context, lookups, rehearsal, connecting, unsecuredTlsa } = the;
  const asked = context.demandOf(workFor(target, the.at));
  const demand = route.credentials === undefined ? asked : demandWithCredentials(asked);
  const hosts: HostObservation[] = [];
  for await (const evidence of evidenceOf(route, demand, context))
    hosts.push(
      await examineHost(evidence, {
        ...{ route, demand, context, lookups, rehearsal, connecting },
        ...(unsecuredTlsa === undefined ? {} : { unsecuredTlsa }),
      }),
    );
  return hosts;
}

function shownRoute(route: Route): Observation["route"] {
  if (route.kind === "unroutable") return { kind: "unroutable", trouble: route.trouble };
  if (route.kind === "literal") return { kind: "literal" };
  const found = route.origin.kind === "relay" ? "route" : route.origin.kind === "mx" ? "mx" : "no-mx";
  return { kind: "hosts", found, hosts: route.hosts.map(displayName) };
}

/** What the next-hop domain publishes beside its hosts: MTA-STS and TLSRPT. */
async function published(domain: DomainName, { context, lookups }: Scene): Promise<Pick<Observation, "sts" | "tlsrpt">> {
  const [sts, tlsrpt] = await Promise.all([texts("_mta-sts", domain, lookups), texts(["_smtp", "_tls"], domain, lookups)]);
  await lookups.take();
  return {
    sts: { record: readStsRecords(sts), inForce: await context.stsPolicyFor(domain) },
    tlsrpt: readTlsrptRecords(tlsrpt),
  };
}

async function texts(prefix: string | readonly string[], domain: DomainName, lookups: ObservedLookups) {
  const owner = prefixed([prefix].flat(), domain);
  if (!isName(owner)) return [];
  const found = await lookups.resolve(owner, "TXT");
  return "records" in found ? found.records : [];
}

/** A message as small as can be, to one recipient. */
function workFor({ destination, recipient }: Target, at: number): Work {
  const envelope = {
    id: "explain",
    sender: "",
    acceptedAt: at,
    smtpUtf8: false,
    eightBitMime: false,
    requireTls: false,
    tlsRequiredNo: false,
    size: 0,
  };
  return { envelope, destination, recipients: [{ address: recipient, destination, index: 0, attempts: 0, delayWarned: false }] };
}

async function rehearse(target: Target, context: DeliveryContext, at: number): Promise<Verdict> {
  const [result] = await attempt(workFor(target, at), context);
  if (result === undefined) throw new Error("an attempt without a result");
  const { outcome, trace } = result;
  const { sts: _told, ...fields } = trace;
  const undelivered = outcome.kind === "delivered" ? {} : { status: outcome.status, reason: outcome.cause.text };
  return { kind: verdictKind(outcome), outcome: outcome.kind, ...fields, ...undelivered };
}
