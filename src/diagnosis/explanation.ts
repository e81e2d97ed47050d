import { presentTlsa } from "../dane/tlsa.ts";
import type { DaneOutcome, Outcome } from "../policy/disposition.ts";
import type { Finding } from "./finding.ts";
import type { Observation } from "./observation.ts";

/** What a delivery to a target would come to now, why, and what to do about it. */
export type Explanation = {
  kind: "explanation";
  /** As it was asked for. */
  target: string;
  seen: Observation;
  verdict: Verdict;
  findings: readonly Finding[];
};

/**
 * The outcome of an attempt that was made as a delivery makes it, but for the mail, in the words of the delivery event. `deliverable`: as the
 * policy of the destination demands. `undecided`: something did not answer, and may do so later.
 */
export type Verdict = {
  kind: "deliverable" | "not-deliverable" | "undecided";
  outcome: Outcome["kind"];
  tls: string;
  dane: DaneOutcome;
  dnssec: { mx: string; address: string; tlsa: string };
  host?: string;
  address?: string;
  tlsa?: string;
  protocol?: string;
  cipher?: string;
  group?: string;
  /** Where it is not delivered: why, and who has to do what. */
  status?: string;
  reason?: string;
};

/** What an outcome means for who asks: only a delivery is deliverable, and what merely did not answer is not decided. */
export function verdictKind(outcome: Outcome): Verdict["kind"] {
  if (outcome.kind === "delivered") return "deliverable";
  switch (outcome.cause.kind) {
    case "dns":
    case "connect":
    case "reply":
    case "local":
    case "lifetime":
      return "undecided";
    case "dnssec":
    case "no-such-domain":
    case "null-mx":
    case "no-address":
    case "loop":
    case "tls-policy":
    case "tls-handshake":
    case "capability":
      return "not-deliverable";
    default:
      return outcome.cause.kind satisfies never;
  }
}

/** The TLSA records that count for a host, as they stand in DNS, with what was found of each. */
export function tlsaLines(host: Observation["hosts"][number]): readonly { record: string; use: string }[] {
  if (host.kind !== "reachable" || host.dane.kind === "notApplicable" || host.dane.kind === "unreachable") return [];
  const unusable = (host.dane.unusable ?? []).map(({ record, because }) => ({
    record: presentTlsa(record),
    use: `unusable: ${because}`,
  }));
  if (host.dane.kind !== "authenticate") return unusable;
  const usable = host.dane.records.map((record) => {
    const uses = host.sessions.flatMap(({ match }) => {
      if (match?.kind === "match") return match.record === record ? [`matches at depth ${match.depth}`] : [];
      const tried = match?.tried.find((one) => presentTlsa(one.record) === presentTlsa(record));
      return tried === undefined ? [] : [`does not match: ${tried.because.replace(/^[^:]*: /, "")}`];
    });
    return { record: presentTlsa(record), use: [...new Set(uses)][0] ?? "usable" };
  });
  return [...usable, ...unusable];
}
