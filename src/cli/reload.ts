import { configChange } from "../config/change.ts";
import type { InForce, LoadResult } from "../config/load.ts";
import type { Log } from "../log.ts";
import type { Relay } from "../relay.ts";

/**
 * SIGHUP: the configuration is read again, and what can change while the relay runs does. A configuration with an error changes nothing; every
 * error of it is told in the log.
 */
export type Reloading = {
  /** Reads file and environment again. */
  load: () => LoadResult;
  /** What the relay was started with. */
  inForce: readonly InForce[];
  log: Log;
};

/** One reload after the other, however fast the signals come. Never rejects. */
export function reloader({ load, inForce: started, log }: Reloading): (relay: Relay) => Promise<void> {
  let inForce = started;
  const reload = async (relay: Relay): Promise<void> => {
    const loaded = load();
    if (loaded.kind === "invalid") {
      for (const { key, where, message } of loaded.errors) {
        log.event({ event: "config", key, state: "refused", reason: `nothing was reloaded: ${where}: ${message}` });
      }
      return;
    }
    const change = configChange(inForce, loaded.inForce);
    const result = await relay.reload(change.config);
    if (result.kind === "refused") {
      log.event({ event: "config", key: result.key, state: "refused", reason: `nothing was reloaded: ${result.reason}` });
      return;
    }
    inForce = change.inForce;
    log.reconfigure(change.config.log);
    for (const key of change.atRestart) {
      log.event({ event: "config", key, reason: "has changed; the relay goes on with the old value until it is restarted" });
    }
    const what = change.live.length === 0 ? "nothing that can change without a restart has changed" : change.live.join(", ");
    log.event({ event: "config", key: "", state: "reloaded", reason: what });
  };
  let last = Promise.resolve();
  return (relay) => {
    last = last
      .then(() => reload(relay))
      .catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        log.event({ event: "config", key: "", state: "refused", reason: `the reload failed inside dane-relay: ${reason}` });
      });
    return last;
  };
}
