import type { Work } from "../../src/spool/message.ts";
import type { AdministeredStore } from "../../src/spool/queueAdmin.ts";
import { SeveralQueues } from "../../src/spool/severalQueues.ts";
import type { QueueCounts } from "../../src/spool/store.ts";

/** Stores in turn behind one face, as far as the behaviour of the operator's hands needs it. */
export function shardedStore(stores: readonly AdministeredStore[]): AdministeredStore {
  const owners = new WeakMap<Work, AdministeredStore>();
  let turn = 0;
  const [first] = stores;
  if (first === undefined) throw new Error("no store");
  const owner = (work: Work): AdministeredStore => owners.get(work) ?? first;
  return {
    queueAdmin: new SeveralQueues(stores.map(({ queueAdmin }) => queueAdmin)),
    failed: first.failed,
    begin: () => first.begin(),
    add: (message, content) => {
      turn += 1;
      return (stores[turn % stores.length] ?? first).add(message, content);
    },
    claim: async (request) => {
      const claimed: Work[] = [];
      for (const store of stores) {
        const works = await store.claim(request);
        for (const work of works) owners.set(work, store);
        claimed.push(...works);
      }
      return claimed;
    },
    content: (id) => first.content(id),
    settle: (work, settled, generated) => owner(work).settle(work, settled, generated),
    release: (work) => owner(work).release(work),
    nextDueAt: (exclude) => first.nextDueAt(exclude),
    counts: async () => {
      const counts = await Promise.all(stores.map((store) => store.counts()));
      const sum = (key: "incoming" | "active" | "deferred" | "held"): number =>
        counts.reduce((total, one) => total + one[key], 0);
      const oldest = counts.flatMap(({ oldestAcceptedAt }) => (oldestAcceptedAt === undefined ? [] : [oldestAcceptedAt]));
      const states: QueueCounts = {
        incoming: sum("incoming"),
        active: sum("active"),
        deferred: sum("deferred"),
        held: sum("held"),
      };
      return oldest.length === 0 ? states : { ...states, oldestAcceptedAt: Math.min(...oldest) };
    },
    onWork: (listener) => {
      for (const store of stores) store.onWork(listener);
    },
    health: () => first.health(),
    close: async () => {
      for (const store of stores) await store.close();
    },
  };
}
