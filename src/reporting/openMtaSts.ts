import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import type { Clock } from "../clock.ts";
import type { DomainName } from "../dns/name.ts";
import type { PolicyInForce } from "../mtasts/policyInForce.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { distinctCertificates } from "../x509/distinctCertificates.ts";
import { TrustedRoots } from "../x509/serverIdentity.ts";
import { createPolicyFetcher } from "./mtaStsFetch.ts";
import { PolicyCache } from "./policyCache.ts";
import { StsPolicies, type StsPoliciesOptions } from "./stsPolicies.ts";

export type MtaStsSettings = {
  enabled: boolean;
  /** PEM certificates of the CAs that are trusted, in place of those that come with Node. */
  caFile?: string | undefined;
  /** Where the policies are kept over restarts. */
  directory: string;
  /** Whether policy hosts may be at addresses that are not public: labs. */
  allowLoopback: boolean;
};

export type MtaSts = {
  policyFor: (domain: DomainName) => Promise<PolicyInForce>;
  /** The CAs that MX hosts are authenticated by. */
  trustedRoots: () => TrustedRoots;
  start: () => void;
  stop: () => Promise<void>;
};

const CERTIFICATE = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;

/** Builds what `mtaSts.*` asks for. Rejects with what is wrong when the CA file cannot be used. */
export async function openMtaSts(
  settings: MtaStsSettings,
  surroundings: { resolver: Resolver; clock: Clock; onEvent: StsPoliciesOptions["onEvent"] },
): Promise<MtaSts> {
  const { clock, resolver, onEvent } = surroundings;
  const roots = settings.caFile === undefined ? rootCertificates : await certificatesIn(settings.caFile);
  let trusted: TrustedRoots | undefined;
  const trustedRoots = (): TrustedRoots => {
    trusted ??= new TrustedRoots(distinctCertificates(roots.map(derOf), []));
    return trusted;
  };
  if (!settings.enabled) {
    const policyFor = (): Promise<PolicyInForce> => Promise.resolve({ kind: "none", because: "off" });
    return { policyFor, trustedRoots, start: () => undefined, stop: () => Promise.resolve() };
  }
  const cache = new PolicyCache({
    file: join(settings.directory, "mta-sts.db"),
    now: () => clock.now(),
    onTrouble: (error) => onEvent({ kind: "trouble", error }),
  });
  const fetch = createPolicyFetcher({ resolver, roots, allowLoopback: settings.allowLoopback });
  const policies = new StsPolicies({ resolver, cache, fetch, clock, onEvent });
  return {
    policyFor: (domain) => policies.policyFor(domain),
    trustedRoots,
    start: () => {
      // Reading them takes a while in which nothing else happens: before there is anything else.
      trustedRoots();
      policies.start();
    },
    stop: async () => {
      await policies.stop();
      cache.close();
    },
  };
}

async function certificatesIn(file: string): Promise<readonly string[]> {
  const found = [...(await readFile(file, "utf8")).matchAll(CERTIFICATE)].map(([pem]) => pem);
  const readable = distinctCertificates(found.map(derOf), []);
  if (found.length === 0) throw new Error(`mtaSts.caFile: ${file} holds no certificate in PEM`);
  if (readable.length === 0) throw new Error(`mtaSts.caFile: no certificate in ${file} can be read`);
  return found;
}

function derOf(pem: string): Buffer {
  return Buffer.from(pem.replace(CERTIFICATE, "$1"), "base64");
}
