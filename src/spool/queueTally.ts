import { AcceptanceTimes, type TimesSnapshot } from "./acceptanceTimes.ts";
import type { MessageId } from "./message.ts";
import { type QueueStatistic, reasonGroup, STATISTIC_KEYS, type StatisticKey } from "./queueAdmin.ts";
import type { WaitingRecipient } from "./storeOperation.ts";

/**
 * The queue counted by destination and by reason, in the memory of the worker thread: at the start slice by slice in the order of acceptance, and
 * from then on with each change that was committed. What is asked for is then there at once, exact, however long the queue.
 *
 * counted   up to this place in the order of acceptance the entries are in the tally; a change of one behind it is not the tally's yet.
 *
 * A million entries at 10,000 destinations take about 10 MB.
 */
export type CountedEntry = {
  id: MessageId;
  acceptedAt: number;
  destination: string;
  recipients: readonly Pick<WaitingRecipient, "lastOutcome">[];
};

type Place = { acceptedAt: number; id: MessageId };

/** Keys that are told apart; what comes beyond them is one. */
const MAX_KEYS = 50_000;
/** Reasons that are told apart at one destination. */
const MAX_REASONS = 20;
const OTHER = "(other)";

type GroupSnapshot = {
  messages: number;
  recipients: number;
  accepted: TimesSnapshot;
  reasons: readonly (readonly [string, number])[];
};

/** All of a tally, to be kept as JSON. */
export type TallySnapshot = Record<StatisticKey, readonly (readonly [string, GroupSnapshot])[]>;

class Group {
  messages: number;
  recipients: number;
  readonly accepted: AcceptanceTimes;
  /** Recipients by last reason, of those that were tried; kept where the key is a destination. */
  readonly reasons: Map<string, number>;

  constructor(snapshot?: GroupSnapshot) {
    this.messages = snapshot?.messages ?? 0;
    this.recipients = snapshot?.recipients ?? 0;
    this.accepted = snapshot === undefined ? new AcceptanceTimes() : AcceptanceTimes.of(snapshot.accepted);
    this.reasons = new Map(snapshot?.reasons);
  }

  snapshot(): GroupSnapshot {
    const { messages, recipients, accepted, reasons } = this;
    return { messages, recipients, accepted: accepted.snapshot(), reasons: [...reasons] };
  }

  change(acceptedAt: number, recipients: number, by: 1 | -1): void {
    this.messages += by;
    this.recipients += by * recipients;
    if (by === 1) this.accepted.add(acceptedAt);
    else this.accepted.remove(acceptedAt);
  }

  /** Once there is no more room for a reason it is one of the others: of both the sum stays right, and no count falls below zero. */
  changeReason(reason: string, by: number): void {
    const key = this.reasons.has(reason) || (by > 0 && this.reasons.size < MAX_REASONS) ? reason : OTHER;
    const count = (this.reasons.get(key) ?? 0) + by;
    if (count > 0) this.reasons.set(key, count);
    else this.reasons.delete(key);
  }
}

export class QueueTally {
  readonly #groups: Record<StatisticKey, Map<string, Group>> = { destination: new Map(), reason: new Map() };
  #counted: Place | "nothing" | "everything" = "nothing";

  /** What `snapshot` gave, of a queue that has not changed since. */
  static of(snapshot: TallySnapshot): QueueTally {
    const tally = new QueueTally();
    for (const by of STATISTIC_KEYS) for (const [key, group] of snapshot[by]) tally.#groups[by].set(key, new Group(group));
    tally.#counted = "everything";
    return tally;
  }

  /** Undefined: not all is counted yet. */
  snapshot(): TallySnapshot | undefined {
    if (this.#counted !== "everything") return undefined;
    const groups = (by: StatisticKey) => [...this.#groups[by]].map(([key, group]) => [key, group.snapshot()] as const);
    return { destination: groups("destination"), reason: groups("reason") };
  }

  get counted(): Place | "nothing" | "everything" {
    return this.#counted;
  }

  /** The entries of the next slice; `to`: its last place, absent when the queue ends with it. */
  countSlice(entries: Iterable<CountedEntry>, to: Place | undefined): void {
    for (const entry of entries) this.#change(entry, 1);
    this.#counted = to ?? "everything";
  }

  /** A committed change: how the entry was, and how it is. */
  changed(was: CountedEntry | undefined, is: CountedEntry | undefined): void {
    if (was !== undefined && this.#has(was)) this.#change(was, -1);
    if (is !== undefined && is.recipients.length > 0 && this.#has(is)) this.#change(is, 1);
  }

  /** Most recipients first. */
  statistics(by: StatisticKey, limit: number): readonly QueueStatistic[] {
    const groups = [...this.#groups[by]].sort(
      ([one, { recipients: less }], [other, { recipients: more }]) => more - less || (one < other ? -1 : 1),
    );
    return groups.slice(0, limit).map(([key, group]) => statisticOf(key, group));
  }

  #has({ acceptedAt, id }: Place): boolean {
    const to = this.#counted;
    if (typeof to === "string") return to === "everything";
    return acceptedAt < to.acceptedAt || (acceptedAt === to.acceptedAt && id <= to.id);
  }

  #change({ destination, acceptedAt, recipients }: CountedEntry, by: 1 | -1): void {
    const reasons = new Map<string, number>();
    let tried = 0;
    for (const { lastOutcome } of recipients) {
      const text = lastOutcome === undefined || lastOutcome.kind === "delivered" ? undefined : lastOutcome.cause.text;
      if (text !== undefined) tried += 1;
      const reason = reasonGroup(text);
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    const group = this.#changeGroup("destination", destination, { acceptedAt, recipients: recipients.length, by });
    for (const [reason, count] of reasons) {
      this.#changeGroup("reason", reason, { acceptedAt, recipients: count, by });
      if (tried > 0 && reason !== NEVER) group?.changeReason(reason, by * count);
    }
  }

  #changeGroup(
    of: StatisticKey,
    name: string,
    { acceptedAt, recipients, by }: { acceptedAt: number; recipients: number; by: 1 | -1 },
  ): Group | undefined {
    const groups = this.#groups[of];
    const key = groups.has(name) || (by === 1 && groups.size < MAX_KEYS) ? name : OTHER;
    let group = groups.get(key);
    if (group === undefined) {
      if (by === -1) return undefined;
      group = new Group();
      groups.set(key, group);
    }
    group.change(acceptedAt, recipients, by);
    if (group.messages <= 0) groups.delete(key);
    return group;
  }
}

const NEVER = reasonGroup(undefined);

function statisticOf(key: string, { messages, recipients, accepted, reasons }: Group): QueueStatistic {
  let most: readonly [string, number] | undefined;
  for (const one of reasons) if (most === undefined || one[1] > most[1]) most = one;
  const oldestAcceptedAt = accepted.oldest() ?? 0;
  return { key, messages, recipients, oldestAcceptedAt, ...(most === undefined ? {} : { reason: most[0] }) };
}
