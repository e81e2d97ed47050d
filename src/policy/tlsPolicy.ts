import type { DanePolicy } from "../dane/tlsDiscovery.ts";
import type { Cause, DaneOutcome, TlsGot, TlsWanted, Unmet } from "./disposition.ts";
import { lookupFailure, lookupFailureText } from "./lookupFailure.ts";

/** `delivery.tlsPolicies` level of a recipient domain; the default is `dane`. */
export type TlsLevel = "dane-only" | "dane" | "encrypt" | "may" | "none";

/** What the message itself asks for (RFC 8689): REQUIRETLS, or the header `TLS-Required: No`. */
export type MessageTls = "required" | "not-required" | "unspecified";

/**
 * What a connection to one host must reach. `success` is the DANE outcome and `got` the right side of the `tls` word when it does.
 * `refuse`: nothing is sent to this host; `undecided` marks what a later look-up may settle (`?` behind the word).
 */
export type HostTls =
  | {
      kind: "authenticate";
      wanted: TlsWanted;
      got: "dane" | "dane-only" | "halfdane";
      success: "authenticated" | "halfdane";
      policy: DaneAuthenticate;
    }
  | { kind: "encrypt"; wanted: TlsWanted; got: "encrypt"; success: DaneOutcome }
  | { kind: "opportunistic"; wanted: TlsWanted; success: DaneOutcome }
  | { kind: "clear"; wanted: "none"; success: DaneOutcome }
  | { kind: "refuse"; wanted: TlsWanted; got: TlsGot | "undecided"; dane: DaneOutcome; cause: Cause };

/** Of a host that may be used. */
export type UsableHostTls = Exclude<HostTls, { kind: "refuse" }>;

export type DaneAuthenticate = Extract<DanePolicy, { kind: "authenticate" }>;
type DaneEncrypt = Extract<DanePolicy, { kind: "encryptWithoutAuthentication" }>;

/** What is asked of a delivery before DNS has a say: by the operator, and by the message. */
export type TlsDemand = {
  level: TlsLevel;
  /** Whether the level was written down by the operator for this domain; `TLS-Required: No` never relaxes such a one. */
  levelFrom: "default" | "operator";
  messageTls: MessageTls;
};

/** `dane`: from `discoverTls`; an address literal has none to discover. */
export type TlsPolicyInput = TlsDemand & { host: string; dane: DanePolicy };

/** RFC 7672 §6, mandatory DANE: nothing less will do. */
function isMandatory(demand: TlsDemand): boolean {
  return demand.level === "dane-only" || demand.messageTls === "required";
}

/**
 * DANE is switched off, so that TLSA need not be looked up: by the operator for this domain (RFC 7672 §9.1), or by the sender for this
 * message (RFC 8689 §4.2.2).
 */
export function isExempt(demand: TlsDemand): boolean {
  if (isMandatory(demand)) return false;
  return demand.level !== "dane" || (demand.messageTls === "not-required" && demand.levelFrom === "default");
}

/** The left side of the `tls` word while nothing is known of the hosts. */
export function wantedTls(demand: TlsDemand): TlsWanted {
  if (isMandatory(demand)) return "dane-only";
  if (!isExempt(demand)) return "dane";
  return demand.level === "encrypt" || demand.level === "none" ? demand.level : "may";
}

/**
 * What follows where no host meets the demand. REQUIRETLS fails at once (RFC 8689 §4.2.1), but for a notification: that SHOULD NOT be
 * lost for it (§5), and nobody could be told.
 */
export function unmetDemand(demand: TlsDemand, sender: string): Unmet {
  return demand.messageTls === "required" && sender !== "" ? "failed" : "deferred";
}

/** RFC 7672 §2.2 and §6, and design.md §3: the requirement on one host. Total: every combination has an answer, none falls through. */
export function hostTls(input: TlsPolicyInput): HostTls {
  if (isExempt(input)) return withoutDane(input.level);
  const mandatory = isMandatory(input);
  const wanted = wantedTls(input);
  const { dane, host } = input;
  switch (dane.kind) {
    case "unreachable": {
      // RFC 7672 §2.2: any look-up error means the next server or later, never a downgrade.
      const failure = lookupFailure(dane.reasons);
      const text = `${host} is not used, since its TLSA records are not known: ${lookupFailureText(dane.reasons, host)}`;
      return { kind: "refuse", wanted, got: "undecided", dane: failure.dane, cause: { kind: failure.cause, text, host } };
    }
    case "authenticate":
      if (dane.mx === "secure") {
        return { kind: "authenticate", wanted, got: mandatory ? "dane-only" : "dane", success: "authenticated", policy: dane };
      }
      // RFC 7672 §2.2.1: mandatory DANE over an insecure MX RRset is delayed; half a chain satisfies neither it nor REQUIRETLS.
      if (mandatory) return refused(input, "halfdane", "insecure", INSECURE_MX_TEXT);
      return { kind: "authenticate", wanted, got: "halfdane", success: "halfdane", policy: dane };
    case "encryptWithoutAuthentication":
      return encrypted(input, dane, mandatory, wanted);
    case "notApplicable": {
      const outcome = outcomeWithoutDane(dane.because);
      if (mandatory) return refused(input, "notlsa", outcome, withoutDaneText(dane.because));
      // RFC 7672 §2.2: pre-DANE opportunistic TLS.
      return { kind: "opportunistic", wanted: "may", success: outcome };
    }
    default:
      return dane satisfies never;
  }
}

