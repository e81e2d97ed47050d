import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DueIndex } from "../../../src/spool/dueIndex.ts";

const everywhere = (): number => Number.POSITIVE_INFINITY;

function names(picked: readonly { destination: string }[]): string[] {
  return picked.map(({ destination }) => destination);
}

function indexOf(entries: Record<string, number>): DueIndex {
  const index = new DueIndex(0);
  for (const [destination, due] of Object.entries(entries)) index.set(destination, due);
  return index;
}

test("destinations come in order of their due time, only those that are due, up to the limit", () => {
  const index = indexOf({ c: 3, a: 1, d: 4, b: 2 });
  assert.deepEqual(names(index.pick(3, 10, everywhere)), ["a", "b", "c"]);
  assert.deepEqual(names(index.pick(3, 2, everywhere)), ["a", "b"]);
  assert.equal(index.nextDue(), 1);
});

test("an offer can only make the due time earlier, set can do both", () => {
  const index = indexOf({ a: 5 });
  index.offer("a", 9);
  assert.equal(index.nextDue(), 5);
  index.offer("a", 2);
  assert.equal(index.nextDue(), 2);
  index.set("a", 9);
  assert.equal(index.nextDue(), 9);
  index.set("a", undefined);
  assert.equal(index.nextDue(), undefined);
  assert.equal(index.size, 0);
});

test("without room a destination is passed over until it has room again", () => {
  const index = indexOf({ a: 1, b: 2, c: 3 });
  const without =
    (...full: string[]) =>
    (destination: string) =>
      full.includes(destination) ? 0 : 7;
  assert.deepEqual(index.pick(9, 10, without("a", "c")), [{ destination: "b", room: 7 }]);
  assert.deepEqual(names(index.pick(9, 10, without("c"))), ["a", "b"]);
  assert.deepEqual(names(index.pick(9, 10, everywhere)), ["a", "b", "c"]);
});

test("what is parked still counts for the next due time, and can be changed or removed", () => {
  const index = indexOf({ a: 1, b: 5 });
  const none = (): number => 0;
  assert.deepEqual(index.pick(9, 10, none), []);
  assert.equal(index.nextDue(), 1);
  assert.equal(index.nextDue(new Set(["a"])), 5);
  assert.equal(index.nextDue(new Set(["a", "b"])), undefined);
  index.set("a", 8);
  assert.equal(index.nextDue(), 5);
  index.set("b", undefined);
  assert.equal(index.nextDue(), 8);
  assert.deepEqual(names(index.pick(9, 10, everywhere)), ["a"]);
});

test("of many that are parked only a few are looked at for each claim, all of them after a while, and one at once when it is named", () => {
  const index = new DueIndex(100);
  for (let i = 0; i < 1000; i += 1) index.set(`d${i}`, i);
  let looks = 0;
  const room = (open: string) => (destination: string) => {
    looks += 1;
    return destination === open ? 1 : 0;
  };
  assert.deepEqual(index.pick(5000, 10, room("none")), []);
  looks = 0;
  assert.deepEqual(index.pick(5001, 10, room("d999")), []);
  assert.equal(looks, 64);
  index.unpark("d999");
  assert.deepEqual(names(index.pick(5002, 10, room("d999"))), ["d999"]);
  assert.deepEqual(index.pick(5003, 10, room("d500")), []);
  assert.deepEqual(names(index.pick(5100, 10, room("d500"))), ["d500"]);
});

test("as a list that is sorted at each question would say", () => {
  const destination = fc.constantFrom("a", "b", "c", "d", "e", "f");
  const due = fc.integer({ min: 0, max: 20 });
  const step = fc.oneof(
    fc.record({ kind: fc.constant("set" as const), destination, due: fc.option(due, { nil: undefined }) }),
    fc.record({ kind: fc.constant("offer" as const), destination, due }),
    fc.record({
      kind: fc.constant("pick" as const),
      now: due,
      limit: fc.integer({ min: 1, max: 6 }),
      full: fc.uniqueArray(destination),
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const index = new DueIndex(0);
      const model = new Map<string, number>();
      for (const one of steps) {
        if (one.kind === "set") {
          index.set(one.destination, one.due);
          if (one.due === undefined) model.delete(one.destination);
          else model.set(one.destination, one.due);
        } else if (one.kind === "offer") {
          index.offer(one.destination, one.due);
          model.set(one.destination, Math.min(one.due, model.get(one.destination) ?? one.due));
        } else {
          const picked = index.pick(one.now, one.limit, (name) => ((one.full as string[]).includes(name) ? 0 : 1));
          const due = [...model]
            .filter(([name, at]) => at <= one.now && !(one.full as string[]).includes(name))
            .map(([, at]) => at);
          const expected = due.sort((a, b) => a - b).slice(0, one.limit);
          assert.deepEqual(
            picked.map((entry) => model.get(entry.destination)),
            expected,
          );
          assert.equal(new Set(names(picked)).size, picked.length);
        }
        assert.equal(index.size, model.size);
        assert.equal(index.nextDue(), model.size === 0 ? undefined : Math.min(...model.values()));
      }
    }),
  );
});
