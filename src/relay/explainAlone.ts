import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock, Random } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { stateDirectoryOf } from "../config/stateDirectory.ts";
import { type MtaSts, openMtaSts } from "../reporting/openMtaSts.ts";
import { openResolver } from "../resolver/openResolver.ts";
import type { DnsPace } from "../resolver/pacedTransport.ts";
import { createExplain, type Explain, type ExplainNeeds } from "./explain.ts";
import { keptHistory } from "./hostHistory.ts";
import { resolverSettings } from "./resolverSettings.ts";

/** The explain function in a process of its own, beside a running relay or without one: nothing of the relay's state is written. */
export type ExplainAlone = {
  explain: Explain;
  /** The CAs that MTA-STS trusts. */
  trustedRoots: MtaSts["trustedRoots"];
  close: () => Promise<void>;
};

/** `pace`, `memory` and `survey`: for a survey. */
type Surroundings = { clock: Clock; random: Random; pace?: DnsPace } & Pick<ExplainNeeds, "memory" | "survey">;

/** MTA-STS policies that the relay has fetched count for deliveries, and so they do here; with the log that SQLite keeps beside the file. */
const POLICY_FILES = ["mta-sts.db", "mta-sts.db-wal"];

/** Rejects with what is wrong when a file of the configuration cannot be used. */
export async function openExplain(config: Config, { clock, random, pace, ...sharing }: Surroundings): Promise<ExplainAlone> {
  const quiet = () => undefined;
  const resolver = await openResolver(resolverSettings(config), {
    clock,
    random,
    ...(pace === undefined ? {} : { pace }),
    onVerdict: quiet,
    onValidation: quiet,
    onExchange: quiet,
    onTrustAnchor: quiet,
  });
  const directory = await mkdtemp(join(tmpdir(), "dane-relay-explain-"));
  const close = async (mtaSts?: MtaSts): Promise<void> => {
    await mtaSts?.stop();
    resolver.close();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await copyPolicies(stateDirectoryOf(config), directory);
    const settings = { ...config.mtaSts, directory, allowLoopback: config.delivery.allowLoopback };
    const mtaSts = await openMtaSts(settings, { resolver: resolver.resolver, clock, onEvent: quiet });
    const kept = keptHistory(config);
    const historyOf = kept.certificatesOf;
    const explain = createExplain({ config: () => config, resolver, mtaSts, clock, random, historyOf, ...sharing });
    const closeAll = (): Promise<void> => {
      kept.close();
      return close(mtaSts);
    };
    return { explain, trustedRoots: mtaSts.trustedRoots, close: closeAll };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Where there are none, or they may not be read, policies are fetched. */
async function copyPolicies(from: string, to: string): Promise<void> {
  for (const file of POLICY_FILES) {
    await copyFile(join(from, file), join(to, file)).catch((error: unknown) => {
      // A missing or unreadable copy costs a fetch, no more: the policy is then asked for as by a relay that has just begun.
      if (!(error instanceof Error && "code" in error)) throw error;
    });
  }
}
