import { createPublicKey } from "node:crypto";
import type { SigningKey } from "./author.ts";
import { type DkimKey, readDkimKey, recordName } from "./signingKey.ts";

/** One entry of `dkim.sign`. */
export type SigningSetting = { domain: string; selector: string; keyFile: string };

export type ReadKeyFile = (
  path: string,
) => { kind: "text"; text: string } | { kind: "missing" } | { kind: "unreadable"; reason: string };

export type KeyFileReading = { kind: "key"; key: SigningKey } | { kind: "unusable"; reason: string };

/** The key of one entry. The reason names the file. */
export function readSigningKey({ domain, selector, keyFile }: SigningSetting, readFile: ReadKeyFile): KeyFileReading {
  const file = readFile(keyFile);
  if (file.kind === "missing") return { kind: "unusable", reason: `${keyFile} does not exist` };
  if (file.kind === "unreadable") return { kind: "unusable", reason: `${keyFile}: ${file.reason}` };
  // RFC 7489 §3.1.1: the domain itself is aligned with authors below it.
  const read = readDkimKey(file.text, { domain: domain.replace(/^\./, ""), selector });
  return read.kind === "key"
    ? { kind: "key", key: { domain, key: read.key } }
    : { kind: "unusable", reason: `${keyFile}: ${read.reason}` };
}

/** The keys of all entries, or what is wrong with each that has none. */
export function readSigningKeys(
  settings: readonly SigningSetting[],
  readFile: ReadKeyFile,
): { kind: "keys"; keys: readonly SigningKey[] } | { kind: "unusable"; reasons: readonly string[] } {
  const keys: SigningKey[] = [];
  const reasons: string[] = [];
  for (const [i, setting] of settings.entries()) {
    const reading = readSigningKey(setting, readFile);
    if (reading.kind === "unusable") reasons.push(`entry ${i}: ${reading.reason}`);
    else if (keys.some(({ key }) => clash(key, reading.key.key)))
      reasons.push(`entry ${i}: there is another key for ${recordName(reading.key.key)}, which can be the name of one only`);
    else keys.push(reading.key);
  }
  return reasons.length === 0 ? { kind: "keys", keys } : { kind: "unusable", reasons };
}

/** RFC 6376 §3.6.2.2: the record of a name holds one key. */
function clash(one: DkimKey, other: DkimKey): boolean {
  return recordName(one) === recordName(other) && !createPublicKey(one.key).equals(createPublicKey(other.key));
}
