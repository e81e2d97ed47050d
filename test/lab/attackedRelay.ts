import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { DeliveryEngine } from "../../src/delivery/engine.ts";
import { type DomainName, displayName } from "../../src/dns/name.ts";
import type { PolicyInForce } from "../../src/mtasts/policyInForce.ts";
import { MemoryStore } from "../fake/memoryStore.ts";
import { TARGETS } from "./attackTargets.ts";
import type { AttackWorld, Lane } from "./attackWorld.ts";

/** What is attacked: the delivery engine and the validating resolver, without the process around them, on one lane of the world. */
export const SOURCE = join(import.meta.dirname, "..", "..", "src");

/** The relay's code as it is in some directory: the project's, or a copy with a bug planted in it. */
export type RelayCode = {
  engine: typeof import("../../src/delivery/engine.ts");
  resolver: typeof import("../../src/resolver/openResolver.ts");
  name: typeof import("../../src/dns/name.ts");
  clock: typeof import("../../src/clock.ts");
  certificates: typeof import("../../src/x509/distinctCertificates.ts");
  roots: typeof import("../../src/x509/serverIdentity.ts");
};

export async function loadRelay(source = SOURCE): Promise<RelayCode> {
  const load = (file: string): Promise<unknown> => import(pathToFileURL(join(source, file)).href);
  return {
    engine: (await load("delivery/engine.ts")) as RelayCode["engine"],
    resolver: (await load("resolver/openResolver.ts")) as RelayCode["resolver"],
    name: (await load("dns/name.ts")) as RelayCode["name"],
    clock: (await load("clock.ts")) as RelayCode["clock"],
    certificates: (await load("x509/distinctCertificates.ts")) as RelayCode["certificates"],
    roots: (await load("x509/serverIdentity.ts")) as RelayCode["roots"],
  };
}

/** Under attack much ends in a timeout; while nobody attacks nothing must, however busy the machine is. */
export type Patience = { connectSeconds: number; commandSeconds: number; lookupSeconds: number };
export const SHORT: Patience = { connectSeconds: 1, commandSeconds: 1, lookupSeconds: 1 };
export const LONG: Patience = { connectSeconds: 30, commandSeconds: 60, lookupSeconds: 30 };

const DOMAINS_WITH_LEVEL = TARGETS.flatMap(({ domain, level }) => (level === undefined ? [] : [{ domain, level }]));
const YEAR_MILLISECONDS = 365 * 86_400_000;

/** As if they had been fetched before the attack began. */
function stsPolicyFor(domain: DomainName): PolicyInForce {
  const target = TARGETS.find((one) => one.sts === "enforce" && one.domain === displayName(domain));
  if (target === undefined) return { kind: "none", because: "no-record" };
  return { kind: "policy", domain, id: "1", policy: { mode: "enforce", mx: target.hosts, maxAgeSeconds: 86_400 } };
}

export type AttackedRelay = {
  engine: DeliveryEngine;
  store: MemoryStore;
  trouble: readonly unknown[];
  stop: () => Promise<void>;
};

export async function startAttackedRelay(
  code: RelayCode,
  world: AttackWorld,
  lane: Lane,
  patience: Patience,
): Promise<AttackedRelay> {
  const { systemClock: clock, systemRandom: random } = code.clock;
  const resolver = await code.resolver.openResolver(
    {
      mode: "forward",
      upstreams: [{ address: lane.resolver, port: 53 }],
      trustAnchorFile: world.lab.trustAnchorFile,
      rootHintsFile: world.lab.rootHintsFile,
      sha1: "insecure",
      insecureZones: [],
      forwardZones: [],
      timeoutSeconds: patience.lookupSeconds,
      nsec3Iterations: { insecureAbove: 100, bogusAbove: 500 },
      probe: {},
      allowLoopback: true,
    },
    {
      clock,
      random,
      onVerdict: () => undefined,
      onValidation: () => undefined,
      onExchange: () => undefined,
      onTrustAnchor: () => undefined,
    },
  );
  const trusted = new code.roots.TrustedRoots(code.certificates.distinctCertificates([world.lab.pki.ca.der], []));
  const store = new MemoryStore();
  const trouble: unknown[] = [];
  const expiresAt = clock.now() + YEAR_MILLISECONDS;
  const engine = new code.engine.DeliveryEngine({
    settings: {
      hostname: code.name.name("relay.lab"),
      port: 25,
      insecureMx: "dane",
      allowLoopback: true,
      tlsPolicies: DOMAINS_WITH_LEVEL.map(({ domain, level }) =>
        level === "dane-only" ? { domain, level } : { domain, level, expiresAt },
      ),
      tlsRequiredNo: "honour",
      routes: [],
      sourceAddresses: [lane.source],
      timeouts: { connectSeconds: patience.connectSeconds, commandSeconds: patience.commandSeconds },
      retry: { initialSeconds: 300, maximumSeconds: 14_400, lifetimeHours: 120, delayWarningHours: 4 },
      maxConnections: 50,
      maxConnectionsPerDestination: 5,
      rates: [],
      drain: "transactions",
      drainSeconds: 20,
    },
    resolver: resolver.resolver,
    stsPolicyFor: (domain) => Promise.resolve(stsPolicyFor(domain)),
    trustedRoots: () => trusted,
    store,
    clock,
    random,
    newId: () => "generated",
    onEvent: (event) => {
      if (event.kind === "trouble") trouble.push(event.error);
    },
  });
  engine.start();
  const stop = async (): Promise<void> => {
    await engine.stop();
    resolver.close();
  };
  return { engine, store, trouble, stop };
}
