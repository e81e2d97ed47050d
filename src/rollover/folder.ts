import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdir, open, readFile, rename, rm, symlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { type KeyRole, keyOf, type OwnKey, type Rollover } from "../diagnosis/doubleTlsa.ts";
import { certificateRequest } from "./certificateRequest.ts";

/**
 * The directory of one host's rollover: rollover.json says which key has which role and since when it is published. Each key lies in a file named
 * after its fingerprint, for its owner alone, and with it the request for its certificate; active.key is a link to the one in use. The state alone decides: what
 * a crash left half done is put right when it is read.
 *
 *   rollover.json  active.key -> FINGERPRINT.key  FINGERPRINT.key  FINGERPRINT.csr
 */
export type Folder = { directory: string };

export type FolderReading = { kind: "rollover"; rollover: Rollover } | { kind: "unusable"; because: string };

const STATE_FILE = "rollover.json";
const ACTIVE_LINK = "active.key";
const VERSION = 1;
const PRIVATE = 0o600;
const ROLES: readonly KeyRole[] = ["active", "standby", "retired"];
/** Hex digits in file names. */
const NAME_DIGITS = 16;

type Named = Pick<OwnKey, "fingerprint">;

export function keyFile({ directory }: Folder, { fingerprint }: Named): string {
  return join(directory, `${fingerprint.slice(0, NAME_DIGITS)}.key`);
}

export function requestFile({ directory }: Folder, { fingerprint }: Named): string {
  return join(directory, `${fingerprint.slice(0, NAME_DIGITS)}.csr`);
}

export function activeLink({ directory }: Folder): string {
  return join(directory, ACTIVE_LINK);
}

/** The state as it was written; keys that are missing or others than it says make it unusable. */
export async function readFolder(folder: Folder): Promise<FolderReading> {
  const file = join(folder.directory, STATE_FILE);
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => error);
  if (text instanceof Error) {
    const because = text.code === "ENOENT" ? `there is no ${file}: begin with init` : text.message;
    return { kind: "unusable", because };
  }
  const rollover = parseState(text);
  if (rollover === undefined) return { kind: "unusable", because: `${file} is not what this release wrote` };
  for (const key of rollover.keys) {
    if ((await fingerprintOf(keyFile(folder, key))) === key.fingerprint) continue;
    return { kind: "unusable", because: `${keyFile(folder, key)} is missing, or is not the ${key.role} key of ${STATE_FILE}` };
  }
  await linkActive(folder, rollover);
  return { kind: "rollover", rollover };
}

function parseState(text: string): Rollover | undefined {
  try {
    const state = JSON.parse(text) as Partial<Rollover & { version: number }>;
    const { version, host, port, keys, largestTtlSeconds } = state;
    if (version !== VERSION || typeof host !== "string" || typeof port !== "number" || typeof largestTtlSeconds !== "number")
      return undefined;
    if (!Array.isArray(keys) || !keys.every(isKey)) return undefined;
    return { host, port, keys, largestTtlSeconds };
  } catch (error) {
    // Not JSON: the caller says so in the file's name.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isKey(value: unknown): value is OwnKey {
  if (typeof value !== "object" || value === null) return false;
  const { role, fingerprint, publishedSince } = value as Record<string, unknown>;
  return (
    ROLES.some((known) => known === role) &&
    typeof fingerprint === "string" &&
    /^[0-9a-f]{64}$/.test(fingerprint) &&
    (publishedSince === undefined || typeof publishedSince === "number")
  );
}

export async function writeState({ directory }: Folder, rollover: Rollover): Promise<void> {
  await replaceFile(join(directory, STATE_FILE), `${JSON.stringify({ version: VERSION, ...rollover }, null, 2)}\n`);
}

/** For its owner alone; as it is where there is one. */
export async function makeFolder({ directory }: Folder): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
}

