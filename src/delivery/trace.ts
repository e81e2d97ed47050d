import type { DaneOutcome } from "../policy/disposition.ts";
import type { HostTls } from "../policy/tlsPolicy.ts";
import { tlsWord } from "../policy/tlsPolicy.ts";
import type { Trace } from "./ledger.ts";
import type { Route } from "./route.ts";

/** The trace of a destination that has no host to try: nothing is known but how the MX look-up ended. */
export function unroutableTrace(
  route: Extract<Route, { kind: "unroutable" }>,
  level: "dane" | "dane-only" | "encrypt" | "may" | "none",
): Trace {
  const dnssec = { mx: route.mxLookup, address: "not-asked", tlsa: "not-asked" } as const;
  // A policy that cannot be known is not a policy of "no DANE": undecided, nothing tried.
  if (route.trouble.kind === "lookup") {
    const dane: DaneOutcome = route.mxLookup === "bogus" ? "bogus" : "lookup-failed";
    return { tls: tlsWord(level, "undecided", "violated"), dane, dnssec };
  }
  return { tls: tlsWord(level, "noconnect", "kept"), dane: "not-tried", dnssec };
}

/** The trace of a host that its policy keeps us from. */
export function refusalTrace(tls: Extract<HostTls, { kind: "refuse" }>, host: string, dnssec: Trace["dnssec"]): Trace {
  return { host, tls: tlsWord(tls.wanted, tls.got, "violated"), dane: tls.dane, dnssec };
}

/** The trace of a host without a usable address. */
export function absentTrace(
  host: string,
  level: "dane" | "dane-only" | "encrypt" | "may" | "none",
  dnssec: Trace["dnssec"],
): Trace {
  const failed = dnssec.address === "bogus" || dnssec.address === "failed";
  if (failed)
    return {
      host,
      tls: tlsWord(level, "undecided", "violated"),
      dane: dnssec.address === "bogus" ? "bogus" : "lookup-failed",
      dnssec,
    };
  return { host, tls: tlsWord(level, "noconnect", "kept"), dane: "not-tried", dnssec };
}
