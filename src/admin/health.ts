/**
 * What /livez and /readyz say. Ready means: mail can be taken and kept. A check that is `degraded` (DNSSEC validation broken) does not make
 * the relay unready, because mail can queue; with ?strict it does.
 */
export type Check = {
  name: string;
  status: "ok" | "degraded" | "failed";
  /** What is, and where it is not ok, what to do. */
  text: string;
};

export type HealthReport = { status: 200 | 503; body: string };

/** Time that a check may take; one that hangs has failed. */
export const CHECK_MILLISECONDS = 5000;

/** The verdict on `checks`, with every check as a line. Nothing checked is nothing known: not ready. */
export function healthReport(checks: readonly Check[], mode: "lenient" | "strict"): HealthReport {
  const failed = checks.length === 0 || checks.some((check) => check.status === "failed");
  const degraded = checks.some((check) => check.status === "degraded");
  const ready = !failed && !(degraded && mode === "strict");
  const verdict = ready ? (degraded ? "ready, but degraded" : "ready") : "not ready";
  const lines = checks.map((check) => `${check.status.padEnd(8)} ${check.name}: ${check.text.replaceAll(/\s*\n\s*/g, " ")}`);
  return { status: ready ? 200 : 503, body: [verdict, ...lines, ""].join("\n") };
}

/** The checks, or what takes their place where they could not be made in time. */
export async function checksWithin(milliseconds: number, checks: () => Promise<readonly Check[]>): Promise<readonly Check[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly Check[]>((resolve) => {
    const text = `no answer within ${milliseconds / 1000} s: the spool's disk or the process itself is overloaded`;
    timer = setTimeout(() => resolve([{ name: "checks", status: "failed", text }]), milliseconds);
  });
  try {
    return await Promise.race([checks(), late]);
  } catch (error) {
    return [{ name: "checks", status: "failed", text: error instanceof Error ? error.message : String(error) }];
  } finally {
    clearTimeout(timer);
  }
}
