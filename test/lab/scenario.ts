import type { DaneOutcome } from "../../src/policy/disposition.ts";
import type { Signing } from "./sign.ts";

/**
 * One row of the lab: a recipient domain, what its DNS and its servers are like, and what must become of a message to it
 * (the decision table of the design, RFC 7672 §2.2). Names are written without the trailing dot.
 */
export type Scenario = {
  domain: string;
  /** The address literal's row has none. */
  recipient?: string;
  /** One line for people: what this domain shows. */
  shows: string;
  hosts: readonly Host[];
  /** How the domain's own zone is made. "no-zone": the name does not exist in its parent. */
  zone?: Partial<ZoneOptions> | "no-zone";
  /** Further zones, by origin. */
  zones?: Readonly<Record<string, Partial<ZoneOptions>>>;
  /** An MTA-STS policy, and how its policy host is: by default it serves the policy with a certificate of the lab's CA. */
  mtaSts?: {
    mode: "enforce" | "testing" | "none";
    mx: readonly string[];
    certificate?: Certificate;
    answers?: "policy" | "not-found";
  };
  /** Records beside those of the hosts: "absolute-owner TYPE data". */
  records?: readonly string[];
  expected: Expected;
};

export type ZoneOptions = {
  signing: Partial<Signing> | "unsigned";
  /** What the parent publishes for a signed zone. */
  ds: "matching" | "none" | "of-another-key" | "of-unknown-algorithm";
  /** What is done to the signed zone, line by line; undefined drops the line. */
  spoil: Spoil;
  /** Whether a broken name server stands in front: it fails TLSA questions as it says. */
  server: "healthy" | "servfails-tlsa" | "ignores-tlsa" | "servfails-mx";
};

export type Spoil = (record: ZoneLine) => ZoneLine | undefined;
/** One record of a signed zone; `covers` is the type that an RRSIG is for. */
export type ZoneLine = { owner: string; type: string; covers?: string; text: string };

export type Host = {
  name: string;
  /** "none": the host has no address record. */
  address?: "own" | "none";
  /** Preference of the domain's MX record that names the host; "none": no MX record names it. */
  mx?: number | "none";
  server: Server;
  certificate?: Certificate;
  tlsa?: readonly TlsaRecord[];
};

/**
 * postfix: STARTTLS with the host's certificate. postfix-clear: no STARTTLS. postfix-454: a key that is not the certificate's, so that
 * STARTTLS gets 454. exim, opensmtpd: the same by other servers, -clear without STARTTLS. postfix-without-key: the key file is missing, so that every handshake fails. stripped: Postfix behind a middlebox
 * that hides STARTTLS. closed: nothing listens. The rest is played by a script: handshake-fails says 220 and then no TLS.
 */
export type Server =
  | "postfix"
  | "postfix-clear"
  | "postfix-454"
  | "postfix-without-key"
  | "exim"
  | "exim-clear"
  | "opensmtpd"
  | "opensmtpd-clear"
  | "stripped"
  | "closed"
  | "handshake-fails"
  | "peer";

export type Certificate = {
  issuer?: "ca" | "self";
  names?: readonly string[];
  validity?: "current" | "expired";
  /** Whether the CA's certificate is sent behind the leaf; or that of its former key, which did not issue the leaf. */
  sends?: "leaf" | "leaf-and-ca" | "leaf-and-former-ca";
};

/** What the data of a TLSA record is made of; `ca` is the lab's CA, `former-ca` has its name and another key, `another-ca` issued nothing, `nothing` the empty string, a filler matches nobody. */
export type TlsaRecord = {
  usage: number;
  selector: number;
  matchingType: number;
  of: "leaf" | "ca" | "former-ca" | "another-ca" | "another-certificate" | "nothing" | { filler: number };
  /** The selector that the data was made with, where the publisher confused two. */
  dataOfSelector?: number;
  /** Where it hangs, when not below the host's own name: `_25._tcp.<owner>` (or the owner as written, when it begins with * or _). */
  owner?: string;
};

/** The fields of the delivery event, and what the receivers hold afterwards. */
export type Expected = {
  outcome: "delivered" | "deferred" | "failed";
  tls: string;
  dane: DaneOutcome;
  dnssec: { mx: LookupWord; address: LookupWord; tlsa: LookupWord };
  /** "4.7.*": any detail. */
  status: string;
  /** Name of the host that must hold the message afterwards; undefined: nobody may. */
  receivedBy?: string;
  /** Whether it must have come inside TLS. */
  channel?: "tls" | "clear";
};

export type LookupWord = "secure" | "insecure" | "bogus" | "failed" | "not-asked";

/** `3 1 1` etc. of what. */
export function tlsa(parameters: `${number} ${number} ${number}`, of: TlsaRecord["of"] = "leaf", owner?: string): TlsaRecord {
  const [usage, selector, matchingType] = parameters.split(" ").map(Number);
  if (usage === undefined || selector === undefined || matchingType === undefined)
    throw new Error(`not TLSA parameters: ${parameters}`);
  return { usage, selector, matchingType, of, ...(owner === undefined ? {} : { owner }) };
}

const ALL_SECURE = { mx: "secure", address: "secure", tlsa: "secure" } as const;

export function authenticated(host: string): Expected {
  return {
    outcome: "delivered",
    tls: "dane",
    dane: "authenticated",
    dnssec: ALL_SECURE,
    status: "2.*.*",
    receivedBy: host,
    channel: "tls",
  };
}

/** A DANE policy that was not met: deferred, never bounced, never delivered below policy. */
export function refused(tls: `!dane:${string}`, dane: DaneOutcome): Expected {
  return { outcome: "deferred", tls, dane, dnssec: ALL_SECURE, status: "4.7.*" };
}
