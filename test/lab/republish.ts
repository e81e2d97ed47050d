import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Lab } from "./lab.ts";
import { DEFAULT_SIGNING, signAgain } from "./sign.ts";
import { type Zone, zoneOf } from "./world.ts";

/** What an operator does with a remedy: the lines go into the zone, which is signed again with its own keys and loaded. */

/** The line of a zone file as it was written, and whether `line` takes its place: records of one name and type belong together. */
function isReplaced(existing: string, line: string): boolean {
  const [owner, type] = existing.split(" ");
  const [newOwner, newType] = line.replace(" IN ", " ").split(" ");
  return owner === newOwner && (type === newType || type === "CNAME");
}

function edited(zone: string, lines: readonly string[]): string {
  const kept = zone.split("\n").filter((existing) => !lines.some((line) => isReplaced(normalised(existing), line)));
  return [...kept, ...lines, ""].join("\n");
}

/** As ldns writes DS records: owner, TTL, class, type. */
function normalised(line: string): string {
  return line.replace(/\s+/g, " ").replace(/^(\S+) (?:\d+ )?(?:IN )?/, "$1 ");
}

/** DS records are the parent's. */
function holderOf(zones: readonly Zone[], line: string): Zone {
  const [owner = "", , type] = line.split(" ");
  const name = owner.replace(/\.$/, "");
  return type === "DS" ? zoneOf(zones, name.split(".").slice(1).join(".")) : zoneOf(zones, name);
}

async function signAndWrite(lab: Lab, zone: Zone, lines: readonly string[]): Promise<void> {
  if (zone.signing === "unsigned") throw new Error(`${zone.origin} is not signed`);
  const signing = { ...DEFAULT_SIGNING, ...zone.signing, validity: "current" } as const;
  const directory = join(lab.directory, "signing", zone.origin);
  const signed = await signAgain(directory, `${zone.origin}.`, (text) => edited(text, lines), signing);
  await writeFile(join(lab.directory, "zones", `${zone.origin}.zone`), signed.text);
}

/** `lines` into the zones that hold them; `again`: zones that are signed again as they are. Their servers are told to load what has changed. */
export async function republish(lab: Lab, lines: readonly string[], again: readonly string[]): Promise<void> {
  const { zones } = lab.world;
  const changes = new Map<Zone, string[]>(again.map((name) => [zoneOf(zones, name), []]));
  for (const line of lines) {
    const zone = holderOf(zones, line);
    changes.set(zone, [...(changes.get(zone) ?? []), line]);
  }
  for (const [zone, its] of changes) await signAndWrite(lab, zone, its);
  for (const tier of ["tld", "domain"] as const) {
    const pid = Number(await readFile(join(lab.directory, `nsd-${tier}`, "nsd.pid"), "utf8"));
    process.kill(pid, "SIGHUP");
  }
}
