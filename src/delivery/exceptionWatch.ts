import type { Clock } from "../clock.ts";
import type { DomainCheck } from "./domainCheck.ts";
import { exceptionsOf, type TlsException, type TlsPolicySetting } from "./tlsPolicies.ts";

/**
 * Exceptions of `delivery.tlsPolicies` in time: each is checked when it is first seen and again some days before it lapses, so that the
 * operator learns whether it is still needed; and its end is told. That an expired one counts for nothing is decided by demandOf alone.
 *
 *   seen --check--> (72 hours before the end) --check--> expired
 */
export type ExceptionEvent =
  | { kind: "checked"; exception: TlsException; check: DomainCheck }
  | { kind: "expired"; exception: TlsException };

export type ExceptionWatchOptions = {
  clock: Clock;
  check: (domain: string) => Promise<DomainCheck>;
  onEvent: (event: ExceptionEvent) => void;
};

/** A working day is left even when a long weekend lies before the end. */
const LEAD_MILLISECONDS = 72 * 3_600_000;
/** Timers go no further than 24.8 days, and clocks are set. */
const LONGEST_SLEEP_MILLISECONDS = 24 * 3_600_000;

type Watched = { exception: TlsException; checks: number; told: "no" | "expired" };

export class ExceptionWatch {
  readonly #options: ExceptionWatchOptions;
  #watched = new Map<string, Watched>();
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> = Promise.resolve();
  #state: "running" | "stopped" = "running";

  constructor(options: ExceptionWatchOptions) {
    this.#options = options;
  }

  /** These from now on; what was told of one that is still among them is not told again. */
  watch(policies: readonly TlsPolicySetting[]): void {
    const watched = exceptionsOf(policies).map((exception): [string, Watched] => {
      const key = JSON.stringify([exception.domain, exception.level, exception.expiresAt]);
      return [key, { ...(this.#watched.get(key) ?? { checks: 0, told: "no" }), exception }];
    });
    this.#watched = new Map(watched);
    this.#wake();
  }

  /** Nothing more is told; a check that is under way is not waited for, since a silent host may take minutes. */
  stop(): void {
    this.#state = "stopped";
    clearTimeout(this.#timer);
  }

  /** One after the other: what an operator has many of should not be asked all at once. */
  #wake(): void {
    clearTimeout(this.#timer);
    this.#turn = this.#turn.then(() => this.#attend());
  }

  async #attend(): Promise<void> {
    for (const watched of this.#watched.values()) {
      if (this.#state === "stopped") return;
      await this.#look(watched);
    }
    if (this.#state === "running") this.#sleep();
  }

  async #look(watched: Watched): Promise<void> {
    const { clock, check, onEvent } = this.#options;
    const { exception } = watched;
    if (exception.expiresAt <= clock.now()) {
      if (watched.told === "no") onEvent({ kind: "expired", exception });
      watched.told = "expired";
    } else if (watched.checks < checksDue(exception, clock.now())) {
      watched.checks = checksDue(exception, clock.now());
      const event = { kind: "checked", exception, check: await found(exception, check) } as const;
      if (this.#state === "running") onEvent(event);
    }
  }

  #sleep(): void {
    const now = this.#options.clock.now();
    const moments = [...this.#watched.values()].flatMap(({ exception: { expiresAt } }) => [
      expiresAt - LEAD_MILLISECONDS,
      expiresAt,
    ]);
    const next = Math.min(...moments.filter((moment) => moment > now), now + LONGEST_SLEEP_MILLISECONDS);
    if (this.#watched.size === 0) return;
    this.#timer = setTimeout(() => this.#wake(), next - now);
    this.#timer.unref();
  }
}

/** One when it is first seen, another shortly before its end; one for both where that is the same moment. */
function checksDue({ expiresAt }: TlsException, now: number): 1 | 2 {
  return expiresAt - now <= LEAD_MILLISECONDS ? 2 : 1;
}

async function found({ domain }: TlsException, check: ExceptionWatchOptions["check"]): Promise<DomainCheck> {
  if (domain.startsWith(".")) {
    return { kind: "undecided", text: "it is for all subdomains, of which none is known here" };
  }
  try {
    return await check(domain);
  } catch (error) {
    // A bug of ours must not end the watch over the others.
    return {
      kind: "undecided",
      text: `the check broke off inside dane-relay: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}

/** One sentence for the log. */
export function exceptionText(event: ExceptionEvent): string {
  const { exception } = event;
  const until = new Date(exception.expiresAt).toISOString();
  const because = exception.reason === undefined ? "" : `; its reason was: ${exception.reason}`;
  const what = `the exception for ${exception.domain} (${exception.level})`;
  if (event.kind === "expired") return `${what} expired at ${until} and counts no more: remove it${because}`;
  const { kind, text } = event.check;
  switch (kind) {
    case "met":
      return `${what} until ${until} is not needed any more: ${text}: remove it${because}`;
    case "unmet":
      return `${what} until ${until} is still needed: without it mail would wait, since ${text}${because}`;
    case "undecided":
      return `whether ${what} until ${until} is still needed cannot be told now: ${text}${because}`;
    default:
      return kind satisfies never;
  }
}
