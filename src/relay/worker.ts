import type { Check } from "../admin/health.ts";
import type { Instruments } from "../metrics/instruments.ts";
import { Supervised } from "../workers/supervised.ts";
import type { Answer, Subject } from "../workers/workerMessage.ts";

/** The channel of this worker process to its supervisor; throws where there is none. */
export function underSupervision(): Supervised {
  return new Supervised();
}

/** What a worker process tells its supervisor of itself. */
export function answersOf(
  instruments: Instruments,
  exposition: () => Promise<string>,
  checks: () => Promise<readonly Check[]>,
): (what: Subject) => Promise<Answer> {
  return async (what) => {
    switch (what) {
      case "metrics":
        // It asks for the gauges' values, and puts them into the registry.
        await exposition();
        return { what, metrics: await instruments.registry.getMetricsAsJSON() };
      case "checks":
        return { what, checks: await checks() };
      default:
        return what satisfies never;
    }
  };
}
