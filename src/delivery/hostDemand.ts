import { isName, parseName } from "../dns/name.ts";
import type { PolicyInForce } from "../mtasts/policyInForce.ts";
import { type NamedHost, withCredentials, withRequireTls } from "../policy/authenticatedTls.ts";
import type { HostDemand, StsDemand } from "../policy/stsPolicy.ts";
import { hostTls, type TlsDemand } from "../policy/tlsPolicy.ts";
import type { DeliveryContext } from "./context.ts";
import type { HostEvidence } from "./host.ts";
import type { Route } from "./route.ts";
import { heldToSts } from "./stsOutcome.ts";

type Reachable = Extract<HostEvidence, { kind: "reachable" }>;
type RoutedRoute = Exclude<Route, { kind: "unroutable" }>;

/** What a connection to one host must reach, with everything considered: DANE, the operator, MTA-STS, REQUIRETLS, our credentials. */
export async function demandOnHost(
  evidence: Reachable,
  route: RoutedRoute,
  demand: TlsDemand,
  { stsPolicyFor }: Pick<DeliveryContext, "stsPolicyFor">,
): Promise<{ tls: HostDemand; sts: StsDemand; found?: PolicyInForce }> {
  const { host, dane } = evidence;
  const held = await heldToSts(hostTls({ host, dane, ...demand }), host, route, demand, stsPolicyFor);
  const named = namedHost(evidence, route, held.sts);
  const tls = withRequireTls(held.tls, demand, named);
  return { ...held, tls: route.credentials === undefined ? tls : withCredentials(tls, named) };
}

/** Undefined for an address literal: PKIX has no name to check. */
function namedHost({ host, dane }: Reachable, route: RoutedRoute, sts: StsDemand): NamedHost | undefined {
  const name = parseName(host);
  if (route.kind === "literal" || !isName(name)) return undefined;
  const { origin } = route;
  const namedBy = origin.kind === "mx" && origin.mx === "insecure" ? "insecure-mx" : "trusted";
  return { name, namedBy, dane, sts };
}
