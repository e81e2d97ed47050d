import assert from "node:assert/strict";
import { test } from "node:test";
import { RefusedDestinations, type Waiting } from "../../../src/relay/refusedDestinations.ts";

const NOTHING = { mismatch: 0, "starttls-missing": 0, "handshake-failed": 0, bogus: 0, "lookup-failed": 0 };
const WAITING: readonly Waiting[] = [
  { destination: "up.example", messages: 900 },
  { destination: "small.example", messages: 3 },
  { destination: "busy.example", messages: 40 },
  { destination: "lies.example", messages: 7 },
];

/** A count is under way when it is asked for, and told at the next question. */
async function largest(refused: RefusedDestinations, waiting: readonly Waiting[] = WAITING): Promise<unknown> {
  refused.largest(() => Promise.resolve(waiting));
  await new Promise((resolve) => setImmediate(resolve));
  return refused.largest(() => Promise.resolve(waiting));
}

test("the busiest destination of each refusal; what was delivered, failed or put off for another reason is none", async () => {
  const refused = new RefusedDestinations();
  refused.attempted("busy.example", "deferred", "mismatch");
  refused.attempted("small.example", "deferred", "mismatch");
  refused.attempted("lies.example", "deferred", "bogus");
  refused.attempted("up.example", "delivered", "authenticated");
  assert.deepEqual(await largest(refused), { ...NOTHING, mismatch: 40, bogus: 7 });
  refused.attempted("busy.example", "delivered", "authenticated");
  refused.attempted("up.example", "deferred", "no-tlsa");
  assert.deepEqual(await largest(refused), { ...NOTHING, mismatch: 3, bogus: 7 });
  refused.attempted("lies.example", "failed", "bogus");
  refused.attempted("small.example", "deferred", "starttls-missing");
  assert.deepEqual(await largest(refused), { ...NOTHING, "starttls-missing": 3 });
});

test("where nothing is refused nothing is counted; a scrape does not wait for a count, and two do not make two", async () => {
  const refused = new RefusedDestinations();
  const begun: PromiseWithResolvers<readonly Waiting[]>[] = [];
  const count = (): Promise<readonly Waiting[]> => {
    const one = Promise.withResolvers<readonly Waiting[]>();
    begun.push(one);
    return one.promise;
  };
  assert.deepEqual(refused.largest(count), NOTHING);
  assert.equal(begun.length, 0);
  refused.attempted("busy.example", "deferred", "mismatch");
  assert.equal(refused.largest(count), undefined);
  assert.equal(refused.largest(count), undefined);
  assert.equal(begun.length, 1);
  begun[0]?.resolve(WAITING);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(refused.largest(count), { ...NOTHING, mismatch: 40 });
  begun[1]?.reject(new Error("the database is gone"));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(refused.largest(count), undefined, "what can't be counted has no value, rather than an old one");
});

test("what is remembered is bounded: the destination heard of least recently is forgotten", async () => {
  const refused = new RefusedDestinations();
  refused.attempted("small.example", "deferred", "mismatch");
  refused.attempted("busy.example", "deferred", "mismatch");
  refused.attempted("small.example", "deferred", "mismatch");
  for (let number = 0; number < 19_999; number += 1) refused.attempted(`d${number}.example`, "deferred", "mismatch");
  assert.deepEqual(await largest(refused), { ...NOTHING, mismatch: 3 });
});
