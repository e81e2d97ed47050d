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
 * Of a message that came in the future the clock says nothing: it went back since. Then waits that add up to this many lifetimes are enough; more
 * than one, for an operator may cut waits short.
 */
const LIFETIMES_WAITED = 2;

/**
 * Decides after attempt number `attempts` (1 for the first) ended deferred at `now` (milliseconds). `since`: when the message came in, by the
 * clock that says `now`. `mayExpire`: "not-yet" where that clock may be wrong. `random` is uniform in [0, 1). The last attempt falls on the end of
 * the lifetime, not before it and not after.
 */
export function retryDecision(
  settings: RetrySettings,
  state: {
    now: number;
    since: number;
    mayExpire: "yes" | "not-yet";
    attempts: number;
    delayWarned: boolean;
    random: number;
  },
): RetryDecision {
  const lifetime = settings.lifetimeHours * HOUR;
  const endOfLife = state.since + lifetime;
  const isOver = state.now >= endOfLife;
  if (isOver && state.mayExpire === "yes") return { kind: "expired" };
  // Only here: after a change of the settings, the attempts say little of the time.
  if (state.now < state.since && waited(settings, state.attempts) >= LIFETIMES_WAITED * lifetime) return { kind: "expired" };
  const jittered = waitSeconds(settings, state.attempts) * (1 + JITTER * (state.random - 0.5)) * 1000;
  const warningDue = state.now >= state.since + settings.delayWarningHours * HOUR;
  const next = Math.round(state.now + jittered);
  return {
    kind: "retry",
    atMilliseconds: isOver ? next : Math.min(next, endOfLife),
    warn: warningDue && !state.delayWarned ? "now" : "no",
  };
}

/** The wait after attempt number `attempts`. */
function waitSeconds({ initialSeconds, maximumSeconds }: RetrySettings, attempts: number): number {
  const doublings = Math.min(Math.max(attempts - 1, 0), 30);
  return Math.min(initialSeconds * 2 ** doublings, maximumSeconds);
}

/** Milliseconds between the first and the last of so many attempts, at the shortest. */
function waited(settings: RetrySettings, attempts: number): number {
  const { initialSeconds, maximumSeconds } = settings;
  const growing = Math.max(0, Math.min(attempts - 1, Math.ceil(Math.log2(maximumSeconds / initialSeconds))));
  const seconds = initialSeconds * (2 ** growing - 1) + maximumSeconds * Math.max(0, attempts - 1 - growing);
  return seconds * (1 - JITTER / 2) * 1000;
}
