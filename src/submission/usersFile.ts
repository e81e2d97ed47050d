import { readFile, stat } from "node:fs/promises";
import { destinationOf, parseMailbox } from "../smtp/mailbox.ts";
import { type PasswordRecord, parsePasswordRecord, passwordRecordText } from "./passwordRecord.ts";
import { saslPrepared } from "./saslName.ts";

/**
 * The file of `submission.usersFile`: one user a line, fields separated by a blank, the first being the version of the line:
 *
 *     1 shop $scrypt$ln=15,r=8,p=3$...$... senders=orders@example.org,@news.example.org
 *
 * Empty lines and lines that begin with # say nothing. `senders`: envelope senders that the user may use, as addresses, `@domain`, or `<>` for the
 * null reverse-path; without it any.
 */
export type User = { name: string; record: PasswordRecord; senders?: readonly string[] };
export type Users = ReadonlyMap<string, User>;

export type UsersReading = { kind: "users"; users: Users; identity: string } | { kind: "unusable"; reason: string };

const LINE_VERSION = "1";
const MAX_FILE_OCTETS = 16 * 1024 * 1024;
const MAX_NAME_OCTETS = 255;
/** Group and others may not write; others may not read what passwords can be guessed from. */
const FORBIDDEN_MODE = 0o026;

/** A name as it is compared and written: prepared, and without blanks, which separate fields; undefined: no name. */
export function userName(text: string): string | undefined {
  const name = saslPrepared(text);
  if (name === undefined || Buffer.byteLength(name) > MAX_NAME_OCTETS) return undefined;
  return /\s/u.test(name) || name.startsWith("#") ? undefined : name;
}

/** An entry of `senders` in the form that it is compared in; undefined: none of the three. */
export function senderPattern(text: string): string | undefined {
  if (text === "<>") return text;
  if (text.includes(",") || /\s/u.test(text)) return undefined;
  return text.startsWith("@") ? comparedAddress(`any${text}`)?.slice("any".length) : comparedAddress(text);
}

/** RFC 5321 §2.4 lets local parts differ by case; whoever may use one may use the other. */
function comparedAddress(address: string): string | undefined {
  const mailbox = parseMailbox(address);
  if ("kind" in mailbox) return undefined;
  // ASCII only: elsewhere another letter can have the same lower case, as U+212A has that of K.
  return `${mailbox.localPart.replace(/[A-Z]/g, (letter) => letter.toLowerCase())}@${destinationOf(mailbox)}`;
}

/** Whether `user` may send as `sender` ("": the null reverse-path). */
export function maySendAs({ senders }: Pick<User, "senders">, sender: string): boolean {
  if (senders === undefined) return true;
  if (sender === "") return senders.includes("<>");
  const address = comparedAddress(sender);
  return address !== undefined && (senders.includes(address) || senders.includes(address.slice(address.lastIndexOf("@"))));
}

export function parseUsers(text: string): { kind: "users"; users: Map<string, User> } | { kind: "unusable"; reason: string } {
  const users = new Map<string, User>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const user = parseLine(line.trimEnd());
    if (typeof user === "string") return { kind: "unusable", reason: `line ${index + 1} ${user}` };
    if (users.has(user.name)) return { kind: "unusable", reason: `line ${index + 1} has user ${user.name} a second time` };
    users.set(user.name, user);
  }
  return { kind: "users", users };
}

/** What is wrong is said without the line, which has a secret in it. */
function parseLine(line: string): User | string {
  const [version, name = "", recordText = "", sendersText, ...more] = line.split(" ");
  if (version !== LINE_VERSION) return `is not of version ${LINE_VERSION}, the only one known`;
  if (userName(name) !== name) return "has no well-formed user name";
  const record = parsePasswordRecord(recordText);
  if (record === undefined) return "has no well-formed scrypt record";
  if (sendersText === undefined) return { name, record };
  if (!sendersText.startsWith("senders=") || more.length > 0) return "has something other than senders= behind the record";
  const senders = sendersText.slice("senders=".length).split(",").map(senderPattern);
  const known = senders.filter((sender) => sender !== undefined);
  return known.length === senders.length ? { name, record, senders: known } : "has a sender that is no address, @domain or <>";
}

export function userLine({ name, record, senders }: User): string {
  const fields = [LINE_VERSION, name, passwordRecordText(record)];
  if (senders !== undefined) fields.push(`senders=${senders.join(",")}`);
  return fields.join(" ");
}

/** Reads the file; `identity` changes when it is replaced or rewritten. Permissions that let others in make it unusable. */
export async function readUsersFile(path: string): Promise<UsersReading> {
  try {
    const identity = await fileIdentity(path);
    const { mode, size } = await stat(path);
    if ((mode & FORBIDDEN_MODE) !== 0) {
      const text = (mode & 0o777).toString(8).padStart(4, "0");
      return unusable(path, `its mode is ${text}: others must not read it, nor anybody but its owner write it (chmod 0640)`);
    }
    if (size > MAX_FILE_OCTETS) return unusable(path, `it is larger than ${MAX_FILE_OCTETS} octets`);
    const parsed = parseUsers(await readFile(path, "utf8"));
    return parsed.kind === "users" ? { ...parsed, identity } : unusable(path, parsed.reason);
  } catch (error) {
    // Whatever is wrong with it, it is for the operator to mend.
    return unusable(path, error instanceof Error ? error.message : String(error));
  }
}

/** Which file this is and when it was last changed, in one text. Rejects when that cannot be seen. */
export async function fileIdentity(path: string): Promise<string> {
  const { dev, ino, mtimeNs, ctimeNs, size } = await stat(path, { bigint: true });
  return [dev, ino, mtimeNs, ctimeNs, size].join(":");
}

function unusable(path: string, reason: string): UsersReading {
  return { kind: "unusable", reason: `${path}: ${reason}` };
}
