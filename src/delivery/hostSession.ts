import type { MatchVerdict } from "../dane/matchVerdict.ts";
import { presentTlsa, type Tlsa } from "../dane/tlsa.ts";
import { displayName } from "../dns/name.ts";
import { type DaneOutcome, localOutcome, type Outcome, sessionOutcome, type TlsGot, type Unmet } from "../policy/disposition.ts";
import type { StsDemand, UsableDemand } from "../policy/stsPolicy.ts";
import { tlsWord } from "../policy/tlsPolicy.ts";
import type {
  ChannelSecurity,
  ConnectionFailure,
  ConnectionRequest,
  ConnectionResult,
  SmtpSession,
  TlsNeed,
} from "./connection.ts";
import type { SessionSource } from "./connectionPool.ts";
import type { HostPolicies } from "./hostPolicies.ts";
import type { Trace } from "./ledger.ts";
import { poolKey, tlsaPolicyOf } from "./poolKey.ts";
import { ServerVerification, type VerificationContext } from "./serverVerification.ts";
import { failureText, isOurs } from "./sessionFailure.ts";
import { failedOutcome, type StsOutcome, testingOutcome } from "./stsOutcome.ts";

/**
 * A session that met what the policy of its host demands, or the reason why there is none. Nothing below policy is ever returned as open.
 * `tlsFailure`: this is the second connection, in clear text, after that failure of opportunistic TLS.
 */
export type HostSession =
  | { kind: "open"; session: SmtpSession; reused: "yes" | "no"; trace: Trace; matched?: Match; tlsFailure?: ConnectionFailure }
  | {
      kind: "failed";
      stage: ConnectionFailure["stage"];
      outcome: Outcome;
      trace: Trace;
      failure: ConnectionFailure;
      /** How the certificate was matched, where it came to that. */
      match?: MatchVerdict;
      tlsFailure?: ConnectionFailure;
    };

export type Match = Extract<MatchVerdict, { kind: "match" }>;

export type HostConnection = {
  host: string;
  address: string;
  tls: UsableDemand;
  /** What the MTA-STS policy of the next hop says of the host. */
  sts: StsDemand;
  /** What reports name as the policies of the host. */
  policies: HostPolicies;
  /** What follows where no host meets the demand. */
  unmet: Unmet;
  dnssec: Trace["dnssec"];
  tlsaTtlSeconds?: number;
  request: Omit<ConnectionRequest, "tls" | "address" | "serverName">;
  /** SNI where no TLSA base domain rules: the host's own name; undefined for an address literal. */
  serverName?: string;
};

export type SessionContext = VerificationContext & {
  /** A session under this key. */
  connect: (key: string, request: ConnectionRequest, source: SessionSource) => Promise<ConnectionResult>;
  /** Gives back a session that `connect` gave: for the next transaction, or to be closed. */
  release: (session: SmtpSession) => void;
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
  if (need !== "opportunistic" || first.kind === "open") return first;
  if (first.stage !== "handshake" && first.stage !== "starttls-refused") return first;
  return { ...(await connectOnce(sameAddress(connection, first), "none", context, source)), tlsFailure: first.failure };
}

/** Where the first connection went: that its TLS fails says nothing of the other addresses. */
function sameAddress(connection: HostConnection, { trace: { address } }: HostSession): HostConnection {
  const target = connection.request.others?.find((other) => other.address === address);
  const { others: _, ...alone } = connection.request;
  if (target === undefined) return { ...connection, request: alone };
  const { localAddress: __, ...request } = alone;
  const { localAddress } = target;
  return { ...connection, address: target.address, request: localAddress === undefined ? request : { ...request, localAddress } };
}

