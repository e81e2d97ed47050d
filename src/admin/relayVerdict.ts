import { counted, spanText } from "../diagnosis/quantity.ts";
import type { QueueCounts } from "../spool/store.ts";
import type { Asked } from "./asked.ts";
import type { Check } from "./health.ts";
import { OUTCOME_GROUPS, type OutcomeGroup, type OutcomeMinute } from "./outcomeSeries.ts";
import type { RelayState } from "./relayStatus.ts";

/** The state of the relay in one glance. What could not be asked is never called fine. */
export type RelayVerdict = { kind: "fine" | "degraded" | "trouble"; headline: string; reasons: readonly string[] };

/** What the relay knows of itself without asking anybody. */
export type RelayFacts = Omit<RelayState, "checks" | "counts"> & {
  connections: { inbound: number; outbound: number };
  /** Mail hosts that their next certificate renewal will break, as far as deliveries have shown; absent: no history is kept. */
  hostsAtRisk?: readonly { host: string; explanation: string }[];
};

export type VerdictNeeds = {
  facts: RelayFacts;
  checks: readonly Check[];
  counts: Asked<QueueCounts>;
  /** The last hour's. */
  lastHour: readonly OutcomeMinute[];
};

/** As the alert DaneRelayQueueOld has it. */
const OLD_MILLISECONDS = 4 * 3_600_000;
/** Fewer attempts than this, all in vain, may be about their destinations alone. */
const MANY_ATTEMPTS = 5;

const HEADLINES = {
  fine: "The relay is fine",
  degraded: "The relay is degraded",
  trouble: "The relay is in trouble",
} as const;

export function relayVerdict(needs: VerdictNeeds): RelayVerdict {
  const { checks, counts } = needs;
  const trouble = [
    ...checks.filter(({ status }) => status === "failed").map(checkText),
    ...(checks.length === 0 ? ["nothing could be checked"] : []),
    ...(counts.kind === "unknown" ? [`the queue cannot be asked: ${counts.reason}`] : []),
  ];
  const degraded = [...checks.filter(({ status }) => status === "degraded").map(checkText), ...slowness(needs)];
  const kind = trouble.length > 0 ? "trouble" : degraded.length > 0 ? "degraded" : "fine";
  const reasons = kind === "fine" ? [fineText(needs)] : [...trouble, ...degraded];
  return { kind, headline: HEADLINES[kind], reasons };
}

function checkText({ name, text }: Check): string {
  return `${name}: ${text}`;
}

/** What no check says: mail that does not move. */
function slowness({ facts, counts, lastHour }: VerdictNeeds): readonly string[] {
  const oldest = counts.kind === "known" ? counts.value.oldestAcceptedAt : undefined;
  const age = oldest === undefined ? 0 : facts.now - oldest;
  return [
    ...(age > OLD_MILLISECONDS ? [`the oldest message has waited for ${spanText(age)}; see the queue for whom and why`] : []),
    ...allInVain(lastHour),
  ];
}

/** Where nothing was delivered for an hour: what most of the attempts met. */
const WHAT_MOST_MET: Readonly<Record<OutcomeGroup, string>> = {
  authenticated: "most hosts were authenticated, and did not take the mail",
  partly: "most hosts did not take the mail",
  "not-demanded": "most hosts did not take the mail",
  refused:
    "most were kept back for certificates, STARTTLS or handshakes; if they go to several destinations, something on the way interferes",
  dns: "most failed in DNS or DNSSEC; look at the resolver first",
  "not-tried": "most had no session with a host; look at the network, and whether port 25 is open outwards",
};

function allInVain(lastHour: readonly OutcomeMinute[]): readonly string[] {
  const sum = (group: OutcomeGroup): number => lastHour.reduce((all, { counts }) => all + counts[group], 0);
  const [most = "not-tried"] = [...OUTCOME_GROUPS].sort((one, other) => sum(other) - sum(one));
  const attempts = OUTCOME_GROUPS.reduce((all, group) => all + sum(group), 0);
  const delivered = lastHour.reduce((all, minute) => all + minute.delivered, 0);
  if (attempts < MANY_ATTEMPTS || delivered > 0) return [];
  return [`none of the ${attempts} delivery attempts of the last hour succeeded: ${WHAT_MOST_MET[most]}`];
}

function fineText({ counts }: VerdictNeeds): string {
  const { incoming = 0, active = 0, deferred = 0, held = 0 } = counts.kind === "known" ? counts.value : {};
  const all = incoming + active + deferred + held;
  if (all === 0) return "Mail is taken, DNSSEC is validated, and nothing waits.";
  return `Mail is taken, DNSSEC is validated; ${counted(all, "message")} in the queue, of which ${deferred} ${deferred === 1 ? "was" : "were"} tried before and ${deferred === 1 ? "waits" : "wait"}.`;
}
