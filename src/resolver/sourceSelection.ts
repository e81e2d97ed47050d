import { RR_TYPE } from "../dns/message.ts";
import { type DomainName, isWithin, labelCount, parentOf } from "../dns/name.ts";
import type { UpstreamReport } from "./probe.ts";
import type { AskOptions, Source, SourceAnswer } from "./source.ts";
import type { ServerAddress } from "./transport.ts";

/** `resolver.mode`. */
export type ResolverMode = "forward" | "recursive" | "auto";

/** Where data comes from now, and why in words for the log and /readyz. */
export type SourceChoice = { source: "forward" | "recursive"; reason: string };

export type SelectionOptions = {
  mode: ResolverMode;
  upstreams: readonly ServerAddress[];
  /** A source that asks exactly these upstreams. */
  forward: (upstreams: readonly [ServerAddress, ...ServerAddress[]]) => Source;
  recursive: () => Source;
  /** What an upstream passes on. */
  probe: (upstream: ServerAddress) => Promise<UpstreamReport>;
  /** Private zones with servers of their own, whatever the mode. */
  forwardZones: readonly { zone: DomainName; source: Source }[];
};

/**
 * The source that `resolver.mode` leads to. In `auto` nothing is asked before `choose` has found out what the upstreams pass: an upstream that
 * strips DNSSEC would make every signed name bogus. Validation above is the same for every source; a wrong choice costs delivery, not safety.
 */
export class SourceSelection implements Source {
  readonly #options: SelectionOptions;
  readonly #recursive: Source;
  #current: { choice: SourceChoice; source: Source; passing: string } | undefined;
  #choosing: Promise<SourceChoice> | undefined;

  constructor(options: SelectionOptions) {
    this.#options = options;
    this.#recursive = options.recursive();
  }

  get choice(): SourceChoice | undefined {
    return this.#current?.choice;
  }

  async ask(name: DomainName, type: number, options?: AskOptions): Promise<SourceAnswer> {
    // RFC 4035 §3.1.4.1: the DS of a zone's apex is the parent's to answer.
    const zone = this.#zoneOf(type === RR_TYPE.DS ? (parentOf(name) ?? name) : name);
    if (zone !== undefined) return zone.source.ask(name, type, options);
    if (this.#current === undefined) await this.choose();
    const source = this.#current?.source;
    return source === undefined
      ? { kind: "failed", reason: "no source of DNS data was found yet" }
      : source.ask(name, type, options);
  }

  /** Probes the upstreams (in `auto`) and settles on a source; calls at the same time share one probe. */
  choose(): Promise<SourceChoice> {
    this.#choosing ??= this.#decide().finally(() => {
      this.#choosing = undefined;
    });
    return this.#choosing;
  }

  async #decide(): Promise<SourceChoice> {
    const { mode, upstreams, probe } = this.#options;
    const [first, ...rest] = upstreams;
    switch (mode) {
      case "recursive":
        return this.#settle([], "resolver.mode is recursive");
      case "forward":
        if (first === undefined) throw new Error("resolver.mode is forward, but there is no upstream");
        return this.#settle([first, ...rest], "resolver.mode is forward");
      case "auto": {
        const reports = await Promise.all(upstreams.map((upstream) => probe(upstream)));
        const passing = reports.filter((report) => report.kind === "passes").map((report) => report.upstream);
        const verdicts = reports.map((report) => report.verdict).join("; ");
        return this.#settle(passing, verdicts === "" ? "there is no upstream" : verdicts);
      }
      default:
        return mode satisfies never;
    }
  }

  /** A source is made anew only when the upstreams behind it change: what it has learned of them is worth keeping. */
  #settle(upstreams: readonly ServerAddress[], reason: string): SourceChoice {
    const [first, ...rest] = upstreams;
    const passing = JSON.stringify(upstreams);
    const choice: SourceChoice = { source: first === undefined ? "recursive" : "forward", reason };
    const unchanged = this.#current?.passing === passing ? this.#current.source : undefined;
    const source = unchanged ?? (first === undefined ? this.#recursive : this.#options.forward([first, ...rest]));
    this.#current = { choice, source, passing };
    return choice;
  }

  #zoneOf(name: DomainName): { zone: DomainName; source: Source } | undefined {
    return this.#options.forwardZones
      .filter(({ zone }) => isWithin(name, zone))
      .sort((a, b) => labelCount(b.zone) - labelCount(a.zone))[0];
  }
}

/** One line for the log and /readyz. */
export function choiceText(choice: SourceChoice): string {
  return `${choice.source === "forward" ? "asking upstreams" : "resolving from the root"} (${choice.reason})`;
}
