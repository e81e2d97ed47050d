import type { DomainName } from "../dns/name.ts";
import { createForwarder, type ForwarderOptions } from "./forwarder.ts";
import { probeUpstream, type UpstreamReport } from "./probe.ts";
import type { Source } from "./source.ts";
import type { ServerAddress } from "./transport.ts";

/** Where data comes from in mode `auto`, and why. `verdict` is a sentence for log and /readyz. */
export type Choice = { mode: "forward" | "recursive"; verdict: string; reports: readonly UpstreamReport[] };

export type AutoOptions = Omit<ForwarderOptions, "upstreams"> & {
  upstreams: readonly ServerAddress[];
  recursor: Source;
  /** The zone of a trust anchor: what upstreams are probed with. */
  zone: DomainName;
  onChoice?: (choice: Choice) => void;
};

/** A source that forwards to those upstreams that pass DNSSEC, and is a recursor where there is none. */
export interface AutoSource extends Source {
  /** Probes every upstream again and goes by what it finds; called at the start, then from time to time. */
  choose(): Promise<Choice>;
}

/** Until the first choice was made questions wait for it. */
export function createAutoSource(options: AutoOptions): AutoSource {
  const { recursor, transport, zone, timeoutSeconds } = options;
  let current: Promise<Source> | undefined;

  async function choose(): Promise<Choice> {
    const terms = { transport, zone, timeoutMilliseconds: timeoutSeconds * 1000 };
    const reports = await Promise.all(options.upstreams.map((upstream) => probeUpstream(upstream, terms)));
    const [first, ...more] = reports.filter((report) => report.kind === "passes").map((report) => report.upstream);
    const choice = describe(reports, first === undefined ? "recursive" : "forward");
    current = Promise.resolve(first === undefined ? recursor : createForwarder({ ...options, upstreams: [first, ...more] }));
    options.onChoice?.(choice);
    return choice;
  }

  return {
    choose,
    ask: async (name, type, askOptions) => {
      current ??= choose().then(() => current ?? recursor);
      return await (await current).ask(name, type, askOptions);
    },
  };
}

function describe(reports: readonly UpstreamReport[], mode: Choice["mode"]): Choice {
  const details = reports.map((report) => report.verdict).join("; ");
  const what = mode === "forward" ? "forwarding" : "resolving from the root";
  return { mode, verdict: reports.length === 0 ? `${what}: no upstream is configured` : `${what}: ${details}`, reports };
}
