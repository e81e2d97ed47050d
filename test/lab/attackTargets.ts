import type { TlsLevel } from "../../src/policy/tlsPolicy.ts";
import { authenticated, type Host, type Scenario, type TlsaRecord, tlsa } from "./scenario.ts";

/** What the attacker is after: one destination for each kind of policy, and what that policy promises whatever happens on the way. */
export type Target = {
  name: string;
  domain: string;
  /**
   * authenticate: nothing of the message, nor its envelope, may be readable for anybody but the domain's own hosts. encrypt: nothing of
   * it may travel in clear text. opportunistic: no promise on the wire. never: the policy cannot be met, nobody may get the message.
   */
  promise: "authenticate" | "encrypt" | "opportunistic" | "never";
  /** `delivery.tlsPolicies` for the domain. */
  level?: TlsLevel;
  /** The message is sent with REQUIRETLS (RFC 8689). */
  requireTls?: "yes";
  /** The domain has an MTA-STS policy in force that names its hosts (RFC 8461). */
  sts?: "enforce";
  /** Hosts that may hold its mail. */
  hosts: readonly string[];
};

export const TARGETS: readonly Target[] = [
  { name: "secure MX, 3 1 1", domain: "ee.lab", promise: "authenticate", hosts: ["mx.ee.lab"] },
  { name: "secure MX, 2 1 1", domain: "ta.lab", promise: "authenticate", hosts: ["mx.ta.lab"] },
  { name: "two hosts, 3 1 1 and 2 1 1", domain: "two.lab", promise: "authenticate", hosts: ["mx1.two.lab", "mx2.two.lab"] },
  {
    name: "insecure MX, 3 1 1 (halfdane)",
    domain: "half.lab",
    promise: "authenticate",
    hosts: ["mx.half-host.lab"],
  },
  { name: "dane-only, 3 1 1", domain: "only.lab", promise: "authenticate", level: "dane-only", hosts: ["mx.only.lab"] },
  { name: "dane-only, insecure MX", domain: "only-half.lab", promise: "never", level: "dane-only", hosts: [] },
  { name: "dane-only, no TLSA", domain: "only-none.lab", promise: "never", level: "dane-only", hosts: [] },
  { name: "TLSA of usages 0 and 1 only", domain: "unusable.lab", promise: "encrypt", hosts: ["mx.unusable.lab"] },
  { name: "no TLSA, level encrypt", domain: "ordered.lab", promise: "encrypt", level: "encrypt", hosts: ["mx.ordered.lab"] },
  { name: "no TLSA", domain: "opportunistic.lab", promise: "opportunistic", hosts: ["mx.opportunistic.lab"] },
  { name: "level may, on a host with TLSA", domain: "may.lab", promise: "opportunistic", level: "may", hosts: ["mx.ee.lab"] },
  { name: "2 1 1, the certificate names the domain", domain: "named.lab", promise: "authenticate", hosts: ["mx.shared.lab"] },
  { name: "2 1 1, the same host, whose certificate names another domain", domain: "unnamed.lab", promise: "never", hosts: [] },
  { name: "MTA-STS enforce, no TLSA", domain: "sts.lab", promise: "authenticate", sts: "enforce", hosts: ["mx.sts.lab"] },
  {
    name: "MTA-STS enforce, nothing signed",
    domain: "sts-unsigned.lab",
    promise: "authenticate",
    sts: "enforce",
    hosts: ["mx.sts-unsigned.lab"],
  },
  { name: "REQUIRETLS, 3 1 1", domain: "ee.lab", promise: "authenticate", requireTls: "yes", hosts: ["mx.ee.lab"] },
  {
    name: "REQUIRETLS, no TLSA, and a certificate of a CA for the host that a signed MX record names",
    domain: "opportunistic.lab",
    promise: "authenticate",
    requireTls: "yes",
    hosts: ["mx.opportunistic.lab"],
  },
  { name: "REQUIRETLS, insecure MX", domain: "half.lab", promise: "never", requireTls: "yes", hosts: [] },
];

