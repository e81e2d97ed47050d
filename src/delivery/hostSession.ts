import { matchCertificate } from "../dane/certificateMatch.ts";
import type { MatchVerdict } from "../dane/matchVerdict.ts";
import { presentTlsa, type Tlsa } from "../dane/tlsa.ts";
import { displayName } from "../dns/name.ts";
import { type DaneOutcome, type Outcome, sessionOutcome, type TlsGot, type Unmet } from "../policy/disposition.ts";
import { tlsWord, type UsableHostTls } from "../policy/tlsPolicy.ts";
import type {
  ChannelSecurity,
  ConnectionFailure,
  ConnectionRequest,
  ConnectionResult,
  SmtpSession,
  TlsNeed,
  VerifyVerdict,
} from "./connection.ts";
import type { SessionSource } from "./connectionPool.ts";
import type { Trace } from "./ledger.ts";
import { failureText, refusalText } from "./sessionFailure.ts";

/** A session that met what the policy of its host demands, or the reason why there is none. Nothing below policy is ever returned as open. */
export type HostSession =
  | { kind: "open"; session: SmtpSession; reused: "yes" | "no"; trace: Trace; matched?: Match }
  | { kind: "failed"; stage: ConnectionFailure["stage"]; outcome: Outcome; trace: Trace };

export type Match = Extract<MatchVerdict, { kind: "match" }>;

export type HostConnection = {
  host: string;
  address: string;
  tls: UsableHostTls;
  /** What follows where no host meets the demand. */
  unmet: Unmet;
  dnssec: Trace["dnssec"];
  request: Omit<ConnectionRequest, "tls" | "address" | "serverName">;
  /** SNI where no TLSA base domain rules: the host's own name; undefined for an address literal. */
  serverName?: string;
};

export type SessionContext = {
  /** Milliseconds since the epoch, for certificate dates. */
  now: () => number;
  /** A session under this key. */
  connect: (key: string, request: ConnectionRequest, source: SessionSource) => Promise<ConnectionResult>;
  /** Which record authenticated a session that is used again: no second handshake will tell. */
  matches: WeakMap<SmtpSession, Match>;
};

/** Opens (or takes from the pool) a connection that satisfies `connection.tls`; opportunistic TLS that fails is followed by clear text. */
export async function openHostSession(
  connection: HostConnection,
  context: SessionContext,
  source: SessionSource,
): Promise<HostSession> {
  const need = needOf(connection.tls);
  const first = await connectOnce(connection, need, context, source);
  // RFC 7672 §2.2: without secure TLSA records the client MAY retry in clear text when the handshake fails. A STARTTLS that is refused in
  // words is no failure here, the session goes on in clear text: what fails is the connection itself.
  const tlsFailed = first.kind === "failed" && (first.stage === "handshake" || first.stage === "starttls-refused");
  return need === "opportunistic" && tlsFailed ? connectOnce(connection, "none", context, source) : first;
}

function needOf(tls: UsableHostTls): TlsNeed["need"] {
  switch (tls.kind) {
    case "authenticate":
    case "encrypt":
    case "opportunistic":
      return tls.kind;
    case "clear":
      return "none";
    default:
      return tls satisfies never;
  }
}

async function connectOnce(
  connection: HostConnection,
  need: TlsNeed["need"],
  context: SessionContext,
  source: SessionSource,
): Promise<HostSession> {
  const { tls } = connection;
  let verdict: MatchVerdict | undefined;
  const verify = (chain: readonly Buffer[]): VerifyVerdict => {
    if (tls.kind !== "authenticate") return { kind: "refused", reason: "there is no TLSA record to authenticate with" };
    const { records, identifiers } = tls.policy;
    verdict = matchCertificate({ records, chain, identifiers, now: context.now() });
    return verdict.kind === "match"
      ? { kind: "accepted" }
      : { kind: "refused", reason: refusalText(connection.host, verdict.tried) };
  };
  const serverName = tls.kind === "authenticate" ? displayName(tls.policy.base) : connection.serverName;
  const request: ConnectionRequest = {
    ...connection.request,
    address: connection.address,
    tls: need === "authenticate" ? { need, verify } : { need },
    ...(serverName === undefined ? {} : { serverName }),
  };
  const result = await context.connect(poolKey(connection, need), request, source);
  if (result.kind === "failed") return failed(connection, result.failure);
  if (verdict?.kind === "match") context.matches.set(result.session, verdict);
  return opened(connection, result.session, result.reused ?? "no", context.matches.get(result.session));
}

