import type { ValidationProbe } from "./probe.ts";
import { choiceText, type SourceSelection } from "./sourceSelection.ts";

/** Whether DNSSEC validation works now. `unknown` until the first probe has ended: not validating, as far as anybody knows. */
export type ValidationState = {
  kind: "unknown" | "validating" | "notValidating";
  /** Where data comes from, in words, and as one. */
  source: string;
  mode: "forward" | "recursive" | "none";
  reason: string;
};

export type MonitorOptions = {
  selection: SourceSelection;
  probe: () => Promise<ValidationProbe>;
  /** Called with the first result and whenever it changes. */
  onChange: (state: ValidationState) => void;
};

const GOOD_INTERVAL_MILLISECONDS = 300_000;
/** A broken resolver is looked at more often: mail is waiting for it. */
const BAD_INTERVAL_MILLISECONDS = 20_000;

/** Chooses the source and probes it, again and again: resolvers change behind our back. */
export class ValidationMonitor {
  readonly #options: MonitorOptions;
  #state: ValidationState = {
    kind: "unknown",
    source: "none yet",
    mode: "none",
    reason: "the validation probe has not ended yet",
  };
  #timer: NodeJS.Timeout | undefined;
  #running: "yes" | "no" = "no";

  constructor(options: MonitorOptions) {
    this.#options = options;
  }

  get state(): ValidationState {
    return this.#state;
  }

  start(): void {
    this.#running = "yes";
    void this.#round();
  }

  stop(): void {
    this.#running = "no";
    clearTimeout(this.#timer);
  }

  async #round(): Promise<void> {
    const state = await this.#look();
    if (this.#running === "no") return;
    const changed = state.kind !== this.#state.kind || state.source !== this.#state.source;
    this.#state = state;
    if (changed) this.#options.onChange(state);
    const wait = state.kind === "validating" ? GOOD_INTERVAL_MILLISECONDS : BAD_INTERVAL_MILLISECONDS;
    this.#timer = setTimeout(() => void this.#round(), wait);
    this.#timer.unref();
  }

  async #look(): Promise<ValidationState> {
    try {
      const choice = await this.#options.selection.choose();
      const where = { source: choiceText(choice), mode: choice.source };
      const probe = await this.#options.probe();
      if (probe.kind === "notValidating") return { kind: "notValidating", ...where, reason: probe.reason };
      return { kind: "validating", ...where, reason: "a good signature holds, a bad one is refused" };
    } catch (error) {
      // Whatever broke the probe, validation was not seen to work.
      const reason = error instanceof Error ? error.message : String(error);
      return { kind: "notValidating", source: "none", mode: "none", reason: `the validation probe failed: ${reason}` };
    }
  }
}