/** Targets whose MX records lead to the same host. */
export const NEIGHBOURS: readonly (readonly Target[])[] = [
  ["ee.lab", "may.lab"],
  ["named.lab", "unnamed.lab"],
  ["half.lab", "only-half.lab"],
  ["opportunistic.lab"],
].map((domains) => TARGETS.filter(({ domain }) => domains.includes(domain)));

/** Where forged DNS wants the mail; a signed domain of the attacker's own, with TLSA for the attacker's key. */
export const TRAP = "mx.trap.lab";
/** Domains whose answers the forger would have to sign to be believed. */
export const SIGNED_DOMAINS: readonly string[] = [
  ...["ee.lab", "ta.lab", "two.lab", "only.lab", "only-none.lab", "unusable.lab", "ordered.lab", "opportunistic.lab", "may.lab"],
  ...["named.lab", "unnamed.lab", "shared.lab", "half-host.lab", "sts.lab"],
];
/** Whoever forges their MX records names the host. DANE then authenticates that one (RFC 7672 §2.2.1), MTA-STS refuses it. */
export const UNSIGNED_DOMAINS: readonly string[] = ["half.lab", "only-half.lab", "sts-unsigned.lab"];

/** Rows of this table are not judged by what the relay says. */
const UNJUDGED = authenticated("");

/** Nothing of the lab's listens there: the attacker does, and has the receiver behind it. */
function host(name: string, records: readonly TlsaRecord[], more: Partial<Host> = {}): Host {
  return { name, server: "closed", tlsa: records, ...more };
}

function row(domain: string, more: Partial<Scenario>): Scenario {
  return { domain, shows: "a target of the attacker", hosts: [], expected: UNJUDGED, ...more };
}

const EE = [tlsa("3 1 1")];
const TA = [tlsa("2 1 1", "ca")];

export const ATTACKED_ROWS: readonly Scenario[] = [
  row("ee.lab", { hosts: [host("mx.ee.lab", EE)] }),
  row("ta.lab", { hosts: [host("mx.ta.lab", TA)] }),
  row("two.lab", { hosts: [host("mx1.two.lab", EE), host("mx2.two.lab", TA, { mx: 20 })] }),
  row("half.lab", { zone: { signing: "unsigned" }, zones: { "half-host.lab": {} }, hosts: [host("mx.half-host.lab", EE)] }),
  row("only.lab", { hosts: [host("mx.only.lab", EE)] }),
  row("only-half.lab", { zone: { signing: "unsigned" }, records: ["only-half.lab MX 10 mx.half-host.lab."] }),
  row("only-none.lab", { hosts: [host("mx.only-none.lab", [])] }),
  row("unusable.lab", { hosts: [host("mx.unusable.lab", [tlsa("1 1 1"), tlsa("0 0 1", "ca")])] }),
  row("ordered.lab", { hosts: [host("mx.ordered.lab", [])] }),
  row("opportunistic.lab", { hosts: [host("mx.opportunistic.lab", [])] }),
  row("may.lab", { records: ["may.lab MX 10 mx.ee.lab."] }),
  row("named.lab", {
    zones: { "shared.lab": {} },
    hosts: [host("mx.shared.lab", TA, { mx: "none", certificate: { names: ["named.lab"] } })],
    records: ["named.lab MX 10 mx.shared.lab."],
  }),
  row("unnamed.lab", { records: ["unnamed.lab MX 10 mx.shared.lab."] }),
  row("sts.lab", { hosts: [host("mx.sts.lab", [])] }),
  row("sts-unsigned.lab", { zone: { signing: "unsigned" }, hosts: [host("mx.sts-unsigned.lab", [])] }),
  row("trap.lab", { hosts: [host(TRAP, EE)] }),
  // The lab's Postfix needs something to listen for.
  row("bystander.lab", { hosts: [{ name: "mx.bystander.lab", server: "postfix" }] }),
];
