import type { Config } from "../config/schema.ts";
import { bounceEvent, deliveryEvent, isAmbiguous, usageOf } from "../delivery/deliveryEvent.ts";
import { DeliveryEngine, type DeliveryModuleEvent, type DeliverySettings } from "../delivery/engine.ts";
import type { MessageSigner } from "../delivery/messageSigner.ts";
import { name } from "../dns/name.ts";
import type { MtaSts } from "../reporting/openMtaSts.ts";
import type { OpenResolver } from "../resolver/openResolver.ts";
import { messageIds } from "../spool/messageId.ts";
import type { Store } from "../spool/store.ts";
import type { Watch } from "./hostHistory.ts";
import { type Parts, reportTrouble } from "./parts.ts";
import type { TlsReporting } from "./tlsReporting.ts";

export type DeliveryNeeds = {
  signer: MessageSigner;
  resolver: OpenResolver;
  store: Store;
  mtaSts: MtaSts;
  reporting: TlsReporting;
  watch: Watch;
};

/** Delivery as the configuration wants it, its events as log lines and metrics. */
export function createEngine(
  parts: Parts,
  { resolver: { resolver }, store, mtaSts, reporting, watch, signer }: DeliveryNeeds,
): DeliveryEngine {
  const { config, clock, random } = parts;
  return new DeliveryEngine({
    settings: engineSettings(config),
    resolver,
    stsPolicyFor: mtaSts.policyFor,
    trustedRoots: mtaSts.trustedRoots,
    store,
    signer,
    clock,
    random,
    newId: messageIds(clock, random),
    onEvent: (event) => {
      if (event.kind === "session") reporting.record(event.result);
      else if (event.kind === "sight") watch.record(event.sight);
      else reportDelivery(event, parts);
    },
  });
}

/** What a reload may change is in here as a whole. */
export function engineSettings(config: Config): DeliverySettings {
  const { timeouts, ...delivery } = config.delivery;
  const { connectSeconds, commandSeconds } = timeouts;
  return {
    ...delivery,
    hostname: name(config.hostname),
    timeouts: { connectSeconds, ...(commandSeconds === undefined ? {} : { commandSeconds }) },
  };
}

/** Ends delivery, and says after a drain of the queue what stays in the spool. */
export async function stopDelivery(
  engine: DeliveryEngine,
  store: Pick<Store, "counts">,
  { log }: Pick<Parts, "log">,
): Promise<void> {
  const drain = await engine.stop();
  if (drain === "transactions") return;
  const { incoming, deferred, held } = await store.counts();
  if (incoming + deferred + held === 0) return;
  const reason = `${incoming + deferred + held} messages stay in the spool; they are lost if it goes with this process`;
  log.event({ event: "queue", state: "left-behind", incoming, deferred, held, reason });
}

function reportDelivery(
  event: Exclude<DeliveryModuleEvent, { kind: "session" | "sight" }>,
  { log, instruments, clock, ring, series, refused }: Parts,
): void {
  switch (event.kind) {
    case "attempted": {
      const { work, result, seconds } = event;
      const { outcome, trace } = result;
      instruments.delivery(outcome.kind, trace.tls);
      if (isAmbiguous(outcome)) instruments.ambiguousEnding();
      if (outcome.kind !== "deferred") instruments.queueWait(Math.max(0, clock.now() - work.envelope.acceptedAt) / 1000);
      const told = deliveryEvent(work, result, seconds);
      log.event(told);
      const { event: _, ...record } = told;
      const remembered = { at: clock.now(), ...record };
      ring.add(remembered);
      series.add(remembered);
      refused.attempted(work.destination, outcome.kind, trace.dane);
      return;
    }
    case "ended":
      instruments.deliveryDuration(event.outcome, event.seconds);
      return;
    case "reused":
      instruments.connectionReused();
      return;
    case "host":
      instruments.daneOutcome(event.trace.dane, usageOf(event.trace));
      return;
    case "handshake":
      instruments.tlsHandshake(event.protocol, event.group);
      return;
    case "notice":
      log.event(bounceEvent(event.id, event.about, event.notice));
      return;
    case "trouble":
      reportTrouble({ log }, "delivery", event.error);
      return;
    default:
      event satisfies never;
  }
}
