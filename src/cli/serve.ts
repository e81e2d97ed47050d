import { setTimeout } from "node:timers/promises";
import { systemClock, systemRandom } from "../clock.ts";
import { endpointText } from "../config/address.ts";
import type { Config } from "../config/schema.ts";
import { createLog, type Log, type StartEvent } from "../log.ts";
import { type Relay, startRelay } from "../relay.ts";
import { type Command, type ExitStatus, readArguments, type Terminal, UsageError } from "./command.ts";
import { complain, configurationOf } from "./configuration.ts";
import { VERSION } from "./version.ts";

/** `serve`: the relay, until a signal or a failure ends it. */
export const serveCommand: Command = {
  name: "serve",
  synopsis: ["serve [--config FILE]"],
  summary: "Runs the relay until SIGTERM or SIGINT, which lets open transactions finish; a second signal ends it at once.",
  run: serve,
};

/** After a failure; after a signal the drain takes its time, which whoever sent it bounds. */
const STOP_AFTER_FAILURE_MILLISECONDS = 10_000;

type End = { kind: "signal" } | { kind: "failure"; error: Error };

async function serve(args: readonly string[], terminal: Terminal): Promise<ExitStatus> {
  const { values, positionals } = readArguments(args, { config: { type: "string" } });
  if (positionals.length > 0) throw new UsageError(`serve takes no argument: ${positionals.join(" ")}`);
  const loaded = configurationOf(values.config, terminal);
  if (loaded.kind === "invalid") {
    complain(loaded, terminal);
    return 2;
  }
  const { config } = loaded;
  const log = createLog({ ...config.log, now: systemClock.now });
  try {
    return await runUntilEnd(config, log, signalsOf(terminal));
  } finally {
    log.flush();
  }
}

/** The first signal asks for the end, the second demands it. */
function signalsOf(terminal: Terminal): { first: Promise<End>; second: Promise<End> } {
  const first = Promise.withResolvers<End>();
  const second = Promise.withResolvers<End>();
  let count = 0;
  terminal.onStopSignal(() => {
    count += 1;
    (count === 1 ? first : second).resolve({ kind: "signal" });
  });
  return { first: first.promise, second: second.promise };
}

async function runUntilEnd(
  config: Config,
  log: Log,
  signals: { first: Promise<End>; second: Promise<End> },
): Promise<ExitStatus> {
  const started = await startRelay({ config, clock: systemClock, random: systemRandom, log }).then(
    (relay) => ({ kind: "started" as const, relay }),
    (error: unknown) => ({ kind: "failed" as const, reason: reasonOf(error) }),
  );
  if (started.kind === "failed") {
    log.event({ event: "stop", because: "failure", reason: `the relay could not start: ${started.reason}` });
    return 1;
  }
  log.event(startEvent(config));
  const { relay } = started;
  const failed = relay.failed.then((error): End => ({ kind: "failure", error }));
  const end = await Promise.race([signals.first, failed]);
  const begun = systemClock.monotonic();
  const interrupted = end.kind === "failure" ? patience() : failed.then(endText);
  const drained = await Promise.race([drainOf(relay), interrupted, signals.second.then(() => "cut off by a second signal")]);
  const seconds = Math.round(systemClock.monotonic() - begun) / 1000;
  const reason = [endText(end), drained].filter((text) => text !== "").join("; ");
  if (reason === "") {
    log.event({ event: "stop", because: "signal", seconds });
    return 0;
  }
  log.event({ event: "stop", because: "failure", reason, seconds });
  return 1;
}

/** A relay that has failed may be unable to stop as well. */
async function patience(): Promise<string> {
  await setTimeout(STOP_AFTER_FAILURE_MILLISECONDS, undefined, { ref: false });
  return "and it did not stop";
}

/** Nothing to say when the drain went well. */
function drainOf(relay: Relay): Promise<string> {
  return relay.stop().then(
    () => "",
    (error: unknown) => `the drain failed: ${reasonOf(error)}`,
  );
}

function startEvent(config: Config): StartEvent {
  return {
    event: "start",
    version: VERSION,
    hostname: config.hostname,
    listen: config.submission.listen.map(endpointText),
    admin: endpointText(config.admin.listen),
    spool: config.spool.directory,
    resolver: config.resolver.mode,
  };
}

function endText(end: End): string {
  return end.kind === "failure" ? reasonOf(end.error) : "";
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
