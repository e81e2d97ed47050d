import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Lab } from "./lab.ts";
import { DEFAULT_SIGNING, signAgain, signZone } from "./sign.ts";
import { type Zone, zoneOf } from "./world.ts";

/** What an operator does with a remedy: the lines go into the zone, which is signed again with its own keys, if it is signed, and loaded. */

/** Whether `line` takes the place of one of the zone file: records of one name and type belong together. */
function isReplaced(existing: string, line: string): boolean {
  const [owner, type] = normalised(existing).split(" ");
  const [newOwner, newType] = normalised(line).split(" ");
  return owner === newOwner && (type === newType || type === "CNAME");
}

function edited(zone: string, lines: readonly string[]): string {
  const kept = zone.split("\n").filter((existing) => !lines.some((line) => isReplaced(existing, line)));
  return [...kept, ...lines, ""].join("\n");
}

/** Owner and type, without the TTL and the class that may stand between. */
function normalised(line: string): string {
  return line.replace(/\s+/g, " ").replace(/^(\S+) (?:\d+ )?(?:IN )?/, "$1 ");
}

/** DS records are the parent's. */
function holderOf(zones: readonly Zone[], line: string): Zone {
  const [owner = "", type] = normalised(line).split(" ");
  const name = owner.replace(/\.$/, "");
  return type === "DS" ? zoneOf(zones, name.split(".").slice(1).join(".")) : zoneOf(zones, name);
}

async function signAndWrite(lab: Lab, zone: Zone, lines: readonly string[]): Promise<void> {
  const file = join(lab.directory, "zones", `${zone.origin}.zone`);
  if (zone.signing === "unsigned") {
    await writeFile(file, edited(await readFile(file, "utf8"), lines));
    return;
  }
  const signing = { ...DEFAULT_SIGNING, ...zone.signing, validity: "current" } as const;
  const directory = join(lab.directory, "signing", zone.origin);
  const signed = await signAgain(directory, `${zone.origin}.`, (text) => edited(text, lines), signing);
  await writeFile(file, signed.text);
}

/** Signs a zone that was not signed so far; returns the DS records that its parent then has to publish. */
export async function signFirst(lab: Lab, origin: string): Promise<readonly string[]> {
  const zone = zoneOf(lab.world.zones, origin);
  const file = join(lab.directory, "zones", `${origin}.zone`);
  const text = await readFile(file, "utf8");
  const signed = await signZone(join(lab.directory, "signing", origin), `${origin}.`, text, DEFAULT_SIGNING);
  zone.signing = DEFAULT_SIGNING;
  await writeFile(file, signed.text);
  return signed.ds;
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
