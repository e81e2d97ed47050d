import { displayName } from "../dns/name.ts";
import { chainLines, day } from "./chainText.ts";
import { type Explanation, tlsaLines, type Verdict } from "./explanation.ts";
import { ACTOR_WORDS, type Finding } from "./finding.ts";
import { hostLines } from "./hostText.ts";
import { wrapped } from "./lineWrap.ts";
import type { LookupObservation, Observation } from "./observation.ts";

/** The explanation as a story for a terminal, outermost first: the verdict, what is wrong and who mends it, then what it rests on. */

export const HEADLINES: Readonly<Record<Verdict["kind"], string>> = {
  deliverable: "DELIVERABLE",
  "not-deliverable": "NOT DELIVERABLE",
  undecided: "UNDECIDED NOW",
};

/** Ends with a line end; no colour. */
export function explanationText({ target, seen, verdict, findings }: Explanation): string {
  const lines = [
    `${target}, as of ${new Date(seen.at).toISOString().slice(0, 19).replace("T", " ")} UTC`,
    "",
    ...verdictLines(verdict, findings),
    "",
    ...findings.flatMap(findingLines),
    ...destinationLines(seen),
    ...seen.hosts.flatMap((host) => ["", ...hostLines(host, tlsaLines(host))]),
    ...policyLines(seen),
  ];
  return `${lines.map((line) => harmless(line).trimEnd()).join("\n")}\n`;
}

/** Servers choose part of these words, and a terminal obeys control characters. */
function harmless(line: string): string {
  return line.replace(/\p{Cc}/gu, "?");
}

/** The reason is that of the log; where a finding says it better, it is left to that. */
function verdictLines(verdict: Verdict, findings: readonly Finding[]): readonly string[] {
  const headline = `${HEADLINES[verdict.kind]}: ${protectionText(verdict)}`;
  const words = `tls ${verdict.tls}, dane ${verdict.dane}${verdict.status === undefined ? "" : `, status ${verdict.status}`}`;
  const told = verdict.reason === undefined || findings.some(({ severity }) => severity === "error");
  return [...wrapped(headline, ""), ...(told ? [] : wrapped(verdict.reason ?? "", "  ")), `  (log: ${words})`];
}

/** What the outcome means, in one clause. */
export function protectionText({ kind, outcome, tls, dane, host }: Verdict): string {
  const where = host === undefined ? "" : ` to ${host}`;
  if (kind === "undecided") return "it cannot be known now; a delivery would wait and try again.";
  if (outcome === "failed") return "mail would be returned to its sender.";
  if (outcome === "deferred") return "mail would wait, and not be sent unprotected.";
  switch (dane) {
    case "authenticated":
      return `by DANE, authenticated and encrypted${where}.`;
    case "halfdane":
      return `encrypted${where}, whose certificate DANE vouches for; but an unsigned MX record named that host.`;
    case "unusable":
      return `encrypted${where}, but not authenticated: no TLSA record is usable.`;
    default:
      break;
  }
  if (tls.startsWith("sts")) return `by MTA-STS, authenticated and encrypted${where}.`;
  if (tls.startsWith("pkix")) return `authenticated by a trusted CA and encrypted${where}.`;
  const clear = tls === "may:none" || tls === "none";
  return `${clear ? "in clear text" : "encrypted, but not authenticated,"}${where}: ${withoutDaneText(dane)}.`;
}

/** Why DANE demands nothing. */
function withoutDaneText(dane: Verdict["dane"]): string {
  switch (dane) {
    case "exempt":
      return "an exception in delivery.tlsPolicies asks for no more";
    case "no-tlsa":
      return "that host publishes no TLSA record";
    case "insecure":
      return "without DNSSEC there is no DANE";
    case "address-literal":
      return "for an address there is no DANE";
    default:
      return "DANE does not apply";
  }
}

function findingLines({ class: name, severity, host, explanation, rfc, actor, remedy, paste }: Finding): readonly string[] {
  return [
    `${severity}: ${name}, ${host} (${rfc})`,
    ...wrapped(explanation, "  "),
    ...labelled("who", ACTOR_WORDS[actor]),
    ...labelled("do", `${remedy}${paste === undefined || paste.length === 0 ? "." : ":"}`),
    ...(paste ?? []).map((line) => `         ${line}`),
    "",
  ];
}

function labelled(label: string, text: string): readonly string[] {
  const [first = "", ...rest] = wrapped(text, "       ");
  return [`  ${label.padEnd(5)}${first.trimStart()}`, ...rest];
}

function destinationLines(seen: Observation): readonly string[] {
  const { destination, route, mx } = seen;
  switch (route.kind) {
    case "literal":
      return [`${destination} is an address: DNS has no say in it, and so DANE neither.`];
    case "unroutable":
      return mx === undefined ? [] : [...mxLines(mx), ...chainLines(mx.chain, seen.at)];
    case "hosts": {
      const found = {
        mx: `mail hosts of ${destination}, in order: ${route.hosts.join(", ")}`,
        "no-mx": `${destination} has no MX record: it is its own mail host`,
        route: `delivery.routes or the command line names the host: ${route.hosts.join(", ")}`,
      }[route.found];
      return [found, ...(mx === undefined ? [] : [...mxLines(mx), ...chainLines(mx.chain, seen.at)])];
    }
    default:
      return route satisfies never;
  }
}

function mxLines({ name, resolution, signatures }: LookupObservation): readonly string[] {
  const [signature] = signatures;
  const until = signature === undefined ? "" : `, signed until ${day(signature.expiration * 1000)}`;
  const why = resolution.reasons === undefined ? "" : `: ${resolution.reasons.at(-1)?.text}`;
  return wrapped(`MX of ${displayName(name)}: ${resolution.status}${until}${why}`, "  ");
}

function policyLines({ sts, tlsrpt }: Observation): readonly string[] {
  if (sts === undefined) return [];
  const { inForce, record } = sts;
  const policy =
    inForce.kind === "policy"
      ? `${inForce.policy.mode}, for ${inForce.policy.mx.join(", ")}`
      : record.kind === "absent"
        ? "none"
        : `published, but none in force (${inForce.because})`;
  const reports =
    tlsrpt === undefined || tlsrpt.kind === "absent"
      ? "none"
      : tlsrpt.kind === "record"
        ? tlsrpt.uris.map(({ text }) => text).join(", ")
        : `unusable: ${tlsrpt.reason}`;
  return ["", `MTA-STS policy: ${policy}.  TLS reports wanted at: ${reports}.`];
}
