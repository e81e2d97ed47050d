import { randomBytes } from "node:crypto";
import { makePasswordRecord } from "../submission/passwordRecord.ts";
import { saslPrepared } from "../submission/saslName.ts";
import { addUser, deleteUser, type UsersEdit } from "../submission/usersEdit.ts";
import { readUsersFile, senderPattern, type User, userName } from "../submission/usersFile.ts";

/** The users of submission for the command line; `refused` says why nothing was changed. */
export type NewUser = { name: string; password: string; senders: readonly string[] | undefined; ifKnown: "refuse" | "replace" };

const MIN_PASSWORD_CHARACTERS = 8;
const GENERATED_OCTETS = 18;

export async function addUserTo(file: string, { name, password, senders, ifKnown }: NewUser): Promise<UsersEdit> {
  const known = userName(name);
  if (known === undefined)
    return refused(`${JSON.stringify(name)} is no user name: text without blanks and controls, at most 255 octets`);
  const prepared = saslPrepared(password);
  if (prepared === undefined) return refused("the password is empty, too long, or has characters that none may have (RFC 4013)");
  if ([...prepared].length < MIN_PASSWORD_CHARACTERS)
    return refused(`the password has fewer than ${MIN_PASSWORD_CHARACTERS} characters`);
  const patterns = senders?.map((sender) => ({ sender, pattern: senderPattern(sender) }));
  const wrong = patterns?.find(({ pattern }) => pattern === undefined);
  if (wrong !== undefined) return refused(`${JSON.stringify(wrong.sender)} is no sender: an address, @domain, or <>`);
  const allowed = patterns?.flatMap(({ pattern }) => (pattern === undefined ? [] : [pattern]));
  const user: User = {
    name: known,
    record: await makePasswordRecord(prepared),
    ...(allowed === undefined ? {} : { senders: allowed }),
  };
  return await broken(file, () => addUser(file, user, ifKnown));
}

export async function deleteUserFrom(file: string, name: string): Promise<UsersEdit> {
  return await broken(file, () => deleteUser(file, userName(name) ?? name));
}

export type UserList =
  | { kind: "users"; users: readonly { name: string; senders?: readonly string[] }[] }
  | { kind: "refused"; reason: string };

export async function usersIn(file: string): Promise<UserList> {
  const reading = await readUsersFile(file);
  if (reading.kind === "unusable") return { kind: "refused", reason: reading.reason };
  const users = [...reading.users.values()].map(({ name, senders }) => ({ name, ...(senders === undefined ? {} : { senders }) }));
  return { kind: "users", users };
}

/** 144 bits, in characters that need no quoting anywhere. */
export function generatedPassword(): string {
  return randomBytes(GENERATED_OCTETS).toString("base64url");
}

function refused(reason: string): UsersEdit {
  return { kind: "refused", reason };
}

/** What the file system or the lock said. */
async function broken(file: string, run: () => Promise<UsersEdit>): Promise<UsersEdit> {
  try {
    return await run();
  } catch (error) {
    return refused(`${file} cannot be changed: ${error instanceof Error ? error.message : String(error)}`);
  }
}
