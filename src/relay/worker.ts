import type { DeliveryRecord } from "../admin/deliveryRing.ts";
import type { Check } from "../admin/health.ts";
import type { OutcomeMinute } from "../admin/outcomeSeries.ts";
import type { RelayFacts } from "../admin/relayVerdict.ts";
import type { DeliveryEngine } from "../delivery/engine.ts";
import type { AdministeredStore } from "../spool/queueAdmin.ts";
import type { QueueCounts } from "../spool/store.ts";
import { Supervised } from "../workers/supervised.ts";
import type { Answer, Subject } from "../workers/workerMessage.ts";
import type { Operator } from "./operator.ts";
import type { Parts } from "./parts.ts";
import { answerQueueQuestion, type QueueQuestion } from "./queueQuestion.ts";

/** The channel of this worker process to its supervisor; throws where there is none. */
export function underSupervision(): Supervised {
  return new Supervised();
}

/** What the supervisor's API and page say of a worker. */
export type WorkerState = Pick<RelayFacts, "validation" | "exceptions" | "connections" | "hostsAtRisk"> & {
  counts: QueueCounts;
  deliveries: readonly DeliveryRecord[];
  minutes: readonly OutcomeMinute[];
};

export type WorkerNeeds = {
  metrics: () => Promise<string>;
  checks: () => Promise<readonly Check[]>;
  store: AdministeredStore;
  engine: DeliveryEngine;
  operator: Pick<Operator, "facts" | "explain">;
};

/** Attempts that one worker tells of. */
const DELIVERIES = 500;

/** What a worker process tells its supervisor of itself, and does for it. */
export function answersOf(parts: Parts, needs: WorkerNeeds): (what: Subject, request: unknown) => Promise<Answer> {
  const { metrics, checks, store, engine, operator } = needs;
  return async (what, request) => {
    switch (what) {
      case "metrics":
        // It asks for the gauges' values, and puts them into the registry.
        await metrics();
        return { what, metrics: await parts.instruments.registry.getMetricsAsJSON() };
      case "checks":
        return { what, checks: await checks() };
      case "state": {
        const { validation, exceptions, connections, hostsAtRisk, now } = operator.facts();
        const state: WorkerState = {
          ...{ validation, exceptions, connections },
          ...(hostsAtRisk === undefined ? {} : { hostsAtRisk }),
          counts: await store.counts(),
          deliveries: parts.ring.recent(DELIVERIES, () => true),
          minutes: parts.series.since(now),
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
      case "explain":
        return { what, said: await operator.explain(String(request)) };
      default:
        return what satisfies never;
    }
  };
}