function needOf(tls: UsableDemand): TlsNeed["need"] {
  switch (tls.kind) {
    case "authenticateByPkix":
      return "authenticate";
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
  const verification = new ServerVerification(connection.host, tls, context);
  const verify = (chain: readonly Buffer[]) => verification.verify(chain);
  // RFC 7672 §8.1; under MTA-STS it is the MX host's own name (RFC 8461 §7.1).
  const serverName = tls.kind === "authenticate" ? displayName(tls.policy.base) : connection.serverName;
  const request: ConnectionRequest = {
    ...connection.request,
    address: connection.address,
    tls: need === "authenticate" ? { need, verify } : { need },
    ...(serverName === undefined ? {} : { serverName }),
  };
  const result = await context.connect(poolKey(connection, need), request, source);
  if (result.kind === "failed") return failed(connection, result.failure, verification);
  try {
    return held(connection, result, verification, context);
  } catch (bug) {
    // Whoever cannot judge has not accepted; and the session's place is free again.
    discard(result.session, context);
    throw bug;
  }
}

function discard(session: SmtpSession, context: SessionContext): void {
  session.destroy();
  context.release(session);
}

/** The session held against the policy once more. */
function held(
  connection: HostConnection,
  { session, reused }: Extract<ConnectionResult, { kind: "ready" }>,
  verification: ServerVerification,
  context: SessionContext,
): HostSession {
  const { tls } = connection;
  if (verification.match?.kind === "match") context.matches.set(session, verification.match);
  const matched = context.matches.get(session);
  if (meetsPolicy(tls, session.security, matched))
    return opened(connection, session, reused ?? "no", matched, stsOf(connection, session, reused ?? "no", context));
  // Cannot happen: the connection refuses it first. Should it ever, nothing is sent.
  const text = `the connection to ${connection.host} fell short of its policy (${tls.kind}) unnoticed; this is an error of dane-relay`;
  const shortfall = failed(connection, { stage: "verify", text }, verification);
  discard(session, context);
  return shortfall;
}

/** A session under an enforce policy met it; under a testing policy it is judged once, when it is new (RFC 8460 counts sessions). */
function stsOf(
  connection: HostConnection,
  session: SmtpSession,
  reused: "yes" | "no",
  context: SessionContext,
): StsOutcome | undefined {
  const { tls, sts } = connection;
  if (tls.kind === "authenticateByPkix" && sts.kind === "enforce") return { mode: "enforce", result: "success" };
  return reused === "yes" ? undefined : testingOutcome(sts, session.security, context);
}

function opened(
  connection: HostConnection,
  session: SmtpSession,
  reused: "yes" | "no",
  matched: Match | undefined,
  sts: StsOutcome | undefined,
): HostSession {
  const { tls } = connection;
  const { security } = session;
  const at = { ...connection, address: session.ends?.address ?? connection.address };
  const trace = traceOf(at, tlsWord(tls.wanted, gotOf(tls, security), "kept"), tls.success, sts);
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
function meetsPolicy(tls: UsableDemand, security: ChannelSecurity, matched: Match | undefined): boolean {
  switch (tls.kind) {
    case "authenticate":
      return security.kind === "tls" && security.authenticated === "verified" && matched !== undefined;
    case "authenticateByPkix":
      return (
        security.kind === "tls" && security.authenticated === "verified" && (tls.dane === undefined || matched !== undefined)
      );
    case "encrypt":
      return security.kind === "tls";
    case "opportunistic":
    case "clear":
      return true;
    default:
      return tls satisfies never;
  }
}

function gotOf(tls: UsableDemand, security: ChannelSecurity): TlsGot {
  if ("got" in tls) return tls.got;
  return security.kind === "tls" ? "encrypt" : "none";
}

function channelFields(security: Extract<ChannelSecurity, { kind: "tls" }>): Pick<Trace, "protocol" | "cipher" | "group"> {
  const { protocol, cipher, group } = security;
  return { protocol, cipher, ...(group === undefined ? {} : { group }) };
}

function traceOf(connection: HostConnection, tls: string, dane: DaneOutcome, sts: StsOutcome | undefined): Trace {
  const { host, address, dnssec } = connection;
  return { host, address, tls, dane, dnssec, ...(sts === undefined ? {} : { sts }) };
}

function failed(wanted: HostConnection, failure: ConnectionFailure, verification: ServerVerification): HostSession {
  const connection = { ...wanted, address: failure.ends?.address ?? wanted.address };
  const { tls, sts } = connection;
  const { stage, reply } = failure;
  const word = failureWord(stage, tls, verification);
  const sentence = failureText(connection, failure);
  const cause = { text: sentence, host: connection.host, address: connection.address, ...(reply === undefined ? {} : { reply }) };
  const trace = traceOf(connection, word.tls, word.dane, failedOutcome(sts, failure, verification.identity));
  const first: Tlsa | undefined = tlsaPolicyOf(tls)?.records[0];
  return {
    kind: "failed",
    stage,
    outcome: isOurs(failure) ? localOutcome(cause) : sessionOutcome(stage, cause, connection.unmet),
    failure,
    ...(verification.match === undefined ? {} : { match: verification.match }),
    trace: first === undefined ? trace : { ...trace, tlsa: presentTlsa(first) },
  };
}

/** `wanted:got` and the DANE outcome of a session that did not come about. Only under DANE is a missing STARTTLS a DANE outcome. */
function failureWord(
  stage: ConnectionFailure["stage"],
  tls: UsableDemand,
  { match }: ServerVerification,
): { tls: string; dane: DaneOutcome } {
  const underDane = tlsaPolicyOf(tls) !== undefined || (tls.kind === "encrypt" && tls.success === "unusable");
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
      return {
        tls: tlsWord(tls.wanted, "nocertmatch", "violated"),
        dane: match?.kind === "match" ? tls.success : under("mismatch"),
      };
    case "auth":
      // AUTH comes after the channel is as it must be: what failed is the relay's own login.
      return {
        tls: tlsWord(tls.wanted, "got" in tls ? tls.got : "encrypt", "kept"),
        dane: tls.success,
      };
    default:
      return stage satisfies never;
  }
}
