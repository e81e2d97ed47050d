import { writeFileSync } from "node:fs";
import { systemClock } from "../../src/clock.ts";
import { Authenticator } from "../../src/submission/authenticator.ts";
import { makePasswordRecord } from "../../src/submission/passwordRecord.ts";
import { UserDirectory } from "../../src/submission/userDirectory.ts";
import { readUsersFile, type User, userLine } from "../../src/submission/usersFile.ts";

/** Cheap ones, so that tests are fast. */
const CHEAP = { ln: 10, r: 1, p: 1 } as const;

export async function makeUser(name: string, password: string, senders?: readonly string[]): Promise<User> {
  const record = await makePasswordRecord(password, CHEAP);
  return { name, record, ...(senders === undefined ? {} : { senders }) };
}

export function writeUsers(file: string, users: readonly User[]): void {
  writeFileSync(file, users.map((user) => `${userLine(user)}\n`).join(""), { mode: 0o600 });
}

export type OpenUsers = { authenticator: Authenticator; directory: UserDirectory; told: string[]; [Symbol.dispose](): void };

/** A users file with these users, and who judges log-ins by it. `monotonic`: milliseconds. */
export async function openUsers(file: string, users: readonly User[], monotonic = systemClock.monotonic): Promise<OpenUsers> {
  writeUsers(file, users);
  const reading = await readUsersFile(file);
  if (reading.kind === "unusable") throw new Error(reading.reason);
  const told: string[] = [];
  const directory = new UserDirectory({
    ...{ file, users: reading.users, identity: reading.identity, monotonic },
    onRead: (count) => told.push(`read ${count}`),
    onTrouble: (reason) => told.push(`trouble ${reason}`),
  });
  return {
    ...{ authenticator: new Authenticator({ directory, monotonic }), directory, told },
    [Symbol.dispose]: () => directory.stop(),
  };
}
