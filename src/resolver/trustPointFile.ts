import { createHash } from "node:crypto";
import { open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { decodeDnskey } from "../dns/dnssecRdata.ts";
import { isMalformed } from "../dns/message.ts";
import type { TrustAnchors } from "../dnssec/evidence.ts";
import { type FollowedKey, identityOf, type TrustPoint } from "../dnssec/trustPoint.ts";

/**
 * What RFC 5011 has to remember between two runs, as JSON. It counts only together with the configured anchors that it grew from: with
 * others, or damaged, it is as if there were none, and the configured anchors are what is trusted.
 */

/** `nextQuery`: seconds since the epoch. */
export type FollowedPoint = { point: TrustPoint; nextQuery: number };
export type TrustPointsRead =
  | { kind: "points"; points: readonly FollowedPoint[] }
  | { kind: "absent" }
  | { kind: "unusable"; reason: string };

const VERSION = 1;

export function pointsOf(anchors: TrustAnchors): readonly FollowedPoint[] {
  return [...anchors].map(([zone, configured]) => ({ point: { zone, configured, keys: [] }, nextQuery: 0 }));
}

export async function readTrustPoints(file: string, anchors: TrustAnchors): Promise<TrustPointsRead> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return { kind: "absent" };
    return { kind: "unusable", reason: textOf(error) };
  }
  return parseTrustPoints(text, anchors);
}

/** All or nothing: a state of which a part is not understood may hide a revocation. */
export function parseTrustPoints(text: string, anchors: TrustAnchors): TrustPointsRead {
  let state: unknown;
  try {
    state = JSON.parse(text);
  } catch (error) {
    return { kind: "unusable", reason: `not JSON: ${textOf(error)}` };
  }
  if (!isObject(state) || state.version !== VERSION || !Array.isArray(state.trustPoints))
    return { kind: "unusable", reason: `not a state of version ${VERSION}` };
  if (state.configured !== digestOf(anchors)) return { kind: "unusable", reason: "it belongs to other configured anchors" };
  const entries: readonly unknown[] = state.trustPoints;
  const points: FollowedPoint[] = [];
  for (const { point } of pointsOf(anchors)) {
    const entry = entries.find((one) => isObject(one) && one.zone === point.zone);
    if (!isObject(entry) || !isTime(entry.nextQuery) || !Array.isArray(entry.keys))
      return { kind: "unusable", reason: `the entry of ${point.zone} is damaged` };
    const keys = entry.keys.flatMap(followedKey);
    if (keys.length < entry.keys.length || new Set(keys.map((one) => one.key)).size < keys.length)
      return { kind: "unusable", reason: `the keys of ${point.zone} are damaged` };
    points.push({ point: { ...point, keys }, nextQuery: entry.nextQuery });
  }
  return { kind: "points", points };
}

function followedKey(entry: unknown): readonly FollowedKey[] {
  if (!isObject(entry) || !isIdentity(entry.key)) return [];
  const { key, state } = entry;
  if (state === "valid" || state === "missing" || state === "removed") return [{ key, state }];
  if (state === "revoked" && isTime(entry.lastSeen)) return [{ key, state, lastSeen: entry.lastSeen }];
  const { acceptAt, validatedBy } = entry;
  if (state !== "addPend" || !isTime(acceptAt) || !Array.isArray(validatedBy) || !validatedBy.every(isIdentity)) return [];
  return [{ key, state, acceptAt, validatedBy }];
}

/** Puts the new state in the place of the old one, whole or not at all. */
export async function writeTrustPoints(file: string, points: readonly FollowedPoint[]): Promise<void> {
  const configured = digestOf(new Map(points.map(({ point }) => [point.zone, point.configured])));
  const trustPoints = points.map(({ point, nextQuery }) => ({ zone: point.zone, nextQuery, keys: point.keys }));
  const text = `${JSON.stringify({ version: VERSION, configured, trustPoints }, undefined, 1)}\n`;
  const draft = `${file}.new`;
  await synced(draft, "w", async (handle) => handle.writeFile(text));
  await rename(draft, file);
  await synced(dirname(file), "r", async () => undefined);
}

async function synced(
  path: string,
  flags: "r" | "w",
  use: (handle: Awaited<ReturnType<typeof open>>) => Promise<void>,
): Promise<void> {
  const handle = await open(path, flags, 0o600);
  try {
    await use(handle);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Of the configured anchors, in whatever order they were written. */
function digestOf(anchors: TrustAnchors): string {
  const lines = [...anchors].flatMap(([zone, { ds, keys }]) => [
    ...ds.map((one) => `${zone} DS ${one.keyTag} ${one.algorithm} ${one.digestType} ${one.digest.toString("hex")}`),
    ...keys.map((rdata) => `${zone} DNSKEY ${rdata.toString("hex")}`),
  ]);
  return createHash("sha256")
    .update([...new Set(lines)].sort().join("\n"))
    .digest("hex");
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** Base64 of DNSKEY RDATA without the REVOKE bit, in its one form. */
function isIdentity(value: unknown): value is string {
  if (typeof value !== "string") return false;
  const rdata = Buffer.from(value, "base64");
  return identityOf(rdata) === value && !isMalformed(decodeDnskey(rdata));
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
