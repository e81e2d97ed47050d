import type { Caller } from "../admin/access.ts";
import { Api, type ApiOptions, type ApiRequest } from "../admin/api.ts";
import type { ApiAnswer } from "../admin/apiAnswer.ts";
import { DeliveryRing } from "../admin/deliveryRing.ts";
import type { Check } from "../admin/health.ts";
import type { RelayState } from "../admin/relayStatus.ts";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import type { Log } from "../log.ts";
import type { QueueAction, QueueAdmin, QueueChange, QueueFilter } from "../spool/queueAdmin.ts";
import { SeveralQueues } from "../spool/severalQueues.ts";
import { type QueueCounts, StoreError } from "../spool/store.ts";
import type { Supervisor } from "../workers/supervisor.ts";
import { type AdminAccess, openAdminAccess } from "./adminAccess.ts";
import { auditEvent } from "./auditRecord.ts";
import { WorkerQueue } from "./queueQuestion.ts";
import type { WorkerState } from "./worker.ts";

/** The operator's API over all worker processes: the same questions and answers as those of a relay that is one process. */
export type SupervisedOperator = { api: Api; reload: AdminAccess["reload"] };

export type SupervisedParts = { config: Config; clock: Clock; log: Log; version?: string };

/** An action on a long queue takes its time. */
const QUEUE_MILLISECONDS = 110_000;
/** What the workers say of themselves is believed so long. */
const STATE_MILLISECONDS = 1000;

/** Throws when the token cannot be read. */
export function openSupervisedOperator(
  parts: SupervisedParts,
  supervisor: Supervisor,
  checks: () => Promise<readonly Check[]>,
): SupervisedOperator {
  const { config, clock, log } = parts;
  const startedAt = clock.now();
  const { access, reload } = openAdminAccess(parts);
  const ring = new DeliveryRing();
  let known: readonly WorkerState[] = [];
  let knownAt = Number.NEGATIVE_INFINITY;
  const refresh = async (): Promise<void> => {
    if (clock.monotonic() - knownAt < STATE_MILLISECONDS) return;
    knownAt = clock.monotonic();
    const answers = await supervisor.ask("state");
    known = answers.flatMap(({ answer }) => (answer.what === "state" ? [answer.state as WorkerState] : []));
    ring.replace(known.flatMap(({ deliveries }) => deliveries).sort((one, other) => one.at - other.at));
  };
  const state = async (): Promise<RelayState> => ({
    version: parts.version ?? "unknown",
    hostname: config.hostname,
    startedAt,
    now: clock.now(),
    checks: await checks(),
    ...merged(known, config.spool.kind),
  });
  const options: ApiOptions = {
    queueAdmin: allQueues(supervisor, config.spool.kind),
    ...{ access, ring, state, now: clock.now, monotonic: clock.monotonic },
    onAudit: (record) => log.event(auditEvent(record)),
  };
  return { api: new RefreshedApi(options, refresh), reload };
}

class RefreshedApi extends Api {
  readonly #refresh: () => Promise<void>;

  constructor(options: ApiOptions, refresh: () => Promise<void>) {
    super(options);
    this.#refresh = refresh;
  }

  override async answer(request: ApiRequest, caller: Caller): Promise<ApiAnswer> {
    await this.#refresh();
    return super.answer(request, caller);
  }
}

/** The workers of the moment, each time: they come and go. A shared queue is asked once. */
function allQueues(supervisor: Supervisor, spool: Config["spool"]["kind"]): QueueAdmin {
  const queues = (): QueueAdmin => {
    const all = supervisor.workers.map(
      ({ shard, ask }) => new WorkerQueue(shard, (question) => ask("queue", question, QUEUE_MILLISECONDS)),
    );
    return new SeveralQueues(spool === "file" ? all : all.slice(0, 1));
  };
  return {
    list: (filter, page) => queues().list(filter, page),
    show: (id) => queues().show(id),
    statistics: (by, limit) => queues().statistics(by, limit),
    act: (action: QueueAction, filter: QueueFilter): Promise<QueueChange> => queues().act(action, filter),
  };
}

function merged(
  states: readonly WorkerState[],
  spool: Config["spool"]["kind"],
): Pick<RelayState, "validation" | "counts" | "exceptions"> {
  const [first] = states;
  if (first === undefined) throw new StoreError("io", "no worker answers: its log lines say why");
  // One that cannot validate is what the operator must know of.
  const broken = states.find(({ validation }) => validation.kind !== "validating");
  const counts = spool === "file" ? states.map((one) => one.counts).reduce(sumOf) : first.counts;
  return { validation: (broken ?? first).validation, counts, exceptions: first.exceptions };
}

function sumOf(one: QueueCounts, other: QueueCounts): QueueCounts {
  const ages = [one, other].flatMap(({ oldestAcceptedAt }) => oldestAcceptedAt ?? []);
  return {
    incoming: one.incoming + other.incoming,
    active: one.active + other.active,
    deferred: one.deferred + other.deferred,
    held: one.held + other.held,
    ...(ages.length === 0 ? {} : { oldestAcceptedAt: Math.min(...ages) }),
  };
}
