import type { Check } from "../admin/health.ts";
import { createAdmin } from "../admin/server.ts";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { LineWriter } from "../log/lineWriter.ts";
import type { Log } from "../log.ts";
import { aggregated, queuedMessages, type WorkerMetrics } from "../metrics/aggregate.ts";
import type { Relay } from "../relay.ts";
import { discardEmptyQueue } from "../spool/emptySpool.ts";
import { networkOf } from "../submission/authenticationThrottle.ts";
import { leftOverShards, ownShards, type Shard } from "../workers/shards.ts";
import { endText, type Role, Supervisor, type SupervisorEvent } from "../workers/supervisor.ts";
import { openSupervisedOperator } from "./supervisedOperator.ts";

export type SupervisionOptions = {
  config: Config;
  clock: Clock;
  log: Log;
  /** Of dane-relay, for the operator. */
  version?: string;
  /** Arguments of this program for one worker. */
  argumentsFor: (shard: string, of: number, role: Role) => readonly string[];
};

const OUT = 1;
const ERR = 2;

/** Whether `config` needs more than one process: by its setting, or because of mail in shards that no setting names any more. */
export function needsSupervision(config: Config): boolean {
  return config.workers > 1 || (config.spool.kind === "file" && leftOverShards(config.spool.directory, 1).length > 0);
}

/** Queues that other settings left behind without any mail are no reason for a worker. */
export function discardEmptyShards({ spool, workers }: Config): void {
  if (spool.kind !== "file") return;
  for (const { directory } of leftOverShards(spool.directory, workers)) discardEmptyQueue(directory);
}

function shardsOf({ spool, workers, ...config }: Config): { shards: readonly Shard[]; leftOver: readonly Shard[] } {
  if (spool.kind === "file") {
    return { shards: ownShards(spool.directory, workers), leftOver: leftOverShards(spool.directory, workers) };
  }
  // One queue for all: the names are those of their state directories.
  return { shards: ownShards(config.stateDirectory ?? "", workers), leftOver: [] };
}

/** Worker processes as one relay: signals go to all, /metrics and /readyz are those of all together. */
export async function superviseWorkers(options: SupervisionOptions): Promise<Relay> {
  const { config, clock, log, argumentsFor } = options;
  const { shards, leftOver } = shardsOf(config);
  const of = shards.length + leftOver.length;
  const [out, err] = [new LineWriter(OUT), new LineWriter(ERR)];
  const supervisor = new Supervisor({
    shards,
    leftOver,
    argumentsFor: (shard, role) => argumentsFor(shard.name, of, role),
    clock,
    out: (lines) => out.write(lines),
    err: (lines) => err.write(lines),
    onEvent: (event) => report(event, log),
    queued: (metrics) => queuedMessages(metrics as WorkerMetrics),
  });
  const checks = (): ReturnType<typeof checksOf> => checksOf(supervisor);
  const operator = openSupervisedOperator(options, supervisor, checks);
  const admin = await createAdmin({
    listen: config.admin.listen,
    api: operator.api,
    page: operator.page,
    metrics: () => metricsOf(supervisor),
    checks,
    placeOf: networkOf,
  });
  try {
    await supervisor.start();
  } catch (error) {
    await Promise.all([admin.close(), out.flush(), err.flush()]);
    throw error;
  }
  return {
    stop: async () => {
      try {
        await supervisor.stop();
      } finally {
        await Promise.all([admin.close(), out.flush(), err.flush()]);
      }
    },
    reload: (changed) => {
      const token = operator.reload(changed);
      if (token.kind === "refused") return Promise.resolve(token);
      token.apply();
      supervisor.reload();
      return Promise.resolve({ kind: "reloaded" });
    },
    failed: new Promise(() => undefined),
  };
}

async function metricsOf(supervisor: Supervisor): Promise<string> {
  const answers = await supervisor.ask("metrics");
  return aggregated(answers.flatMap(({ answer }) => (answer.what === "metrics" ? [answer.metrics as WorkerMetrics] : [])));
}

/** Every check of every worker; a worker that does not answer is a check that failed. */
async function checksOf(supervisor: Supervisor): Promise<readonly Check[]> {
  const answers = await supervisor.ask("checks");
  return answers.flatMap(({ shard, role, answer }): readonly Check[] => {
    switch (answer.what) {
      case "checks":
        // Who only empties a shard takes no mail.
        return answer.checks
          .filter(({ name }) => role === "accepts" || name !== "submission")
          .map((check) => ({ ...check, name: `${shard} ${check.name}` }));
      case "failed":
      case "metrics":
      case "state":
      case "queue":
      case "explain":
        return [
          { name: shard, status: "failed", text: answer.what === "failed" ? answer.reason : "it answered another question" },
        ];
      default:
        return answer satisfies never;
    }
  });
}

function report(event: SupervisorEvent, log: Log): void {
  switch (event.kind) {
    case "ended": {
      const seconds = event.restartMilliseconds / 1000;
      log.event({
        event: "worker",
        shard: event.shard,
        state: "ended",
        reason: `${endText(event.end)}; started again in ${seconds} s`,
      });
      return;
    }
    case "restarted":
      log.event({ event: "worker", shard: event.shard, state: "restarted", reason: "it takes mail again" });
      return;
    case "emptied":
      log.event({ event: "worker", shard: event.shard, state: "emptied", reason: "the mail that was left over in it is gone" });
      return;
    default:
      event satisfies never;
  }
}
