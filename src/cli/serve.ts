import { systemClock, systemRandom } from "../clock.ts";
import { endpointText } from "../config/address.ts";
import type { Config } from "../config/schema.ts";
import { spoolText } from "../config/stateDirectory.ts";
import { createLog, type StartEvent } from "../log.ts";
import { type Command, type ExitStatus, readArguments, type Terminal, UsageError } from "./command.ts";
import { complain, configurationOf } from "./configuration.ts";
import { liveUntilEnd } from "./lifetime.ts";
import { reloader } from "./reload.ts";
import { serveShare } from "./serveShare.ts";
import { VERSION } from "./version.ts";

const PATIENCE_MILLISECONDS = 10_000;

/** `serve`: the relay, until a signal or a failure ends it. */
export const serveCommand: Command = {
  name: "serve",
  synopsis: ["serve [--config FILE]"],
  summary:
    "Runs the relay until SIGTERM or SIGINT, which lets open transactions finish; a second signal ends it at once. SIGHUP reads the configuration again.",
  run: serve,
};

async function serve(args: readonly string[], terminal: Terminal): Promise<ExitStatus> {
  const { values, positionals } = readArguments(args, {
    config: { type: "string" },
    // From the supervisor to a worker: SHARD,COUNT,ROLE.
    worker: { type: "string" },
  });
  if (positionals.length > 0) throw new UsageError(`serve takes no argument: ${positionals.join(" ")}`);
  const loaded = configurationOf(values.config, terminal);
  if (loaded.kind === "invalid") {
    complain(loaded, terminal);
    return 2;
  }
  if (values.worker !== undefined) return serveShare(values.worker, values.config, loaded, terminal, startEvent);
  const { config } = loaded;
  const log = createLog({ ...config.log, now: systemClock.now });
  const own = values.config === undefined ? [] : ["--config", values.config];
  const argumentsFor = (shard: string, of: number, role: string) => ["serve", ...own, "--worker", `${shard},${of},${role}`];
  try {
    return await liveUntilEnd({
      start: async () => {
        // Loaded only now, so that bad arguments and a bad configuration are told at once.
        const { discardEmptyShards, needsSupervision, superviseWorkers } = await import("../relay/supervision.ts");
        discardEmptyShards(config);
        if (needsSupervision(config))
          return superviseWorkers({ version: VERSION, config, clock: systemClock, log, argumentsFor });
        const { startRelay } = await import("../relay.ts");
        return startRelay({ version: VERSION, config, clock: systemClock, random: systemRandom, log });
      },
      started: startEvent(config),
      onStopSignal: terminal.onStopSignal,
      onReloadSignal: terminal.onReloadSignal,
      reload: reloader({ load: () => configurationOf(values.config, terminal), inForce: loaded.inForce, log }),
      clock: systemClock,
      log,
      patienceMilliseconds: PATIENCE_MILLISECONDS,
    });
  } finally {
    await log.flush();
  }
}

function startEvent(config: Config): StartEvent {
  return {
    event: "start",
    version: VERSION,
    hostname: config.hostname,
    listen: config.submission.listen.map(endpointText),
    admin: endpointText(config.admin.listen),
    spool: spoolText(config),
    resolver: config.resolver.mode,
  };
}
