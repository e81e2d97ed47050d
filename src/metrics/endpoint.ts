import type { Instruments } from "./instruments.ts";
import type { Observations } from "./observations.ts";

/** Time that a scrape waits for what has to be asked for; Prometheus itself waits 10 s by default. */
const OBSERVATION_MILLISECONDS = 5000;

/**
 * The text of /metrics in the Prometheus exposition format. `observe` asks for the gauges' values; when it rejects, or takes too long, the
 * counters are still told, and the queue's gauges have no value. Scrapes that come at the same time share one answer.
 */
export function createExposition(instruments: Instruments, observe: () => Promise<Observations>): () => Promise<string> {
  let underWay: Promise<string> | undefined;
  const expose = async (): Promise<string> => {
    instruments.observe(await within(OBSERVATION_MILLISECONDS, observe));
    return instruments.registry.metrics();
  };
  return () => {
    underWay ??= expose().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}

async function within(milliseconds: number, observe: () => Promise<Observations>): Promise<Observations | "unknown"> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"unknown">((resolve) => {
    timer = setTimeout(() => resolve("unknown"), milliseconds);
  });
  try {
    // A failed look at the queue is said by /readyz in words; here it is the absence of a value.
    return await Promise.race([observe().catch(() => "unknown" as const), late]);
  } finally {
    clearTimeout(timer);
  }
}
