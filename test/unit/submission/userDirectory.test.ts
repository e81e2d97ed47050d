import assert from "node:assert/strict";
import { test } from "node:test";
import { UserDirectory } from "../../../src/submission/userDirectory.ts";
import type { User } from "../../../src/submission/usersFile.ts";

function user(name: string, ln: number): User {
  const record = { ln, r: 8, p: 1, salt: Buffer.alloc(16, name), hash: Buffer.alloc(32, name) };
  return { name, record };
}

function directory(...users: readonly User[]): UserDirectory {
  return new UserDirectory({
    file: "/nowhere",
    users: new Map(users.map((one) => [one.name, one])),
    identity: "",
    monotonic: () => 0,
    onRead: () => undefined,
    onTrouble: () => undefined,
  });
}

test("names that are none's stand for users as they are mixed, each always for the same one", () => {
  const users = [user("a", 15), user("b", 15), user("c", 15), user("d", 12)];
  const [before, after] = [directory(...users), directory(...users)];
  const counts = new Map<number, number>();
  for (let number = 0; number < 4000; number += 1) {
    const found = before.standIn(`nobody${number}`);
    assert.ok(found !== undefined);
    assert.equal(after.standIn(`nobody${number}`)?.name, found.name, "the same after a restart");
    counts.set(found.record.ln, (counts.get(found.record.ln) ?? 0) + 1);
  }
  const cheap = counts.get(12) ?? 0;
  assert.ok(cheap > 800 && cheap < 1200, `${cheap} of 4000 are checked at the cost of one of four users`);
  for (const one of [before, after]) one.stop();
});

test("without users there is nobody to stand for", () => {
  const none = directory();
  assert.equal(none.standIn("a"), undefined);
  none.stop();
});
