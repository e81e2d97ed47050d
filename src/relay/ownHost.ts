import type { Clock, Random } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { type Rollover, recordsToPublish, type ServerView, type Sight } from "../diagnosis/doubleTlsa.ts";
import { type DomainName, isName, parseName } from "../dns/name.ts";
import type { TlsaData } from "../dns/rdata.ts";
import type { TsigKey } from "../dns/tsig.ts";
import { reasonText } from "../dnssec/securityStatus.ts";
import { openResolver } from "../resolver/openResolver.ts";
import type { ValidatingResolver } from "../resolver/resolver.ts";
import { createTransport } from "../resolver/socketTransport.ts";
import type { ServerAddress, Transport } from "../resolver/transport.ts";
import { type AuthoritativeServer, askEach, tlsaOwner, zoneOf } from "../rollover/authoritativeServers.ts";
import { sendUpdate, type UpdateResult } from "../rollover/dynamicUpdate.ts";
import { shownKeys } from "../rollover/presentedKeys.ts";
import { resolverSettings } from "./resolverSettings.ts";

/**
 * One's own mail host as the world sees it, through the relay's own resolver, and the change of its TLSA records. Every look begins with nothing
 * remembered: what counts is what the servers say now.
 */
export type OwnHost = {
  look(rollover: Pick<Rollover, "host" | "port">): Promise<Sight>;
  /** Adds what `rollover` wants published and removes `remove`, at the zone's primary server or at `server`. */
  publish(rollover: Rollover, remove: readonly TlsaData[], how: PublishOptions): Promise<UpdateResult>;
  close(): void;
};

export type PublishOptions = { ttlSeconds: number; server?: ServerAddress; zone?: DomainName; key?: TsigKey };

type Surroundings = { clock: Clock; random: Random };

/** What a look or a change is made with; a fresh resolver remembers nothing. */
type Means = Surroundings & {
  hostname: string;
  servers: readonly AuthoritativeServer[];
  transport: Transport;
  freshResolver: () => ValidatingResolver;
};

/** `servers`: asked instead of those that the zone's NS records name. */
export async function openOwnHost(
  config: Config,
  servers: readonly AuthoritativeServer[],
  { clock, random }: Surroundings,
): Promise<OwnHost> {
  const quiet = () => undefined;
  const opened = await openResolver(
    { ...resolverSettings(config), stateDirectory: undefined },
    { clock, random, onVerdict: quiet, onValidation: quiet, onExchange: quiet, onTrustAnchor: quiet },
  );
  const transport = createTransport({ clock, random });
  const freshResolver = () => opened.observed({ clock, onEvidence: quiet });
  const means = { clock, random, hostname: config.hostname, servers, transport, freshResolver };
  return {
    look: (rollover) => look(rollover, means),
    publish: (rollover, remove, how) => publish({ rollover, remove, how }, means),
    close: () => {
      transport.close();
      opened.close();
    },
  };
}

async function look({ host, port }: Pick<Rollover, "host" | "port">, means: Means): Promise<Sight> {
  const resolver = means.freshResolver();
  const owner = tlsaOwner(host, port);
  const servers = await serverViews(owner, resolver, means);
  const tlsa = await resolver.resolve(owner, "TLSA");
  const dnssec: Sight["dnssec"] =
    tlsa.status === "indeterminate" || tlsa.status === "bogus"
      ? { status: tlsa.status === "bogus" ? "bogus" : "failed", reason: reasonText(tlsa.reasons) }
      : { status: tlsa.status };
  const name = hostName(host);
  const families = await Promise.all([resolver.resolve(name, "A"), resolver.resolve(name, "AAAA")]);
  const addresses = families.flatMap((found) => ("answer" in found && found.answer === "records" ? [...found.records] : []));
  const hosts = await shownKeys({ host: name, addresses, port, hostname: means.hostname });
  return { now: means.clock.now(), servers, dnssec, hosts };
}

async function serverViews(owner: DomainName, resolver: ValidatingResolver, means: Means): Promise<readonly ServerView[]> {
  if (means.servers.length > 0) return askEach(means.servers, owner, means.transport);
  const found = await zoneOf(owner, resolver);
  if (found.kind === "unknown") return [{ kind: "failed", server: "the zone", reason: found.reason }];
  return askEach(found.servers, owner, means.transport);
}

type Change = { rollover: Rollover; remove: readonly TlsaData[]; how: PublishOptions };

async function publish({ rollover, remove, how }: Change, means: Means): Promise<UpdateResult> {
  const owner = tlsaOwner(rollover.host, rollover.port);
  const found = how.zone !== undefined && how.server !== undefined ? undefined : await zoneOf(owner, means.freshResolver());
  if (found?.kind === "unknown") return { kind: "refused", reason: found.reason };
  const zone = how.zone ?? found?.zone;
  const server = how.server ?? found?.primary;
  if (zone === undefined || server === undefined)
    return {
      kind: "refused",
      reason: "the zone's primary server (its SOA record's first name) has no address: name it with --update",
    };
  const id = means.random.below(0x10000);
  const update = { id, zone, owner, ttlSeconds: how.ttlSeconds, add: recordsToPublish(rollover), remove };
  return sendUpdate(server, update, how.key, means.clock.now());
}

function hostName(host: string): DomainName {
  const name = parseName(host);
  if (isName(name)) return name;
  throw new Error(`${host}: ${name.reason}`);
}
