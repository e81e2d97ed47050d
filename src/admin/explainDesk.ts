import type { TargetError } from "../delivery/explain.ts";
import type { Html } from "./html.ts";

/**
 * Explanations for the page: each makes the relay ask DNS and connect outwards, so there are few at a time and few in a minute. One that takes longer
 * than a browser's user waits goes on, and is there when it is asked for again.
 */
export type PageExplanation = { kind: "explained"; content: Html } | TargetError;

export type DeskAnswer =
  | PageExplanation
  /** Not begun: to be asked for again. */
  | { kind: "busy"; because: string }
  | { kind: "slow" }
  | { kind: "failed"; reason: string };

export type DeskOptions = {
  explain: (target: string) => Promise<PageExplanation>;
  monotonic: () => number;
  patienceMilliseconds?: number;
};

const PATIENCE_MILLISECONDS = 25_000;
const AT_ONCE = 2;
const PER_MINUTE = 10;
const MINUTE_MILLISECONDS = 60_000;
/** A finished one is shown again for so long, so that a reload does not ask the world anew. */
const KEPT_MILLISECONDS = 20_000;
/** One that was slow waits for who asked for it. */
const KEPT_SLOW_MILLISECONDS = 180_000;
export const MAX_TARGET_CHARACTERS = 320;

type Asked = { answer: Promise<DeskAnswer>; until: number; slow: "yes" | "no" };

export class ExplainDesk {
  readonly #options: DeskOptions;
  readonly #asked = new Map<string, Asked>();
  #begun: readonly number[] = [];
  #running = 0;

  constructor(options: DeskOptions) {
    this.#options = options;
  }

  /** Never rejects. */
  async ask(text: string): Promise<DeskAnswer> {
    const target = text.trim();
    if (target.length > MAX_TARGET_CHARACTERS) return { kind: "error", reason: "that is too long for a domain or an address" };
    const now = this.#options.monotonic();
    for (const [key, { until }] of this.#asked) if (until <= now) this.#asked.delete(key);
    const known = this.#asked.get(target.toLowerCase());
    if (known !== undefined) return this.#patiently(known);
    this.#begun = this.#begun.filter((at) => at > now - MINUTE_MILLISECONDS);
    if (this.#running >= AT_ONCE) return { kind: "busy", because: `${AT_ONCE} explanations are being made already` };
    if (this.#begun.length >= PER_MINUTE)
      return { kind: "busy", because: `${PER_MINUTE} explanations were begun within a minute` };
    this.#begun = [...this.#begun, now];
    return this.#patiently(this.#begin(target));
  }

  #begin(target: string): Asked {
    this.#running += 1;
    const one: Asked = { answer: this.#explained(target), until: Number.POSITIVE_INFINITY, slow: "no" };
    this.#asked.set(target.toLowerCase(), one);
    void one.answer.then(() => {
      this.#running -= 1;
      one.until = this.#options.monotonic() + (one.slow === "yes" ? KEPT_SLOW_MILLISECONDS : KEPT_MILLISECONDS);
    });
    return one;
  }

  async #explained(target: string): Promise<DeskAnswer> {
    try {
      return await this.#options.explain(target);
    } catch (error) {
      // It rejects on a bug only; whoever looks at the page should read of it.
      return { kind: "failed", reason: error instanceof Error ? error.message : String(error) };
    }
  }

  async #patiently(one: Asked): Promise<DeskAnswer> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<DeskAnswer>((resolve) => {
      timer = setTimeout(() => {
        one.slow = "yes";
        resolve({ kind: "slow" });
      }, this.#options.patienceMilliseconds ?? PATIENCE_MILLISECONDS);
    });
    try {
      return await Promise.race([one.answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
