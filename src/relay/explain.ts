import type { Clock, Random } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { type ExplainParts, explain, type TargetError } from "../delivery/explain.ts";
import { EvidenceLog } from "../diagnosis/evidenceLog.ts";
import type { Explanation } from "../diagnosis/explanation.ts";
import type { HistoryOf } from "../diagnosis/hostFinding.ts";
import { algorithmTable } from "../dnssec/algorithm.ts";
import type { MtaSts } from "../reporting/openMtaSts.ts";
import type { OpenResolver } from "../resolver/openResolver.ts";
import { engineSettings } from "./delivery.ts";

export type ExplainOptions = {
  /** Milliseconds since the epoch: signatures, certificates and exceptions are judged as of then; default: now. */
  at?: number;
  /** no: only DNS and policies are looked at. */
  connecting?: "yes" | "no";
  /** Certificates that were seen at a host before. */
  historyOf?: HistoryOf;
};

/** Never rejects for what DNS or a host does; `error` is a target that is none. */
export type Explain = (target: string, options?: ExplainOptions) => Promise<Explanation | TargetError>;

export type ExplainNeeds = {
  /** The configuration in force. */
  config: () => Config;
  resolver: OpenResolver;
  mtaSts: MtaSts;
  clock: Clock;
  random: Random;
  /** none (default): each call asks DNS afresh, so that what it shows is what it is now. shared: for a survey of many domains at one time. */
  memory?: "none" | "shared";
  /** Certificates that were seen at a host before, where a call brings none. */
  historyOf?: HistoryOf;
  /** Of a survey: connections that are shared, and what senders do not ask for. */
  survey?: Pick<ExplainParts, "open" | "unsecuredTlsa">;
};

/** What calls have in common: answers, and the evidence that they were judged by. */
type Memory = { log: EvidenceLog; resolver: ExplainParts["resolver"] };

/** The explain function, over the parts that deliveries use. */
export function createExplain({
  config,
  resolver,
  mtaSts,
  clock,
  random,
  memory = "none",
  survey = {},
  historyOf: kept,
}: ExplainNeeds): Explain {
  const remembering = (moment: Clock): Memory => {
    const log = new EvidenceLog();
    return { log, resolver: resolver.observed({ clock: moment, onEvidence: log.hear }) };
  };
  const shared = memory === "shared" ? remembering(clock) : undefined;
  return (target, { at, connecting = "yes", historyOf = kept } = {}) => {
    const shift = at === undefined ? 0 : at - clock.now();
    const moment: Clock = { now: () => clock.now() + shift, monotonic: () => clock.monotonic() };
    const inForce = config();
    const parts: ExplainParts = {
      settings: engineSettings(inForce),
      ...(at === undefined && shared !== undefined ? shared : remembering(moment)),
      algorithms: algorithmTable({ sha1: inForce.resolver.sha1 }),
      source: () => resolver.sourceText(),
      stsPolicyFor: mtaSts.policyFor,
      trustedRoots: mtaSts.trustedRoots,
      clock: moment,
      random,
      ...survey,
      connecting,
      moment: at === undefined ? "now" : "another",
      ...(historyOf === undefined ? {} : { historyOf }),
    };
    return explain(target, parts);
  };
}
