import type { DaneOutcome } from "../policy/disposition.ts";
import type { StsDemand } from "../policy/stsPolicy.ts";
import { type HostTls, type TlsDemand, tlsWord, wantedTls } from "../policy/tlsPolicy.ts";
import type { Trace } from "./ledger.ts";
import type { LookupWord } from "./lookupWord.ts";
import type { Route } from "./route.ts";
import { refusedOutcome } from "./stsOutcome.ts";

const NOT_ASKED = { mx: "not-asked", address: "not-asked", tlsa: "not-asked" } as const;

/** The trace of a destination that has no host to try: nothing is known but how the MX look-up ended. */
export function unroutableTrace(route: Extract<Route, { kind: "unroutable" }>, demand: TlsDemand): Trace {
  const dnssec = { ...NOT_ASKED, mx: route.mxLookup };
  return route.trouble.kind === "lookup" ? undecided(demand, route.mxLookup, dnssec) : untried(demand, dnssec);
}

/** The trace of a host whose addresses could not be looked up. */
export function unknownTrace(host: string, demand: TlsDemand, dnssec: Trace["dnssec"]): Trace {
  return { host, ...undecided(demand, dnssec.address, dnssec) };
}

/** The trace of a host without a usable address. */
export function absentTrace(host: string, demand: TlsDemand, dnssec: Trace["dnssec"]): Trace {
  return { host, ...untried(demand, dnssec) };
}

/** The trace of a host that its policy keeps us from. */
export function refusalTrace(
  tls: Extract<HostTls, { kind: "refuse" }>,
  host: string,
  dnssec: Trace["dnssec"],
  sts: StsDemand,
): Trace {
  const bySts = refusedOutcome(sts);
  const trace = { host, tls: tlsWord(tls.wanted, tls.got, "violated"), dane: tls.dane, dnssec };
  return bySts === undefined ? trace : { ...trace, sts: bySts };
}

/** The trace of an attempt that broke inside dane-relay. */
export function brokenTrace(demand: TlsDemand): Trace {
  return untried(demand, NOT_ASKED);
}

function untried(demand: TlsDemand, dnssec: Trace["dnssec"]): Trace {
  return { tls: tlsWord(wantedTls(demand), "noconnect", "kept"), dane: "not-tried", dnssec };
}

/** A look-up failed. A policy of DANE that cannot be known is not one of "no DANE"; where DANE is not asked for, nothing is undecided. */
function undecided(demand: TlsDemand, failed: LookupWord, dnssec: Trace["dnssec"]): Trace {
  const dane: DaneOutcome = failed === "bogus" ? "bogus" : "lookup-failed";
  const wanted = wantedTls(demand);
  const byDane = wanted === "dane" || wanted === "dane-only";
  return { tls: byDane ? tlsWord(wanted, "undecided", "violated") : tlsWord(wanted, "noconnect", "kept"), dane, dnssec };
}
