import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock, Random } from "../clock.ts";
import { type DomainName, ROOT } from "../dns/name.ts";
import { algorithmTable } from "../dnssec/algorithm.ts";
import type { Nsec3IterationLimits } from "../dnssec/nsec3.ts";
import { openActiveRefresh, type TrustAnchorEvent } from "./activeRefresh.ts";
import { createForwarder } from "./forwarder.ts";
import { type DnsPace, pacedTransport } from "./pacedTransport.ts";
import { probeUpstream, probeValidation } from "./probe.ts";
import { createRecursor } from "./recursor.ts";
import { createResolver, type ResolverOptions, type ValidatingResolver, type Verdict } from "./resolver.ts";
import { IANA_ROOT_SERVERS, parseRootHints, type RootServer } from "./rootHints.ts";
import { createTransport } from "./socketTransport.ts";
import { choiceText, type ResolverMode, SourceSelection } from "./sourceSelection.ts";
import type { ExchangeResult, ServerAddress, Transport } from "./transport.ts";
import { loadTrustAnchors } from "./trustAnchorStore.ts";
import { ValidationMonitor, type ValidationState } from "./validationMonitor.ts";

export type ResolverSettings = {
  mode: ResolverMode;
  upstreams: readonly ServerAddress[];
  trustAnchorFile?: string | undefined;
  /** Where the state of RFC 5011 is kept. Without it the trust anchors stay as they are configured. */
  stateDirectory?: string | undefined;
  rootHintsFile?: string | undefined;
  sha1: "insecure" | "validate";
  insecureZones: readonly DomainName[];
  forwardZones: readonly { zone: DomainName; upstreams: readonly [ServerAddress, ...ServerAddress[]] }[];
  timeoutSeconds: number;
  nsec3Iterations: Nsec3IterationLimits;
  probe: { good?: DomainName | undefined; bad?: DomainName | undefined };
  /** Whether the recursor may ask name servers at loopback addresses: laboratories. */
  allowLoopback: boolean;
};

export type ResolverEvents = {
  onVerdict: (verdict: Verdict) => void;
  onValidation: (state: ValidationState) => void;
  onExchange: (transport: "udp" | "tcp" | "tls", milliseconds: number) => void;
  onTrustAnchor: (event: TrustAnchorEvent) => void;
};

export type OpenResolver = {
  resolver: ValidatingResolver;
  validation: () => ValidationState;
  /** A resolver with the same source and anchors, and a memory of its own, that shows its evidence; `clock` may be another time. */
  observed: (observation: Pick<ResolverOptions, "clock" | "onEvidence">) => ValidatingResolver;
  /** Where DNS data comes from now, in words. */
  sourceText: () => string;
  /** Begins to choose a source and to probe validation. */
  start: () => void;
  close: () => void;
};

/** Answers and zones that are remembered; a few hundred octets each. */
const CACHE_ENTRIES = 100_000;
const TRUST_CACHE_ENTRIES = 20_000;
const OBSERVED_CACHE_ENTRIES = 10_000;
const PROBE_MILLISECONDS = 5000;
const TRUST_POINT_FILE = "trust-anchors.json";

/** Builds the look-ups that `resolver.*` asks for. Rejects with what is wrong when a file of it cannot be used. */
export async function openResolver(
  settings: ResolverSettings,
  surroundings: { clock: Clock; random: Random; pace?: DnsPace } & ResolverEvents,
): Promise<OpenResolver> {
  const { clock, random, onVerdict, onValidation, onExchange } = surroundings;
  const read = await loadTrustAnchors(settings.trustAnchorFile);
  if (read.kind === "error") throw new Error(`resolver.trustAnchorFile: ${read.reason}`);
  const rootHints = await rootHintsOf(settings.rootHintsFile);
  const sockets = createTransport({ clock, random });
  const transport = measured(pacedTransport(sockets, surroundings.pace, clock), onExchange);
  // The probe wants a zone that is signed for certain: the root, or the highest name with an anchor of one's own.
  const zone = read.anchors.has(ROOT) ? ROOT : ([...read.anchors.keys()][0] ?? ROOT);
  const { timeoutSeconds } = settings;
  const limits = { questionMilliseconds: timeoutSeconds * 1000 };
  const forwarder = (upstreams: readonly [ServerAddress, ...ServerAddress[]]) =>
    createForwarder({ upstreams, transport, clock, timeoutSeconds });
  const selection = new SourceSelection({
    mode: settings.mode,
    upstreams: settings.upstreams,
    forward: forwarder,
    recursive: () => createRecursor({ transport, clock, random, rootHints, allowLoopback: settings.allowLoopback, limits }),
    probe: (upstream) => probeUpstream(upstream, { transport, zone, timeoutMilliseconds: PROBE_MILLISECONDS }),
    forwardZones: settings.forwardZones.map((entry) => ({ zone: entry.zone, source: forwarder(entry.upstreams) })),
  });
  const algorithms = algorithmTable({ sha1: settings.sha1 });
  const { stateDirectory } = settings;
  const following = { configured: read.anchors, algorithms, source: selection, clock, onEvent: surroundings.onTrustAnchor };
  const refresh =
    stateDirectory === undefined
      ? undefined
      : await openActiveRefresh({ ...following, file: join(stateDirectory, TRUST_POINT_FILE) });
  const validation = {
    source: selection,
    anchors: () => refresh?.anchors ?? read.anchors,
    algorithms,
    clock,
    timeoutSeconds,
    trustCacheEntries: TRUST_CACHE_ENTRIES,
    insecureZones: new Set(settings.insecureZones),
    nsec3Iterations: settings.nsec3Iterations,
  };
  const { good, bad } = settings.probe;
  const names = { zone, ...(good === undefined ? {} : { good }), ...(bad === undefined ? {} : { bad }) };
  const monitor = new ValidationMonitor({ selection, probe: () => probeValidation(validation, names), onChange: onValidation });
  return {
    resolver: createResolver({ ...validation, cacheEntries: CACHE_ENTRIES, onVerdict }),
    validation: () => monitor.state,
    sourceText: () => (selection.choice === undefined ? "no source was chosen yet" : choiceText(selection.choice)),
    observed: (observation) => createResolver({ ...validation, ...observation, cacheEntries: OBSERVED_CACHE_ENTRIES }),
    start: () => {
      monitor.start();
      refresh?.start();
    },
    close: () => {
      monitor.stop();
      refresh?.stop();
      sockets.close();
    },
  };
}

async function rootHintsOf(file: string | undefined): Promise<readonly RootServer[]> {
  if (file === undefined) return IANA_ROOT_SERVERS;
  const hints = parseRootHints(await readFile(file, "utf8"));
  if ("kind" in hints) throw new Error(`resolver.rootHintsFile: ${file}: ${hints.reason}`);
  return hints;
}

function measured(transport: Transport, onExchange: ResolverEvents["onExchange"]): Transport {
  return {
    exchange: async (server, query, timeoutMilliseconds): Promise<ExchangeResult> => {
      const result = await transport.exchange(server, query, timeoutMilliseconds);
      if (result.kind === "response") onExchange(result.transport, result.milliseconds);
      return result;
    },
  };
}
