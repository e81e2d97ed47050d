import type { DanePolicy, InsecureMxPolicy } from "../dane/tlsDiscovery.ts";
import { reasonText } from "../dnssec/securityStatus.ts";
import { type Cause, type DaneOutcome, lookupFailure, type TlsGot, type TlsWanted } from "./disposition.ts";

/** `delivery.tlsPolicies` level of a recipient domain; the default is `dane`. */
export type TlsLevel = "dane-only" | "dane" | "encrypt" | "may" | "none";

/** How the host was found: a secure or insecure MX RRset; `configured` is a route's next hop, an a-priori secure name (RFC 7672 §2.2.2). */
export type MxSecurity = "secure" | "insecure" | "configured";

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

export type DaneAuthenticate = Extract<DanePolicy, { kind: "authenticate" }>;

export type TlsPolicyInput = {
  host: string;
  level: TlsLevel;
  /** Whether the level was written down by the operator for this domain; `TLS-Required: No` never relaxes such a one. */
  levelFrom: "default" | "operator";
  mx: MxSecurity;
  insecureMx: InsecureMxPolicy;
  messageTls: MessageTls;
  dane: DanePolicy;
};

/** Whether TLSA has to be looked up at all: the levels encrypt, may and none switch DANE off, and so does an honoured exemption. */
export function daneIsAsked(
  input: Pick<TlsPolicyInput, "level" | "levelFrom" | "mx" | "insecureMx" | "messageTls">,
): "asked" | "exempt" | "insecure-mx" {
  if (input.messageTls === "required") return "asked";
  if (input.level === "encrypt" || input.level === "may" || input.level === "none") return "exempt";
  if (input.messageTls === "not-required" && input.levelFrom === "default") return "exempt";
  if (input.mx === "insecure" && input.insecureMx === "may" && input.level === "dane") return "insecure-mx";
  return "asked";
}

/** RFC 7672 §2.2 and §6, and design.md §3: the requirement on one host. Total: every combination has an answer, none falls through. */
export function hostTls(input: TlsPolicyInput): HostTls {
  const mandatory = input.level === "dane-only" || input.messageTls === "required";
  // TLS-Required: No turns the default demand off before DANE is looked at (RFC 8689 §4.2); an operator's level stays.
  if (!mandatory && daneIsAsked(input) === "exempt") return withoutDane(input.level);
  const wanted: TlsWanted = mandatory ? "dane-only" : "dane";
  switch (input.dane.kind) {
    case "unreachable": {
      // RFC 7672 §2.2: any look-up error means the next server or later, never a downgrade.
      const failure = lookupFailure(input.dane.reasons);
      const text = `${input.host} is not used, because its security policy cannot be known: ${reasonText(input.dane.reasons)}`;
      return {
        kind: "refuse",
        wanted,
        got: "undecided",
        dane: failure.dane,
        cause: { kind: failure.cause, text, host: input.host },
      };
    }
    case "authenticate":
      return authenticated(input, input.dane, mandatory, wanted);
    case "encryptWithoutAuthentication":
      if (mandatory)
        return refused(input, "encrypt", "unusable", "publishes TLSA records of which none can be used (RFC 7672 §3.1)");
      // RFC 7672 §2.2.1 leaves hosts named by an insecure MX RRset to the operator: here, `encrypt`.
      if (input.mx === "insecure" && input.insecureMx === "encrypt") {
        return { kind: "encrypt", wanted: "encrypt", got: "encrypt", success: "insecure" };
      }
      return { kind: "encrypt", wanted, got: "encrypt", success: "unusable" };
    case "notApplicable": {
      const outcome = outcomeWithoutDane(input.dane.because);
      if (mandatory) return refused(input, "notlsa", outcome, withoutDaneText(input.dane.because));
      return { kind: "opportunistic", wanted: "may", success: outcome };
    }
    default:
      return input.dane satisfies never;
  }
}

function authenticated(input: TlsPolicyInput, policy: DaneAuthenticate, mandatory: boolean, wanted: TlsWanted): HostTls {
  if (input.mx !== "insecure") {
    return { kind: "authenticate", wanted, got: mandatory ? "dane-only" : "dane", success: "authenticated", policy };
  }
  // RFC 7672 §2.2.1: mandatory DANE over an insecure MX RRset is delayed; half a chain satisfies neither it nor REQUIRETLS.
  if (mandatory)
    return refused(
      input,
      "halfdane",
      "insecure",
      "was named by an MX record that is not signed: an attacker could have named it (RFC 7672 §2.2.1)",
    );
  switch (input.insecureMx) {
    case "dane":
      return { kind: "authenticate", wanted, got: "halfdane", success: "halfdane", policy };
    case "encrypt":
      return { kind: "encrypt", wanted: "encrypt", got: "encrypt", success: "insecure" };
    case "may":
      return { kind: "opportunistic", wanted: "may", success: "insecure" };
    default:
      return input.insecureMx satisfies never;
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
      return "was named by an MX record that is not signed (RFC 7672 §2.2.1)";
    case "insecure-address":
      return "has addresses in a zone that is not signed, so that it cannot have secure TLSA records (RFC 7672 §2.2.2)";
    case "tlsa-insecure":
      return "has TLSA records only in a zone that is not signed (RFC 7672 §2.2)";
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
