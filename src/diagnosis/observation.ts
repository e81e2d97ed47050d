import type { MatchVerdict } from "../dane/matchVerdict.ts";
import type { DanePolicy } from "../dane/tlsDiscovery.ts";
import type { DomainName } from "../dns/name.ts";
import type { LookupType, TlsaData } from "../dns/rdata.ts";
import type { Resolution } from "../dnssec/securityStatus.ts";
import type { PolicyInForce } from "../mtasts/policyInForce.ts";
import type { StsRecord } from "../mtasts/stsRecord.ts";
import type { DaneOutcome, SessionStage } from "../policy/disposition.ts";
import type { HostDemand, StsDemand } from "../policy/stsPolicy.ts";
import type { Unroutable } from "../policy/unroutable.ts";
import type { Reply } from "../smtp/reply.ts";
import type { TlsrptRecord } from "../tlsrpt/record.ts";
import type { ServerIdentity } from "../x509/serverIdentity.ts";
import type { ChainLink } from "./chainLink.ts";
import type { DenialFact } from "./denialFact.ts";
import type { SignatureFact } from "./signatureFact.ts";

/** What was seen of a destination: everything that findings are made of, and that an explanation shows. Whole seconds and milliseconds as named. */

/** One look-up, with what it was judged by. */
export type LookupObservation = {
  name: DomainName;
  type: LookupType;
  resolution: Resolution<unknown>;
  /** The signatures over what was asked for, or over the first alias. */
  signatures: readonly SignatureFact[];
  /** Where there is no such record: what proves it. */
  denial: readonly DenialFact[];
  chain: readonly ChainLink[];
  /** For an answer that is insecure because a parent publishes no DS: the keys that the child has all the same. */
  unvouchedKeys?: { zone: DomainName; lines: readonly string[] };
};

/** How the session at one address went, in the words of the delivery event. */
export type SessionObservation = {
  address: string;
  port: number;
  tls: string;
  dane: DaneOutcome;
  /** Present where no session came about that meets the policy. */
  failure?: { stage: SessionStage; text: string; reply?: Reply };
  /** Where TLS was tried because it was offered, and failed; the session went on in clear text. */
  fallback?: { stage: "handshake" | "starttls-refused"; text: string; reply?: Reply };
  match?: MatchVerdict;
  greeting?: string;
  ehlo?: readonly string[];
  handshake?: { protocol: string; cipher: string; group?: string; chain: readonly Buffer[] };
  /** What MTA-STS, or whoever asks for PKIX, says of the certificate. */
  identity?: ServerIdentity;
};

export type HostObservation = {
  host: string;
  dnssec: { mx: string; address: string; tlsa: string };
  /** Addresses, TLSA: in the order in which they were asked. */
  lookups: readonly LookupObservation[];
} & (
  | {
      kind: "reachable";
      addresses: readonly string[];
      dane: DanePolicy;
      demand: HostDemand;
      sts: StsDemand;
      /** The TLSA base domain's question, `_25._tcp.mx.example.org`; undefined for an address literal. */
      tlsaName?: DomainName;
      sessions: readonly SessionObservation[];
      /** TLSA records without DNSSEC, where they were asked for all the same. */
      unsecuredTlsa?: readonly TlsaData[];
    }
  | { kind: "absent"; refused: readonly string[] }
  | { kind: "unknown" }
);
export type ReachableHost = Extract<HostObservation, { kind: "reachable" }>;

/** A certificate that was seen at a host before, from whatever history is kept. Milliseconds since the epoch. */
export type SeenCertificate = { der: Buffer; firstSeen: number; lastSeen: number };

export type Observation = {
  /** The domain or host that mail is for, without the trailing dot, or the literal in brackets. */
  destination: string;
  /** Milliseconds since the epoch: the moment for which everything is judged. */
  at: number;
  /** `another`: what is published now is judged as of a time that was asked for. */
  moment: "now" | "another";
  /** How the destination leads to hosts. `unroutable`: to none. */
  route:
    | { kind: "hosts"; found: "mx" | "no-mx" | "route"; hosts: readonly string[] }
    | { kind: "literal" }
    | { kind: "unroutable"; trouble: Unroutable };
  mx?: LookupObservation;
  hosts: readonly HostObservation[];
  /** Names of the name servers of the next-hop domain: whose hands its DNS is in. */
  nameServers: readonly string[];
  /** MTA-STS (RFC 8461) of the next-hop domain, as it is published and as it counts. */
  sts?: { record: StsRecord; inForce: PolicyInForce };
  tlsrpt?: TlsrptRecord;
  /** Whether any message of any zone had a signature: where none has, somebody strips them. */
  anySignature: "yes" | "no";
  /** The source of DNS data, in words. */
  source: string;
};