/** Sessions are shared only between deliveries to the same host, address and port under the same demand and TLSA set. */
export function poolKey(connection: HostConnection, need: TlsNeed["need"]): string {
  const { tls, request } = connection;
  const demand =
    tls.kind === "authenticate"
      ? [tls.policy.base, ...tls.policy.records.map(presentTlsa).sort(), ...[...tls.policy.identifiers].sort()]
      : [];
  const channel = request.implicitTls ? "implicit" : "starttls";
  return [connection.host, connection.address, request.port, channel, request.localAddress ?? "", need, ...demand].join("|");
}

function opened(connection: HostConnection, session: SmtpSession, reused: "yes" | "no", matched: Match | undefined): HostSession {
  const { tls } = connection;
  const { security } = session;
  if (!meetsPolicy(tls, security, matched)) {
    // Cannot happen: the connection refuses it first. Should it ever, nothing is sent.
    session.destroy();
    const text = `the connection to ${connection.host} fell short of its policy (${tls.kind}) unnoticed; this is an error of dane-relay`;
    return failed(connection, { stage: "verify", text });
  }
  const trace = traceOf(connection, tlsWord(tls.wanted, gotOf(tls, security), "kept"), tls.success);
  const record = matched?.record;
  const channel = security.kind === "tls" ? channelFields(security) : {};
  return {
    kind: "open",
    session,
    reused,
    trace: { ...trace, ...channel, ...(record === undefined ? {} : { tlsa: presentTlsa(record) }) },
    ...(matched === undefined ? {} : { matched }),
  };
}

/** The last look before MAIL: what was demanded is there (design.md §5, below-policy delivery never happens). */
function meetsPolicy(tls: UsableHostTls, security: ChannelSecurity, matched: Match | undefined): boolean {
  switch (tls.kind) {
    case "authenticate":
      return security.kind === "tls" && security.authenticated === "verified" && matched !== undefined;
    case "encrypt":
      return security.kind === "tls";
    case "opportunistic":
    case "clear":
      return true;
    default:
      return tls satisfies never;
  }
}

function gotOf(tls: UsableHostTls, security: ChannelSecurity): TlsGot {
  if (tls.kind === "authenticate" || tls.kind === "encrypt") return tls.got;
  return security.kind === "tls" ? "encrypt" : "none";
}

function channelFields(security: Extract<ChannelSecurity, { kind: "tls" }>): Pick<Trace, "protocol" | "cipher" | "group"> {
  const { protocol, cipher, group } = security;
  return { protocol, cipher, ...(group === undefined ? {} : { group }) };
}

function traceOf(connection: HostConnection, tls: string, dane: DaneOutcome): Trace {
  return { host: connection.host, address: connection.address, tls, dane, dnssec: connection.dnssec };
}

function failed(connection: HostConnection, failure: ConnectionFailure): HostSession {
  const { tls } = connection;
  const { stage, reply } = failure;
  const word = failureWord(stage, tls);
  const sentence = failureText(connection, failure);
  const cause = { text: sentence, host: connection.host, address: connection.address, ...(reply === undefined ? {} : { reply }) };
  const trace = traceOf(connection, word.tls, word.dane);
  const first: Tlsa | undefined = tls.kind === "authenticate" ? tls.policy.records[0] : undefined;
  return {
    kind: "failed",
    stage,
    outcome: sessionOutcome(stage, cause, connection.unmet),
    trace: first === undefined ? trace : { ...trace, tlsa: presentTlsa(first) },
  };
}

/** `wanted:got` and the DANE outcome of a session that did not come about. Only under DANE is a missing STARTTLS a DANE outcome. */
function failureWord(stage: ConnectionFailure["stage"], tls: UsableHostTls): { tls: string; dane: DaneOutcome } {
  const underDane = tls.kind === "authenticate" || (tls.kind === "encrypt" && tls.success === "unusable");
  const under = (outcome: DaneOutcome): DaneOutcome => (underDane ? outcome : tls.success);
  switch (stage) {
    case "connect":
    case "greeting":
    case "ehlo":
      return { tls: tlsWord(tls.wanted, "noconnect", "kept"), dane: underDane ? "not-tried" : tls.success };
    case "starttls-missing":
    case "starttls-refused":
      return { tls: tlsWord(tls.wanted, "nostarttls", "violated"), dane: under("starttls-missing") };
    case "handshake":
      return { tls: tlsWord(tls.wanted, "notls", "violated"), dane: under("handshake-failed") };
    case "verify":
      return { tls: tlsWord(tls.wanted, "nocertmatch", "violated"), dane: under("mismatch") };
    case "auth":
      // AUTH comes after the channel is as it must be: what failed is the relay's own login.
      return {
        tls: tlsWord(tls.wanted, tls.kind === "authenticate" || tls.kind === "encrypt" ? tls.got : "encrypt", "kept"),
        dane: tls.success,
      };
    default:
      return stage satisfies never;
  }
}
