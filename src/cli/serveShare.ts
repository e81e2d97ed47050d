import { systemClock, systemRandom } from "../clock.ts";
import type { InForce } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { createLog, type StartEvent } from "../log.ts";
import { type Share, shareOf } from "../relay/share.ts";
import { type ExitStatus, type Terminal, UsageError } from "./command.ts";
import { configurationOf } from "./configuration.ts";
import { liveUntilEnd } from "./lifetime.ts";
import { reloader } from "./reload.ts";
import { VERSION } from "./version.ts";

const PATIENCE_MILLISECONDS = 10_000;

function parseShare(text: string): Share {
  const [shard = "", of = "", role = ""] = text.split(",");
  if (!/^(?:\.|shard-\d{1,3})$/.test(shard) || !/^[1-9]\d{0,2}$/.test(of) || (role !== "accepts" && role !== "empties"))
    throw new UsageError("--worker is for the supervisor of worker processes only");
  return { shard, of: Number(of), role };
}

/** `serve --worker`: one worker process. Its supervisor, and no signal, tells it to reload and to end. */
export async function serveShare(
  text: string,
  configFile: string | undefined,
  loaded: { config: Config; inForce: readonly InForce[] },
  terminal: Terminal,
  startEvent: (config: Config) => StartEvent,
): Promise<ExitStatus> {
  const share = parseShare(text);
  const { underSupervision } = await import("../relay/worker.ts");
  const supervised = underSupervision();
  // They reach the whole group of processes; the supervisor acts on them for all.
  terminal.onStopSignal(() => undefined);
  terminal.onReloadSignal(() => undefined);
  const config = shareOf(loaded.config, share);
  const log = createLog({ ...config.log, now: systemClock.now });
  const onQuestion = (answer: Parameters<typeof supervised.onQuestion>[0]) => supervised.onQuestion(answer);
  try {
    return await liveUntilEnd({
      start: async () => {
        const { startRelay } = await import("../relay.ts");
        const relay = await startRelay({
          version: VERSION,
          config,
          clock: systemClock,
          random: systemRandom,
          log,
          onQuestion,
          intake: share.role === "accepts" ? "open" : "closed",
        });
        supervised.ready();
        return { ...relay, failed: relay.failed, reload: (changed: Config) => relay.reload(shareOf(changed, share)) };
      },
      started: startEvent(config),
      onStopSignal: (listener) => supervised.onStop(listener),
      onReloadSignal: (listener) => supervised.onReload(listener),
      reload: reloader({ load: () => configurationOf(configFile, terminal), inForce: loaded.inForce, log }),
      clock: systemClock,
      log,
      patienceMilliseconds: PATIENCE_MILLISECONDS,
    });
  } finally {
    await log.flush();
  }
}
