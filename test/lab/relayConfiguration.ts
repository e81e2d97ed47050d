import { writeFile } from "node:fs/promises";
import { stringify } from "yaml";

/** A relay.yaml that makes the relay live in the lab: the lab's root of trust, its resolver, and loopback as the whole internet. */
export type RelaySettings = {
  upstreams: readonly string[];
  trustAnchorFile: string;
  rootHintsFile: string;
  /** Of MTA-STS policy hosts and of MX hosts under a policy; without, those of Node. */
  caFile?: string;
  submission: string;
  admin: string;
  spool: string;
  retryInitialSeconds?: number;
  /** For one look-up; the product's default is long enough for a machine that is busy with something else. */
  lookupSeconds?: number;
  mode?: "forward" | "recursive" | "auto";
  /** Further settings of `delivery`, in place of the lab's. */
  delivery?: Readonly<Record<string, unknown>>;
};

export function relayConfiguration(settings: RelaySettings): object {
  return {
    hostname: "relay.lab",
    submission: { listen: [settings.submission] },
    admin: { listen: settings.admin },
    spool: `file:${settings.spool}`,
    resolver: {
      mode: settings.mode ?? "forward",
      upstreams: settings.upstreams,
      trustAnchorFile: settings.trustAnchorFile,
      rootHintsFile: settings.rootHintsFile,
      timeoutSeconds: settings.lookupSeconds ?? 10,
    },
    delivery: {
      allowLoopback: true,
      retry: { initialSeconds: settings.retryInitialSeconds ?? 300 },
      timeouts: { connectSeconds: 5, commandSeconds: 10 },
      ...settings.delivery,
    },
    ...(settings.caFile === undefined ? {} : { mtaSts: { caFile: settings.caFile } }),
  };
}

export async function writeRelayConfiguration(file: string, settings: RelaySettings): Promise<void> {
  await writeFile(file, stringify(relayConfiguration(settings)));
}
