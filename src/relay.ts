import { DeliveryRing } from "./admin/deliveryRing.ts";
import type { Check } from "./admin/health.ts";
import { OutcomeSeries } from "./admin/outcomeSeries.ts";
import { createAdmin } from "./admin/server.ts";
import type { Clock, Random } from "./clock.ts";
import type { Config } from "./config/schema.ts";
import { stateDirectoryOf } from "./config/stateDirectory.ts";
import type { Log } from "./log.ts";
import { createExposition } from "./metrics/endpoint.ts";
import { createInstruments, type Instruments } from "./metrics/instruments.ts";
import { LOOKUP_TYPE_BY_NUMBER } from "./metrics/labels.ts";
import { closeInTurn } from "./relay/closing.ts";
import { createEngine, engineSettings, stopDelivery } from "./relay/delivery.ts";
import { type DkimSigning, openDkimSigning } from "./relay/dkimSigning.ts";
import { createExceptionWatch } from "./relay/exceptions.ts";
import { openWatch, type Watch } from "./relay/hostHistory.ts";
import { observe } from "./relay/observation.ts";
import { type Operator, openControl, openOperator } from "./relay/operator.ts";
import { type Parts, textOf } from "./relay/parts.ts";
import { RefusedDestinations } from "./relay/refusedDestinations.ts";
import { resolverSettings } from "./relay/resolverSettings.ts";
import { openSpool } from "./relay/spool.ts";
import { openSubmission, type Submission } from "./relay/submission.ts";
import { openTlsReporting, type TlsReporting } from "./relay/tlsReporting.ts";
import { answersOf } from "./relay/worker.ts";
import { type MtaSts, openMtaSts } from "./reporting/openMtaSts.ts";
import { stsEvent } from "./reporting/stsEvent.ts";
import type { ReportEvent } from "./reporting/tlsrptSender.ts";
import { trustAnchorText } from "./resolver/activeRefresh.ts";
import { type OpenResolver, openResolver } from "./resolver/openResolver.ts";
import type { ValidationState } from "./resolver/validationMonitor.ts";
import type { Store } from "./spool/store.ts";
import { networkOf } from "./submission/authenticationThrottle.ts";
import type { Supervised } from "./workers/supervised.ts";

export type RelayOptions = {
  config: Config;
  clock: Clock;
  random: Random;
  log: Log;
  /** URL of a module that is told of the spool's commit points: for the fault campaign, no setting leads here. */
  commitPoints?: string;
  /** Of dane-relay, for the operator. */
  version?: string;
  /** Set in a worker process: the supervisor asks, and has the admin address for all. */
  onQuestion?: Supervised["onQuestion"];
  /** closed: what is queued is delivered, and no mail is taken. */
  intake?: "open" | "closed";
};

export type Relay = {
  /** Drains: takes no new mail, finishes open transactions, closes what is open. What is queued stays in the spool. */
  stop(): Promise<void>;
  /** Takes over what of `config` concerns submission and delivery; connections stay open. What is refused changes nothing. */
  reload(config: Config): Promise<ReloadResult>;
  /** Resolves when the relay can no longer do its work, and should end. */
  readonly failed: Promise<Error>;
};

export type ReloadResult = { kind: "reloaded" } | { kind: "refused"; key: string; reason: string };

/** A client in the middle of a message gets this long at a stop. */
const SUBMISSION_DRAIN_MILLISECONDS = 10_000;

