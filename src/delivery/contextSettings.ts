import { readFile } from "node:fs/promises";
import { isIPv6 } from "node:net";
import type { SecureVersion } from "node:tls";
import type { Clock, Random } from "../clock.ts";
import type { InsecureMxPolicy } from "../dane/tlsDiscovery.ts";
import { type DomainName, displayName } from "../dns/name.ts";
import type { Resolver } from "../resolver/resolver.ts";
import type { TrustedRoots } from "../x509/serverIdentity.ts";
import type { DialogueTimeouts } from "./connection.ts";
import type { DeliveryContext } from "./context.ts";
import type { RouteSetting } from "./route.ts";
import type { StsPolicyFor } from "./stsOutcome.ts";
import { demandOf, type TlsPolicySettings } from "./tlsPolicies.ts";

/** What of `delivery.*` decides how one destination is reached; the same for deliveries and for whoever explains them. */
export type ContextSettings = TlsPolicySettings & {
  hostname: DomainName;
  port: number;
  insecureMx: InsecureMxPolicy;
  allowLoopback: boolean;
  routes: readonly RouteSetting[];
  sourceAddresses: readonly string[];
  timeouts: DialogueTimeouts;
  opportunisticTlsVersion?: SecureVersion;
};

export type ContextParts = {
  resolver: Resolver;
  /** What MTA-STS says of a next-hop domain. */
  stsPolicyFor: StsPolicyFor;
  /** The CAs of PKIX. */
  trustedRoots: () => TrustedRoots;
  clock: Clock;
  random: Random;
};

/** The part of an attempt's surroundings that decides; connections and what is told come from who attempts. */
export function decidingContext(
  settings: ContextSettings,
  { resolver, stsPolicyFor, trustedRoots, clock, random }: ContextParts,
): Pick<
  DeliveryContext,
  "route" | "resolver" | "allowLoopback" | "insecureMx" | "demandOf" | "stsPolicyFor" | "request" | "localAddressFor"
> & { verification: Pick<DeliveryContext["session"], "now" | "trustedRoots"> } {
  const { routes, port, hostname, allowLoopback, insecureMx, timeouts, opportunisticTlsVersion, sourceAddresses } = settings;
  const below = (exclusiveMaximum: number) => random.below(exclusiveMaximum);
  return {
    route: { resolver, routes, port, self: hostname, random: below, readSecret },
    resolver,
    allowLoopback,
    insecureMx,
    demandOf: (work) => demandOf(work, settings, clock.now()),
    stsPolicyFor,
    request: {
      hostname: displayName(hostname),
      timeouts,
      ...(opportunisticTlsVersion === undefined ? {} : { opportunisticVersion: opportunisticTlsVersion }),
    },
    localAddressFor: (remote) => sourceAddresses.find((address) => isIPv6(address) === isIPv6(remote)),
    verification: { now: () => clock.now(), trustedRoots },
  };
}

function readSecret(file: string): Promise<string> {
  return readFile(file, "utf8");
}
