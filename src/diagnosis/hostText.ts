import { displayName } from "../dns/name.ts";
import { certificateFact } from "./certificateFact.ts";
import { day, denialText } from "./chainText.ts";
import { wrapped } from "./lineWrap.ts";
import type { HostObservation, LookupObservation, ReachableHost, SessionObservation } from "./observation.ts";

/** One mail host as lines: its DNS, its TLSA records, and what was seen at each of its addresses. */
export function hostLines(host: HostObservation, tlsa: readonly { record: string; use: string }[]): readonly string[] {
  const lookups = host.lookups.filter((one) => one.type !== "AAAA" || hasAnswer(one)).flatMap(lookupLines);
  const head = [`host ${host.host}`, ...lookups];
  switch (host.kind) {
    case "absent":
      return [...head, "  no address to connect to"];
    case "unknown":
      return [...head, "  not used: its addresses cannot be known"];
    case "reachable":
      return [
        ...head,
        ...recordLines(tlsa),
        `  demand  ${demandText(host)}`,
        ...host.sessions.flatMap((session) => sessionLines(session)),
      ];
    default:
      return host satisfies never;
  }
}

const MAX_RECORD = 40;
/** A record that matches is always shown. */
const MAX_RECORDS = 8;

function recordLines(tlsa: readonly { record: string; use: string }[]): readonly string[] {
  const first = [...tlsa].sort((a, b) => Number(b.use.startsWith("matches")) - Number(a.use.startsWith("matches")));
  const shown = first.slice(0, MAX_RECORDS).map(({ record, use }) => `    ${short(record)}  ${use}`);
  return tlsa.length > MAX_RECORDS ? [...shown, `    and ${tlsa.length - MAX_RECORDS} more`] : shown;
}

function short(record: string): string {
  return record.length > MAX_RECORD ? `${record.slice(0, MAX_RECORD)}..` : record;
}

function hasAnswer({ resolution }: LookupObservation): boolean {
  return !("answer" in resolution) || resolution.answer === "records";
}

function lookupLines({ name, type, resolution, denial, signatures }: LookupObservation): readonly string[] {
  const [signature] = signatures;
  const until = signature === undefined ? "" : `, signed until ${day(signature.expiration * 1000)}`;
  const absent = "answer" in resolution && resolution.answer !== "records" ? ", there is none" : "";
  const aliases =
    "aliases" in resolution
      ? resolution.aliases.map(({ target, status }) => `, alias of ${displayName(target)} (${status})`)
      : [];
  const why = resolution.reasons === undefined ? "" : `: ${resolution.reasons.at(-1)?.text}`;
  return [
    ...hanging(`${type.padEnd(4)}  ${displayName(name)}: ${resolution.status}${absent}${aliases.join("")}${until}${why}`),
    ...(type === "TLSA" ? denial.flatMap((fact) => wrapped(denialText(fact), "    ")) : []),
  ];
}

/** In lines, of which the first stands out. */
function hanging(text: string): readonly string[] {
  const [first = "", ...rest] = wrapped(text, "    ");
  return [first.slice(2), ...rest];
}

/** What a connection to the host needs, and by whose word. */
export function demandText({ demand }: ReachableHost): string {
  switch (demand.kind) {
    case "authenticate":
      return "STARTTLS, and a certificate that one of the TLSA records matches (DANE)";
    case "authenticateByPkix":
      return demand.wanted === "sts"
        ? `STARTTLS, and a certificate for ${displayName(demand.identifier)} by a trusted CA (MTA-STS)`
        : `STARTTLS, and a certificate for ${displayName(demand.identifier)} by a trusted CA`;
    case "encrypt":
      return "STARTTLS with any certificate";
    case "opportunistic":
      return `STARTTLS if it is offered (${demand.success === "no-tlsa" ? "no TLSA record" : demand.success})`;
    case "clear":
      return "clear text (delivery.tlsPolicies)";
    case "refuse":
      return "none would do: this host is not used";
    default:
      return demand satisfies never;
  }
}

function sessionLines({ address, port, greeting, handshake, failure, tls }: SessionObservation): readonly string[] {
  const where = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  const channel =
    handshake === undefined
      ? []
      : [`    ${handshake.protocol}, ${handshake.cipher}${handshake.group === undefined ? "" : `, ${handshake.group}`}`];
  const trouble =
    failure === undefined
      ? []
      : [`    ended here: ${failure.stage === "verify" ? "its certificate is not accepted" : failure.text}`];
  return [
    `  ${where}  ${tls}${greeting === undefined ? "" : `  ${greeting}`}`,
    ...channel,
    ...(handshake?.chain ?? []).map((der, depth) => `    ${depth}  ${certificateText(der)}`),
    ...trouble,
  ];
}

function certificateText(der: Buffer): string {
  const fact = certificateFact(der);
  if ("kind" in fact) return `a malformed certificate: ${fact.because}`;
  const { subject, issuer, names, notBefore, notAfter, keyDigest } = fact;
  const by = subject === issuer ? "self-signed" : `issued by ${issuer}`;
  const name = names.length === 0 ? subject : names.slice(0, 3).join(", ");
  return `${name}, ${by}, ${day(notBefore)} to ${day(notAfter)}, key ${keyDigest.slice(0, 12)}..`;
}
