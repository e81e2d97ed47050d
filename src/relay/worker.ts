import type { DeliveryRecord } from "../admin/deliveryRing.ts";
import type { Check } from "../admin/health.ts";
import type { RelayState } from "../admin/relayStatus.ts";
import type { DeliveryEngine } from "../delivery/engine.ts";
import type { OpenResolver } from "../resolver/openResolver.ts";
import type { AdministeredStore } from "../spool/queueAdmin.ts";
import { Supervised } from "../workers/supervised.ts";
import type { Answer, Subject } from "../workers/workerMessage.ts";
import type { Parts } from "./parts.ts";
import { answerQueueQuestion, type QueueQuestion } from "./queueQuestion.ts";

/** The channel of this worker process to its supervisor; throws where there is none. */
export function underSupervision(): Supervised {
  return new Supervised();
}

/** What the supervisor's API says of a worker. */
export type WorkerState = Pick<RelayState, "validation" | "counts" | "exceptions"> & { deliveries: readonly DeliveryRecord[] };

export type WorkerNeeds = {
  metrics: () => Promise<string>;
  checks: () => Promise<readonly Check[]>;
  store: AdministeredStore;
  resolver: OpenResolver;
  engine: DeliveryEngine;
};

/** Attempts that one worker tells of. */
const DELIVERIES = 500;

/** What a worker process tells its supervisor of itself, and does for it. */
export function answersOf(parts: Parts, needs: WorkerNeeds): (what: Subject, request: unknown) => Promise<Answer> {
  const { metrics, checks, store, resolver, engine } = needs;
  return async (what, request) => {
    switch (what) {
      case "metrics":
        // It asks for the gauges' values, and puts them into the registry.
        await metrics();
        return { what, metrics: await parts.instruments.registry.getMetricsAsJSON() };
      case "checks":
        return { what, checks: await checks() };
      case "state": {
        const state: WorkerState = {
          validation: resolver.validation(),
          counts: await store.counts(),
          exceptions: engine.activeExceptions(),
          deliveries: parts.ring.recent(DELIVERIES, () => true),
        };
        return { what, state };
      }
      case "queue": {
        // From our own supervisor, which has checked it.
        const question = request as QueueQuestion;
        const result = await answerQueueQuestion(store.queueAdmin, question);
        if (question.kind === "act" && question.action === "retry") engine.endRests();
        return { what, result };
      }
      default:
        return what satisfies never;
    }
  };
}
