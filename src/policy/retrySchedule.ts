/** When a deferred recipient is tried again, when its sender is warned, and when it is given up (RFC 5321 §4.5.4.1). */
export type RetrySettings = {
  initialSeconds: number;
  maximumSeconds: number;
  lifetimeHours: number;
  delayWarningHours: number;
};

export type RetryDecision =
  | { kind: "retry"; atMilliseconds: number; warn: "now" | "no" }
  /** The lifetime is over: the recipient has failed with its last cause. */
  | { kind: "expired" };

/** A wait is spread over this share of itself, so that what failed together does not come back together. */
const JITTER = 0.2;
const HOUR = 3_600_000;

/**
 * Decides after attempt number `attempts` (1 for the first) ended deferred at `now` (milliseconds). `acceptedAt`: when the message came in.
 * `random` is uniform in [0, 1). The last attempt falls on the end of the lifetime, not before it and not after.
 */
export function retryDecision(
  settings: RetrySettings,
  state: { now: number; acceptedAt: number; attempts: number; delayWarned: boolean; random: number },
): RetryDecision {
  const endOfLife = state.acceptedAt + settings.lifetimeHours * HOUR;
  if (state.now >= endOfLife) return { kind: "expired" };
  const doublings = Math.min(Math.max(state.attempts - 1, 0), 30);
  const wait = Math.min(settings.initialSeconds * 2 ** doublings, settings.maximumSeconds);
  const jittered = wait * (1 + JITTER * (state.random - 0.5)) * 1000;
  const warningDue = state.now >= state.acceptedAt + settings.delayWarningHours * HOUR;
  return {
    kind: "retry",
    atMilliseconds: Math.min(Math.round(state.now + jittered), endOfLife),
    warn: warningDue && !state.delayWarned ? "now" : "no",
  };
}
