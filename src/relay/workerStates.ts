import type { DeliveryRing } from "../admin/deliveryRing.ts";
import type { OutcomeSeries } from "../admin/outcomeSeries.ts";
import type { RelayFacts } from "../admin/relayVerdict.ts";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { type QueueCounts, StoreError } from "../spool/store.ts";
import type { Supervisor } from "../workers/supervisor.ts";
import type { WorkerState } from "./worker.ts";

/** What the worker processes say of themselves, put together: the operator sees one relay. */
export type MergedFacts = Pick<RelayFacts, "validation" | "exceptions" | "connections" | "hostsAtRisk">;

/** It is believed so long. */
const STATE_MILLISECONDS = 1000;
const NOBODY = "no worker answers: its log lines say why";

export class WorkerStates {
  readonly #supervisor: Supervisor;
  readonly #clock: Clock;
  readonly #spool: Config["spool"]["kind"];
  readonly #shown: { ring: DeliveryRing; series: OutcomeSeries };
  #known: readonly WorkerState[] = [];
  #knownAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;

  /** `shown`: filled with the workers' attempts at each refresh. */
  constructor(
    supervisor: Supervisor,
    { clock, spool }: { clock: Clock; spool: Config["spool"]["kind"] },
    shown: { ring: DeliveryRing; series: OutcomeSeries },
  ) {
    this.#supervisor = supervisor;
    this.#clock = clock;
    this.#spool = spool;
    this.#shown = shown;
  }

  /** Resolves when what is known is recent. Whoever asks while the workers are being asked waits for the same answer. */
  refresh(): Promise<void> {
    if (this.#clock.monotonic() - this.#knownAt < STATE_MILLISECONDS) return Promise.resolve();
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<void> {
    const answers = await this.#supervisor.ask("state");
    this.#known = answers.flatMap(({ answer }) => (answer.what === "state" ? [answer.state as WorkerState] : []));
    this.#knownAt = this.#clock.monotonic();
    const { ring, series } = this.#shown;
    ring.replace(this.#known.flatMap(({ deliveries }) => deliveries).sort((one, other) => one.at - other.at));
    series.replace(this.#known.map(({ minutes }) => minutes));
  }

  facts(): MergedFacts {
    const states = this.#known;
    const [first] = states;
    if (first === undefined) {
      const validation = { kind: "unknown", mode: "none", source: "none", reason: NOBODY } as const;
      return { validation, exceptions: [], connections: { inbound: 0, outbound: 0 } };
    }
    // One that cannot validate is what the operator must know of.
    const broken = states.find(({ validation }) => validation.kind !== "validating");
    const sum = (direction: "inbound" | "outbound"): number =>
      states.reduce((all, { connections }) => all + connections[direction], 0);
    return {
      validation: (broken ?? first).validation,
      exceptions: first.exceptions,
      connections: { inbound: sum("inbound"), outbound: sum("outbound") },
      ...hostsAtRisk(states),
    };
  }

  /** Throws when no worker answered. */
  counts(): QueueCounts {
    const [first, ...others] = this.#known.map(({ counts }) => counts);
    if (first === undefined) throw new StoreError("io", NOBODY);
    // A shared queue is the same for all.
    return this.#spool === "file" ? others.reduce(sumOf, first) : first;
  }
}

/** Several workers may deliver to one host. */
function hostsAtRisk(states: readonly WorkerState[]): Pick<MergedFacts, "hostsAtRisk"> {
  const told = states.flatMap((state) => (state.hostsAtRisk === undefined ? [] : [state.hostsAtRisk]));
  if (told.length === 0) return {};
  return { hostsAtRisk: [...new Map(told.flat().map((risk) => [risk.host, risk])).values()] };
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
