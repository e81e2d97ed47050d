import type { ReasonChain } from "./securityStatus.ts";

/** A result that can be used, with its status. `reasons` of an insecure one say where security ended. */
export type Grade = { kind: "grade"; status: "secure" | "insecure"; ttlSeconds: number; reasons?: ReasonChain };

/** What nothing has been found against yet. */
export const SECURE_FOR_EVER: Grade = { kind: "grade", status: "secure", ttlSeconds: Number.POSITIVE_INFINITY };

export function secure(ttlSeconds: number): Grade {
  return { kind: "grade", status: "secure", ttlSeconds };
}

export function insecure(reasons: ReasonChain, ttlSeconds: number): Grade {
  return { kind: "grade", status: "insecure", ttlSeconds, reasons };
}

/** What holds for two things together; the reasons are those of the first that is insecure. */
export function leastGrade(a: Grade, b: Grade): Grade {
  const ttlSeconds = Math.min(a.ttlSeconds, b.ttlSeconds);
  return a.status === "insecure" ? { ...a, ttlSeconds } : { ...b, ttlSeconds };
}
