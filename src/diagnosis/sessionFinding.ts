import { displayName } from "../dns/name.ts";
import { replyText } from "../smtp/reply.ts";
import type { Finding } from "./finding.ts";
import type { ReachableHost, SessionObservation } from "./observation.ts";

/** What is wrong with one connection to a mail host, before or beside its certificate. */

/** Mail goes, in clear text, since nothing there demands more. */
export function fallbackFinding(
  session: SessionObservation,
  fallback: NonNullable<SessionObservation["fallback"]>,
  host: ReachableHost,
): Finding | undefined {
  const finding = stageFinding(session, fallback, host);
  return finding === undefined ? undefined : { ...finding, severity: "warning" };
}

/** Who says that there has to be TLS. */
function tlsDemandText(demand: ReachableHost["demand"]): string {
  if (demand.kind === "authenticateByPkix")
    return demand.wanted === "sts"
      ? `the MTA-STS policy of ${displayName(demand.domain)} promises it`
      : "mail with credentials needs it";
  const byTlsa = demand.kind === "authenticate" || (demand.kind === "encrypt" && demand.success === "unusable");
  return byTlsa
    ? "its TLSA records promise it"
    : "the settings of this relay demand it (delivery.tlsPolicies, delivery.insecureMx)";
}

function tlsDemandRfc(demand: ReachableHost["demand"]): string {
  if (demand.kind !== "authenticateByPkix") return "RFC 7672 §2.2";
  return demand.wanted === "sts" ? "RFC 8461 §5" : "RFC 3207 §6";
}

/** The failure's own words begin with where it was, as a log wants it. */
function withoutPlace(text: string, address: string, port: number): string {
  const place = `${address} port ${port}: `;
  return text.startsWith(place) ? text.slice(place.length) : text;
}

/** A session that did not come about, and not for the certificate. */
export function stageFinding(
  { address, port }: SessionObservation,
  { stage, text, reply }: NonNullable<SessionObservation["failure"]>,
  { host, demand }: ReachableHost,
): Finding | undefined {
  const about = { severity: "error", host, actor: "mail-operator" } as const;
  const said = reply === undefined ? "" : ` (${replyText(reply)})`;
  switch (stage) {
    case "connect":
    case "greeting":
    case "ehlo":
      return {
        ...about,
        class: "host-unreachable",
        explanation: `${host} does not take mail at ${address} port ${port}: ${withoutPlace(text, address, port)}${said}.`,
        rfc: "RFC 5321 §4.5.4.1",
        remedy:
          "start the mail server, and let its firewall pass this port; if no host anywhere answers, this machine's provider blocks outgoing mail",
      };
    case "starttls-missing":
      return {
        ...about,
        class: "starttls-missing",
        explanation: `${host} (${address}) offers no STARTTLS, but ${tlsDemandText(demand)}.`,
        rfc: tlsDemandRfc(demand),
        remedy:
          "switch STARTTLS on in the mail server; if it is on, a firewall between here and there takes it out (often called SMTP inspection)",
      };
    case "starttls-refused":
      return {
        ...about,
        class: "starttls-refused",
        explanation: `${host} (${address}) offers STARTTLS and then refuses it${said === "" ? `: ${text}` : said}.`,
        rfc: "RFC 3207 §4",
        remedy:
          "repair the mail server's TLS: its log says why; often its key does not belong to its certificate, or cannot be read",
      };
    case "handshake":
      return {
        ...about,
        class: "handshake-failed",
        explanation: `${host} (${address}) offers STARTTLS, but ${text}.`,
        rfc: tlsDemandRfc(demand),
        remedy: "repair the mail server's TLS: a certificate with its key has to be installed, and TLS 1.2 or 1.3 be allowed",
      };
    case "verify":
    case "auth":
      return undefined;
    default:
      return stage satisfies never;
  }
}