/**
 * Builds the relay and starts it, inside out: what keeps mail before what brings it, and delivery before submission, so that nothing is taken
 * that could not be kept. Rejects, with nothing left running, when a part cannot start.
 */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const parts = partsWith(options);
  const opened: (() => Promise<void> | void)[] = [];
  const failure = Promise.withResolvers<Error>();
  const closeAll = (): Promise<void> => closeInTurn(opened.reverse());
  try {
    const resolver = await openRelayResolver(parts);
    opened.push(() => resolver.close());
    const store = await openSpool(parts, options.commitPoints);
    opened.push(() => store.close());
    void store.failed.then((error) => failure.resolve(error));
    const mtaSts = await openRelayMtaSts(parts, resolver);
    opened.push(() => mtaSts.stop());
    const { reporting, watch } = openRelayObservers(parts, resolver, store);
    opened.push(() => Promise.all([reporting.stop(), watch.stop()]).then(() => undefined));
    const signing = openDkimSigning(parts);
    opened.push(() => signing.stop());
    const engine = createEngine(parts, { resolver, store, mtaSts, reporting, watch, signer: signing.signer });
    const submission = await openSubmission(parts, store);
    const { listener } = submission;
    const checks = (): ReturnType<typeof checksOf> => checksOf(store, { submission, operator, signing }, resolver);
    const operator: Operator = openOperator(parts, { store, engine, resolver, mtaSts, submission, watch, checks });
    const metrics = createExposition(parts.instruments, () =>
      observe(parts, { store, submission, engine, resolver, signing, watch, operator }),
    );
    if (options.onQuestion === undefined) {
      const admin = await createAdmin({ listen: parts.config.admin.listen, ...operator, metrics, checks, placeOf: networkOf });
      opened.push(() => admin.close());
    } else options.onQuestion(answersOf(parts, { metrics, checks, store, engine, operator }));
    const control = await openControl(parts, operator);
    opened.push(() => control.close());
    resolver.start();
    mtaSts.start();
    engine.start();
    reporting.start();
    opened.push(() => stopDelivery(engine, store, parts));
    const exceptions = createExceptionWatch(parts, engine);
    exceptions.watch(parts.config.delivery.tlsPolicies);
    opened.push(() => exceptions.stop());
    if (options.intake !== "closed") await listener.start();
    opened.push(() => submission.stop(SUBMISSION_DRAIN_MILLISECONDS));
    const reload = async (config: Config): Promise<ReloadResult> => {
      const token = operator.reload(config);
      if (token.kind === "refused") return token;
      const keys = signing.reload(config);
      if (keys.kind === "refused") return keys;
      const result = await submission.reload(config);
      if (result.kind === "refused") return result;
      token.apply();
      keys.apply();
      engine.reconfigure(engineSettings(config));
      exceptions.watch(config.delivery.tlsPolicies);
      return result;
    };
    return { stop: closeAll, reload, failed: failure.promise };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

function partsWith(options: RelayOptions): Parts {
  return {
    ...options,
    instruments: createInstruments(),
    ring: new DeliveryRing(),
    series: new OutcomeSeries(),
    refused: new RefusedDestinations(),
  };
}

function openRelayResolver({ config, clock, random, log, instruments }: Parts): Promise<OpenResolver> {
  return openResolver(resolverSettings(config), {
    clock,
    random,
    onVerdict: ({ type, resolution }) => {
      const label = LOOKUP_TYPE_BY_NUMBER.get(type);
      if (label !== undefined) instruments.dnssecVerdict(label, resolution.status);
    },
    onValidation: (state) => reportValidation(state, log, instruments),
    onExchange: (transport, milliseconds) => instruments.dnsQuery(transport, milliseconds / 1000),
    onTrustAnchor: (event) => log.event({ event: "config", key: "resolver.trustAnchorFile", reason: trustAnchorText(event) }),
  });
}

function reportValidation(state: ValidationState, log: Log, instruments: Instruments): void {
  const validating = state.kind === "validating" ? "validating" : "not-validating";
  instruments.dnssecValidating(validating);
  instruments.dnsSource(state.mode);
  log.event({ event: "dnssec", state: validating, source: state.source, reason: state.reason });
}

function openRelayMtaSts({ config, clock, log }: Parts, { resolver }: OpenResolver): Promise<MtaSts> {
  const { mtaSts, delivery } = config;
  return openMtaSts(
    { ...mtaSts, directory: stateDirectoryOf(config), allowLoopback: delivery.allowLoopback },
    { resolver, clock, onEvent: (event) => log.event(stsEvent(event)) },
  );
}

/** Who hears of each session: the reports to its operator, and the history of the host. */
function openRelayObservers(parts: Parts, { resolver }: OpenResolver, store: Store): { reporting: TlsReporting; watch: Watch } {
  const { log } = parts;
  const reporting = openTlsReporting({
    ...parts,
    resolver,
    store,
    onEvent: (event) => reportTlsReport(event, parts),
    onTrouble: (error) => log.event({ event: "queue", state: "unwritable", reason: `TLS reports: ${textOf(error)}` }),
  });
  return { reporting, watch: openWatch(parts) };
}

function reportTlsReport(event: ReportEvent, { log, instruments }: Parts): void {
  if (event.result !== "deferred") instruments.tlsrptReport(event.result);
  log.event({ event: "tlsrpt", ...event });
}

type Checked = { submission: Submission; operator: Pick<Operator, "tokenCheck">; signing: Pick<DkimSigning, "checks"> };

/** What /readyz says: the spool and the listeners decide; DNSSEC only degrades, since mail can wait for it. */
async function checksOf(
  store: Store,
  { submission: { listener, fileChecks }, operator, signing }: Checked,
  resolver: OpenResolver,
): Promise<readonly Check[]> {
  const health = await store.health();
  const spool: Check =
    health.kind === "writable"
      ? { name: "spool", status: "ok", text: "mail can be kept" }
      : { name: "spool", status: "failed", text: health.reason };
  const addresses = listener.addresses();
  const submission: Check =
    addresses.length > 0
      ? { name: "submission", status: "ok", text: `accepting mail on ${addresses.join(", ")}` }
      : { name: "submission", status: "failed", text: "no address accepts mail: the relay is starting or stopping" };
  return [spool, submission, ...fileChecks(), ...operator.tokenCheck(), ...signing.checks(), dnssecCheck(resolver.validation())];
}

function dnssecCheck(state: ValidationState): Check {
  if (state.kind === "validating") return { name: "dnssec", status: "ok", text: `validating; ${state.source}: ${state.reason}` };
  const consequence = "mail to destinations that cannot be validated waits in the queue; none is sent unprotected";
  return { name: "dnssec", status: "degraded", text: `not validating; ${state.source}: ${state.reason}; ${consequence}` };
}
