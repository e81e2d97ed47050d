import type { Config } from "../config/schema.ts";
import { stateDirectoryOf } from "../config/stateDirectory.ts";
import { type DomainName, name } from "../dns/name.ts";
import type { ResolverSettings } from "../resolver/openResolver.ts";

/** `resolver.*` as the resolver wants it. */
export function resolverSettings(config: Config): ResolverSettings {
  const { resolver, delivery } = config;
  return {
    ...resolver,
    insecureZones: resolver.insecureZones.map((zone) => name(zone)),
    forwardZones: resolver.forwardZones.map((entry) => ({ ...entry, zone: name(entry.zone) })),
    probe: { good: nameOf(resolver.probe.good), bad: nameOf(resolver.probe.bad) },
    allowLoopback: delivery.allowLoopback,
    stateDirectory: stateDirectoryOf(config),
  };
}

function nameOf(text: string | undefined): DomainName | undefined {
  return text === undefined ? undefined : name(text);
}
