import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { FreshMessages } from "../../../src/spool/freshMessages.ts";
import type { Envelope, Work } from "../../../src/spool/message.ts";
import type { AdministeredStore } from "../../../src/spool/queueAdmin.ts";
import { openSqliteStore } from "../../../src/spool/sqliteStore.ts";

function message(id: string, octets?: number): { envelope: Envelope; content?: Uint8Array } {
  const flags = { smtpUtf8: false, eightBitMime: false, requireTls: false, tlsRequiredNo: false };
  const envelope = { id, sender: "a@example.org", acceptedAt: 1, size: octets ?? 1_000_000, ...flags };
  return octets === undefined ? { envelope } : { envelope, content: new Uint8Array(octets).fill(7) };
}

describe("messages that were committed a moment ago", () => {
  it("are handed over once, with the very memory that was stored", () => {
    const fresh = new FreshMessages();
    const stored = message("a", 100);
    fresh.keep(1, stored);
    const taken = fresh.take(1);
    assert.equal(taken?.content, stored.content);
    assert.equal(taken?.envelope.id, "a");
    assert.equal(fresh.take(1), undefined);
    assert.equal(fresh.octets, 0);
  });

  it("may have their content in a file", () => {
    const fresh = new FreshMessages();
    fresh.keep(1, message("a"));
    assert.deepEqual(fresh.take(1), message("a"));
  });

  it("are never taken for another message that got the same number", () => {
    const fresh = new FreshMessages(10_000);
    fresh.keep(1, message("a", 100));
    fresh.keep(1, message("b", 200));
    assert.equal(fresh.take(1)?.envelope.id, "b");
    fresh.keep(1, message("a", 100));
    fresh.keep(1, message("larger than the bound", 20_000));
    assert.equal(fresh.take(1), undefined);
    assert.equal(fresh.octets, 0);
  });

  it("stay within the bound, the oldest leave first", () => {
    const fresh = new FreshMessages(10_000);
    for (let sequence = 1; sequence <= 1000; sequence += 1) {
      fresh.keep(sequence, message(`${sequence}`, 3000));
      assert.ok(fresh.octets <= 10_000, `${fresh.octets}`);
    }
    assert.equal(fresh.take(998), undefined);
    assert.equal(fresh.take(999)?.envelope.id, "999");
    assert.equal(fresh.take(1000)?.envelope.id, "1000");
    assert.equal(fresh.octets, 0);
  });

  it("without content weigh something too", () => {
    const fresh = new FreshMessages(10_000);
    for (let sequence = 1; sequence <= 1000; sequence += 1) fresh.keep(sequence, message(`${sequence}`));
    assert.equal(fresh.take(900), undefined);
    assert.notEqual(fresh.take(1000), undefined);
  });
});

describe("an embedded spool that remembers what it just stored", () => {
  const claim = async (store: AdministeredStore): Promise<readonly Work[]> =>
    await store.claim({ now: Date.now(), limit: 10, exclude: new Set() });
  const add = async (store: AdministeredStore, id: string, destinations: readonly string[]): Promise<void> => {
    const [first = "", ...rest] = destinations;
    const to = (destination: string) => ({ address: `user@${destination}`, destination });
    const { envelope } = message(id);
    await store.add(
      { envelope: { ...envelope, acceptedAt: Date.now() }, recipients: [to(first), ...rest.map(to)] },
      Buffer.from(`content of ${id}`),
    );
  };
  const contents = (works: readonly Work[]): string[] => works.map(({ envelope, content }) => `${envelope.id}: ${content}`);

  it("never hands out one message's content as another's, nor loses it to a claim that was released", async () => {
    const directory = mkdtempSync(join(tmpdir(), "dane-relay-fresh-"));
    try {
      let store = await openSqliteStore({ directory });
      // The number of a message that left as the last one is given to the next.
      await add(store, "A", ["a.example"]);
      await store.queueAdmin.act("delete", { ids: ["A"] });
      await add(store, "B", ["b.example", "c.example"]);
      const both = await claim(store);
      assert.deepEqual(contents(both), ["B: content of B", "B: content of B"]);
      for (const work of both) store.release(work);
      assert.deepEqual(contents(await claim(store)), ["B: content of B", "B: content of B"]);
      await store.close();
      store = await openSqliteStore({ directory });
      assert.deepEqual(contents(await claim(store)), ["B: content of B", "B: content of B"]);
      await store.close();
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