/** Fills the folder with its first keys: `active` is a key in use, or a new one. Rejects when there is a rollover already. */
export async function beginFolder(folder: Folder, host: string, port: number, active: KeyObject | undefined): Promise<Rollover> {
  const existing = await readFolder(folder);
  if (existing.kind === "rollover") throw new Error(`${folder.directory} has a rollover of ${existing.rollover.host} already`);
  const key = active ?? newKey();
  const fingerprint = await writeKey(folder, key);
  const rollover: Rollover = { host, port, keys: [{ role: "active", fingerprint }], largestTtlSeconds: 0 };
  return withStandby(folder, rollover, newKey(key));
}

/** With a new standby key, of the active key's kind, and the request for its certificate. */
export async function withNewStandby(folder: Folder, rollover: Rollover): Promise<Rollover> {
  const active = createPrivateKey(await readFile(activeLink(folder)));
  return withStandby(folder, rollover, newKey(active));
}

/** `key` as the standby key, in place of the prepared one if there is any. */
export async function withStandby(folder: Folder, rollover: Rollover, key: KeyObject): Promise<Rollover> {
  const fingerprint = await writeKey(folder, key);
  await replaceFile(requestFile(folder, { fingerprint }), certificateRequest(key, rollover.host));
  return become(folder, rollover, [...rollover.keys.filter(({ role }) => role !== "standby"), { role: "standby", fingerprint }]);
}

/** The standby key becomes the active one, and the active one retired. */
export function switchKeys(folder: Folder, rollover: Rollover): Promise<Rollover> {
  const next: Readonly<Record<KeyRole, KeyRole>> = { active: "retired", standby: "active", retired: "retired" };
  return become(
    folder,
    rollover,
    rollover.keys.map((key) => ({ ...key, role: next[key.role] })),
  );
}

/** Forgets the retired key. */
export function withoutRetired(folder: Folder, rollover: Rollover): Promise<Rollover> {
  return become(
    folder,
    rollover,
    rollover.keys.filter(({ role }) => role !== "retired"),
  );
}

async function become(folder: Folder, before: Rollover, keys: readonly OwnKey[]): Promise<Rollover> {
  const rollover = { ...before, keys };
  await writeState(folder, rollover);
  await linkActive(folder, rollover);
  const gone = before.keys.filter(({ fingerprint }) => !keys.some((key) => key.fingerprint === fingerprint));
  for (const key of gone) {
    await rm(keyFile(folder, key), { force: true });
    await rm(requestFile(folder, key), { force: true });
  }
  return rollover;
}

async function linkActive(folder: Folder, rollover: Rollover): Promise<void> {
  const active = keyOf(rollover, "active");
  if (active === undefined) throw new Error("a rollover without an active key");
  const temporary = `${activeLink(folder)}.new`;
  await rm(temporary, { force: true });
  await symlink(basename(keyFile(folder, active)), temporary);
  await rename(temporary, activeLink(folder));
}

/** SHA-256 of the key's SubjectPublicKeyInfo, in hex. */
export function fingerprintOfKey(key: KeyObject): string {
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  return createHash("sha256")
    .update(publicKey.export({ format: "der", type: "spki" }))
    .digest("hex");
}

async function fingerprintOf(file: string): Promise<string | undefined> {
  try {
    return fingerprintOfKey(createPrivateKey(await readFile(file)));
  } catch {
    // Missing, unreadable or no key: in each case it is not the key that it should be.
    return undefined;
  }
}

/** P-256 unless the key before is RSA: who needed that, still does. */
function newKey(like?: KeyObject): KeyObject {
  if (like?.asymmetricKeyType === "rsa") {
    return generateKeyPairSync("rsa", { modulusLength: like.asymmetricKeyDetails?.modulusLength ?? 2048 }).privateKey;
  }
  return generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey;
}

/** Returns its fingerprint. */
async function writeKey(folder: Folder, key: KeyObject): Promise<string> {
  const fingerprint = fingerprintOfKey(key);
  await replaceFile(keyFile(folder, { fingerprint }), key.export({ format: "pem", type: "pkcs8" }).toString());
  return fingerprint;
}

/** All of it or the file before, whatever happens in between. */
async function replaceFile(file: string, content: string | Buffer): Promise<void> {
  const temporary = `${file}.new`;
  // What a crash left, or somebody's link: never written through, and never with its permissions.
  await rm(temporary, { force: true });
  const handle = await open(temporary, "wx", PRIVATE);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
}
