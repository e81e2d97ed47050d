import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ZoneLine } from "./scenario.ts";
import { type SignedZone, signZone } from "./sign.ts";
import { parentOf, type Zone } from "./world.ts";

/** Zones to files: signs from the leaves to the root, so that each parent publishes what its children are signed with. */

export type Published = {
  /** Zone files, by the server that loads them. */
  files: Readonly<Record<Zone["tier"], readonly { origin: string; file: string }[]>>;
  trustAnchorFile: string;
  rootHintsFile: string;
};

const TTL = 300;
const PARALLEL = 4;

function absolute(origin: string): string {
  return origin === "" ? "." : `${origin}.`;
}

function serverName(origin: string): string {
  return origin === "" ? "a.root." : `ns.${origin}.`;
}

function zoneText(zone: Zone, delegations: readonly string[]): string {
  const origin = absolute(zone.origin);
  return [
    `$ORIGIN ${origin}`,
    `$TTL ${TTL}`,
    `${origin} SOA ${serverName(zone.origin)} hostmaster${zone.origin === "" ? "." : `.${origin}`} 1 3600 600 86400 ${TTL}`,
    `${origin} NS ${serverName(zone.origin)}`,
    `${serverName(zone.origin)} A ${zone.serverAddress}`,
    ...zone.records,
    ...delegations,
    "",
  ].join("\n");
}

function delegation(zone: Zone, ds: readonly string[]): string[] {
  return [`${absolute(zone.origin)} NS ${serverName(zone.origin)}`, `${serverName(zone.origin)} A ${zone.serverAddress}`, ...ds];
}

/** The digest of some other key: the last octets are changed. */
function ofAnotherKey(ds: string): string {
  return ds.replace(/[0-9a-f]{8}\s*$/, (end) => (end.trim() === "00000000" ? "11111111" : "00000000"));
}

/** Algorithm 200 is nobody's: a zone whose only DS is of it is insecure (RFC 4035 §5.2). */
function ofUnknownAlgorithm(ds: string): string {
  return ds.replace(/(\sDS\s+\d+)\s+\d+/, "$1 200");
}

function publishedDs(zone: Zone, ds: readonly string[]): readonly string[] {
  switch (zone.ds) {
    case "matching":
      return ds;
    case "none":
      return [];
    case "of-another-key":
      return ds.map(ofAnotherKey);
    case "of-unknown-algorithm":
      return ds.map(ofUnknownAlgorithm);
    default:
      return zone.ds satisfies never;
  }
}

function parseLine(text: string): ZoneLine {
  const words = text.split(/\s+/);
  const type = words[3] ?? "";
  return { owner: words[0] ?? "", type, text, ...(type === "RRSIG" ? { covers: words[4] ?? "" } : {}) };
}

function spoiled(zone: Zone, text: string): string {
  const spoil = zone.spoil;
  if (spoil === undefined) return text;
  const lines = text.split("\n").filter((line) => line !== "");
  const changed = lines.map(parseLine).map((line) => spoil(line)?.text);
  if (lines.every((line, i) => line === changed[i])) throw new Error(`nothing to spoil in ${zone.origin}`);
  return `${changed.filter((line) => line !== undefined).join("\n")}\n`;
}

/** Deepest first. */
function depth(zone: Zone): number {
  return zone.origin === "" ? 0 : zone.origin.split(".").length;
}

/** Signs and writes every zone below `directory`. */
export async function publish(zones: readonly Zone[], directory: string): Promise<Published> {
  const delegations = new Map<Zone, string[]>();
  const files = { root: [], tld: [], domain: [] } satisfies Record<Zone["tier"], unknown[]> as Record<
    Zone["tier"],
    { origin: string; file: string }[]
  >;
  let rootDs: readonly string[] = [];
  await mkdir(join(directory, "zones"), { recursive: true });

  const publishOne = async (zone: Zone): Promise<void> => {
    const text = zoneText(zone, delegations.get(zone) ?? []);
    const label = zone.origin === "" ? "root" : zone.origin;
    const signed: SignedZone =
      zone.signing === "unsigned"
        ? { text, ds: [] }
        : await signZone(join(directory, "signing", label), absolute(zone.origin), text, zone.signing);
    const file = join(directory, "zones", `${label}.zone`);
    await writeFile(file, spoiled(zone, signed.text));
    files[zone.tier].push({ origin: absolute(zone.origin), file });
    const parent = parentOf(zones, zone);
    if (parent === undefined) rootDs = signed.ds;
    else {
      const ds = publishedDs(zone, signed.ds);
      delegations.set(parent, [...(delegations.get(parent) ?? []), ...delegation(zone, ds)]);
    }
  };

  for (const level of [...new Set(zones.map(depth))].toSorted((a, b) => b - a)) {
    const queue = zones.filter((zone) => depth(zone) === level);
    const worker = async (): Promise<void> => {
      for (let zone = queue.shift(); zone !== undefined; zone = queue.shift()) await publishOne(zone);
    };
    await Promise.all(Array.from({ length: PARALLEL }, worker));
  }

  const root = zones.find((zone) => zone.origin === "");
  if (root === undefined) throw new Error("the lab has no root zone");
  const trustAnchorFile = join(directory, "root.ds");
  const rootHintsFile = join(directory, "root.hints");
  await writeFile(trustAnchorFile, `${rootDs.join("\n")}\n`);
  await writeFile(rootHintsFile, `. ${TTL} IN NS ${serverName("")}\n${serverName("")} ${TTL} IN A ${root.serverAddress}\n`);
  return { files, trustAnchorFile, rootHintsFile };
}
