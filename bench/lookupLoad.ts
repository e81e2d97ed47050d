import type { DomainName } from "../src/dns/name.ts";
import type { LookupType } from "../src/dns/rdata.ts";

export type Lookup = { name: DomainName; type: Extract<LookupType, "MX" | "A" | "AAAA" | "TLSA"> };

export type LoadFigures = {
  perSecond: number;
  cpuMicroseconds: number;
  p50Microseconds: number;
  p99Microseconds: number;
};

/** Runs `lookups` once each, so many at a time; rejects unless every one ends as `ask` says it must. `cpu`: seconds used by who is measured. */
export async function load(
  lookups: readonly Lookup[],
  inFlight: number,
  ask: (lookup: Lookup) => Promise<void>,
  cpu: () => number,
): Promise<LoadFigures> {
  const microseconds = new Float64Array(lookups.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < lookups.length; i = next++) {
      const lookup = lookups[i];
      if (lookup === undefined) return;
      const began = performance.now();
      await ask(lookup);
      microseconds[i] = (performance.now() - began) * 1000;
    }
  };
  const cpuBefore = cpu();
  const began = performance.now();
  await Promise.all(Array.from({ length: inFlight }, worker));
  const seconds = (performance.now() - began) / 1000;
  const cpuSeconds = cpu() - cpuBefore;
  microseconds.sort();
  const percentile = (share: number): number => microseconds[Math.floor((lookups.length - 1) * share)] ?? Number.NaN;
  return {
    perSecond: lookups.length / seconds,
    cpuMicroseconds: (cpuSeconds / lookups.length) * 1e6,
    p50Microseconds: percentile(0.5),
    p99Microseconds: percentile(0.99),
  };
}

/** CPU seconds of this process, with the threads of its engine. */
export function ownCpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
