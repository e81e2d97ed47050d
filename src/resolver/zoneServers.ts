import type { Random } from "../clock.ts";
import { type DomainName, isWithin } from "../dns/name.ts";
import type { Delegation, DelegationCache } from "./delegation.ts";
import type { NameserverAddresses, Undertaking } from "./nameserverAddresses.ts";
import type { RecursorLimits } from "./recursorLimits.ts";
import type { Nameserver } from "./referral.ts";
import type { ServerSelection } from "./serverSelection.ts";
import type { ServerAddress } from "./transport.ts";

const DNS_PORT = 53;

export type ZoneServersOptions = {
  delegations: DelegationCache;
  addresses: NameserverAddresses;
  selection: ServerSelection;
  random: Random;
  limits: RecursorLimits;
  /** Ports of learned addresses that are not 53 (laboratories). */
  ports: ReadonlyMap<string, number>;
  /** Whether sibling glue is used only after a look-up of the name itself failed. */
  verifySiblingGlue: boolean;
};

/**
 * The servers of a zone, one after another, cheapest to know first. Whoever takes them stops when one has answered, so that look-ups for
 * more are made only when they are needed; nor are they when `isContent` says that what there is will do.
 * 1. configured addresses, glue, and addresses looked up earlier: in the order of server selection.
 * 2. name servers of the delegation without known address: looked up.
 * 3. when all these failed: look-ups for those that had glue (the child may know better), names of the child side, and at last the glue
 *    that the parents of the servers' own zones gave.
 */
export async function* zoneServers(
  delegation: Delegation,
  undertaking: Undertaking,
  options: ZoneServersOptions,
  isContent: () => boolean,
): AsyncGenerator<ServerAddress, void, undefined> {
  const { selection } = options;
  if (delegation.kind === "configured") {
    yield* selection.order(delegation.addresses, delegation.zone);
    return;
  }
  const seen = new Set<string>();
  const fresh = (addresses: readonly string[]): ServerAddress[] => {
    const unseen = addresses.filter((address) => !seen.has(address));
    for (const address of unseen) seen.add(address);
    return selection.order(
      unseen.map((address) => ({ address, port: options.ports.get(address) ?? DNS_PORT })),
      delegation.zone,
    );
  };
  const { zone, nameservers } = delegation;
  yield* fresh(nameservers.flatMap((server) => knownAddresses(server, zone, options)));
  if (isContent()) return;
  if (!undertaking.expanding.has(zone)) {
    const expanding = new Set(undertaking.expanding).add(zone);
    for (const nameserver of namesToLookUp(delegation, options).slice(0, options.limits.nameserverLookupsPerZone)) {
      if (undertaking.budget.exhausted !== undefined || isContent()) return;
      for await (const found of options.addresses.lookUp(nameserver, { ...undertaking, expanding })) yield* fresh(found);
    }
  }
  yield* fresh(nameservers.flatMap((server) => [...server.glue, ...options.delegations.glueOf(server.name)]));
  const childSide = options.delegations.childSide(zone);
  yield* fresh(childSide.flatMap((name) => [...(options.addresses.remembered(name) ?? []), ...options.delegations.glueOf(name)]));
}

function isTrustedGlue(server: Nameserver, zone: DomainName, options: ZoneServersOptions): boolean {
  return server.glue.length > 0 && (!options.verifySiblingGlue || isWithin(server.name, zone));
}

function knownAddresses(server: Nameserver, zone: DomainName, options: ZoneServersOptions): readonly string[] {
  const glue = isTrustedGlue(server, zone, options) ? server.glue : [];
  return [...glue, ...(options.addresses.remembered(server.name) ?? [])];
}

/** Those without glue first, then those with, then the child side; each group in an order of chance. */
function namesToLookUp(delegation: Delegation & { kind: "learned" }, options: ZoneServersOptions): DomainName[] {
  const { zone, nameservers } = delegation;
  const withGlue = (server: Nameserver) => isTrustedGlue(server, zone, options);
  const named = (servers: readonly Nameserver[]) =>
    rotated(
      servers.map((server) => server.name),
      options.random,
    );
  const names = [
    ...named(nameservers.filter((server) => !withGlue(server))),
    ...named(nameservers.filter(withGlue)),
    ...rotated(options.delegations.childSide(zone), options.random),
  ];
  return [...new Set(names)].filter((name) => options.addresses.remembered(name) === undefined);
}

function rotated(names: readonly DomainName[], random: Random): DomainName[] {
  if (names.length < 2) return [...names];
  const start = random.below(names.length);
  return [...names.slice(start), ...names.slice(0, start)];
}
