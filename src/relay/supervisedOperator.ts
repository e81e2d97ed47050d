import type { Caller } from "../admin/access.ts";
import { Api, type ApiOptions, type ApiRequest, type AuditRecord } from "../admin/api.ts";
import type { ApiAnswer } from "../admin/apiAnswer.ts";
import { DeliveryRing } from "../admin/deliveryRing.ts";
import type { PageExplanation } from "../admin/explainDesk.ts";
import type { Check } from "../admin/health.ts";
import { OutcomeSeries } from "../admin/outcomeSeries.ts";
import { OperatorPage, type PageOptions } from "../admin/page.ts";
import type { PageAnswer } from "../admin/pageLayout.ts";
import type { RelayState } from "../admin/relayStatus.ts";
import type { RelayFacts } from "../admin/relayVerdict.ts";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import type { Log } from "../log.ts";
import type { QueueAction, QueueAdmin, QueueChange, QueueFilter } from "../spool/queueAdmin.ts";
import { SeveralQueues } from "../spool/severalQueues.ts";
import type { QueueCounts } from "../spool/store.ts";
import type { Supervisor } from "../workers/supervisor.ts";
import { type AdminAccess, openAdminAccess } from "./adminAccess.ts";
import { auditEvent, logInEvent } from "./auditRecord.ts";
import { shownExplanation, type ToldExplanation } from "./pageExplain.ts";
import { WorkerQueue } from "./queueQuestion.ts";
import { WorkerStates } from "./workerStates.ts";

/** The operator's API and page over all worker processes: the same questions and answers as those of a relay that is one process. */
export type SupervisedOperator = { api: Api; page: OperatorPage; reload: AdminAccess["reload"] };

export type SupervisedParts = { config: Config; clock: Clock; log: Log; version?: string };

/** An action on a long queue takes its time. */
const QUEUE_MILLISECONDS = 110_000;
/** The page waits no longer for its answer than its reader; a host that is slow is waited for by the worker. */
const EXPLAIN_MILLISECONDS = 600_000;

/** Throws when the token cannot be read. */
export function openSupervisedOperator(
  parts: SupervisedParts,
  supervisor: Supervisor,
  checks: () => Promise<readonly Check[]>,
): SupervisedOperator {
  const { config, clock, log } = parts;
  const startedAt = clock.now();
  const { access, reload } = openAdminAccess(parts);
  const [ring, series] = [new DeliveryRing(), new OutcomeSeries()];
  const states = new WorkerStates(supervisor, { clock, spool: config.spool.kind }, { ring, series });
  const refresh = (): Promise<void> => states.refresh();
  const facts = (): RelayFacts => ({
    version: parts.version ?? "unknown",
    hostname: config.hostname,
    startedAt,
    now: clock.now(),
    ...states.facts(),
  });
  const { now, monotonic } = clock;
  const queueAdmin = allQueues(supervisor, config.spool.kind);
  const counts = async (): Promise<QueueCounts> => states.counts();
  const state = async (): Promise<RelayState> => ({ ...facts(), checks: await checks(), counts: await counts() });
  const onAudit = (record: AuditRecord): void => log.event(auditEvent(record));
  const api = new RefreshedApi({ queueAdmin, access, ring, state, now, monotonic, onAudit }, refresh);
  const explain = explainInTurn(supervisor);
  const onLogIn = (client: string): void => log.event(logInEvent(client));
  const page = new RefreshedPage(
    { api, queueAdmin, access, facts, checks, counts, ring, series, explain, monotonic, onLogIn },
    refresh,
  );
  return { api, page, reload };
}

/** Each by another worker. What it cannot do is told as an error of the relay. */
function explainInTurn(supervisor: Supervisor): (target: string) => Promise<PageExplanation> {
  let turn = 0;
  return async (target) => {
    const { workers } = supervisor;
    const worker = workers[turn % workers.length];
    turn += 1;
    if (worker === undefined) throw new Error("there is no worker");
    const answer = await worker.ask("explain", target, EXPLAIN_MILLISECONDS);
    if (answer.what === "explain") return shownExplanation(answer.said as ToldExplanation);
    const reason = answer.what === "failed" ? answer.reason : "it answered another question";
    throw new Error(`the worker of ${worker.shard}: ${reason}: ask again`);
  };
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

class RefreshedPage extends OperatorPage {
  readonly #refresh: () => Promise<void>;

  constructor(options: PageOptions, refresh: () => Promise<void>) {
    super(options);
    this.#refresh = refresh;
  }

  override async answer(...[request, caller]: Parameters<OperatorPage["answer"]>): Promise<PageAnswer> {
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