const INSECURE_MX_TEXT =
  "was named by an MX record that is not signed, so that an attacker could have named it (RFC 7672 §2.2.1)";

function encrypted(input: TlsPolicyInput, { because }: DaneEncrypt, mandatory: boolean, wanted: TlsWanted): HostTls {
  switch (because) {
    case "no-usable-record":
      // RFC 7672 §6: mandatory DANE, and no usable record: delayed.
      if (mandatory) return refused(input, "encrypt", "unusable", "publishes no TLSA record that mail can use (RFC 7672 §3.1)");
      // RFC 7672 §2.2: secure, but none usable: TLS is a must, authentication is not.
      return { kind: "encrypt", wanted, got: "encrypt", success: "unusable" };
    case "insecure-mx":
      if (mandatory) return refused(input, "halfdane", "insecure", INSECURE_MX_TEXT);
      // RFC 7672 §2.2.1 leaves hosts named by an insecure MX RRset to the operator: here, `encrypt`.
      return { kind: "encrypt", wanted: "encrypt", got: "encrypt", success: "insecure" };
    default:
      return because satisfies never;
  }
}

function withoutDane(level: TlsLevel): HostTls {
  switch (level) {
    case "encrypt":
      return { kind: "encrypt", wanted: "encrypt", got: "encrypt", success: "exempt" };
    case "none":
      return { kind: "clear", wanted: "none", success: "exempt" };
    // `dane` comes here only by TLS-Required: No, whose word is: deliver even so, with TLS where it can be had.
    case "dane":
    case "may":
      return { kind: "opportunistic", wanted: "may", success: "exempt" };
    case "dane-only":
      throw new Error("dane-only is never without DANE");
    default:
      return level satisfies never;
  }
}

function refused(input: TlsPolicyInput, got: TlsGot, dane: DaneOutcome, because: string): HostTls {
  const demand =
    input.messageTls === "required" ? "the message was sent with REQUIRETLS" : "the policy for this domain is dane-only";
  return {
    kind: "refuse",
    wanted: "dane-only",
    got,
    dane,
    cause: { kind: "tls-policy", text: `${demand}, but ${input.host} ${because}`, host: input.host },
  };
}

function outcomeWithoutDane(because: Extract<DanePolicy, { kind: "notApplicable" }>["because"]): DaneOutcome {
  switch (because) {
    case "insecure-mx":
    case "insecure-address":
    case "tlsa-insecure":
      return "insecure";
    case "tlsa-absent":
      return "no-tlsa";
    case "address-literal":
      return "address-literal";
    case "exempt":
      return "exempt";
    default:
      return because satisfies never;
  }
}

function withoutDaneText(because: Extract<DanePolicy, { kind: "notApplicable" }>["because"]): string {
  switch (because) {
    case "insecure-mx":
      return INSECURE_MX_TEXT;
    case "insecure-address":
      return "has addresses in a zone that is not signed, so that it cannot have secure TLSA records (RFC 7672 §2.2.2)";
    case "tlsa-insecure":
      return "has no TLSA record that is signed (RFC 7672 §2.2)";
    case "tlsa-absent":
      return "publishes no TLSA record (RFC 7672 §2.2)";
    case "address-literal":
      return "is an address literal, to which DANE does not apply (RFC 7672 §2.2)";
    case "exempt":
      return "is exempt from DANE";
    default:
      return because satisfies never;
  }
}

/** The `tls` word of the log and the metric: *wanted* or *wanted:got*, `!` before what was refused, `?` behind what is undecided. */
export function tlsWord(wanted: TlsWanted, got: TlsGot | "undecided", violated: "violated" | "kept"): string {
  const mark = violated === "violated" ? "!" : "";
  if (got === "undecided") return `${mark}${wanted}?`;
  return wanted === got ? `${mark}${wanted}` : `${mark}${wanted}:${got}`;
}
