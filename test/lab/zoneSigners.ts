import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { decodeNsec3 } from "../../src/dns/dnssecRdata.ts";
import { isMalformed, type ResourceRecord, RR_TYPE } from "../../src/dns/message.ts";
import { type DomainName, isWithin, name, parentOf } from "../../src/dns/name.ts";
import { parseZoneText } from "../../src/dns/zoneText.ts";
import { nsec3Chain, nsecChain, type Owner } from "../fake/denialChain.ts";
import { record } from "../fake/dnsWire.ts";
import { dnskeyRecord, dsRecord, type SigningKey, signingKey, signRrset } from "../fake/signer.ts";
import { type Denial, type Signing, signZone } from "./sign.ts";
import { bindKeys, knotKeys } from "./zoneKeys.ts";

/** Signs one and the same zone by the programs of three houses and by our own signer, and keeps the keys. */

export type SignerName = "ldns" | "bind" | "knot" | "own";
export type Algorithm = Signing["algorithm"];
export type ZoneSigning = { signer: SignerName; algorithm: Algorithm; denial: Denial; keys: Signing["keys"] };

/** `text` for the name server; `ds` lines for the parent zone; `keys` that sign the zone. */
export type KeyedZone = { origin: DomainName; text: string; ds: readonly string[]; keys: readonly SigningKey[] };

const run = promisify(execFile);
const DAY_SECONDS = 86_400;
const KNOT_ALGORITHMS = {
  8: "rsasha256",
  10: "rsasha512",
  13: "ecdsap256sha256",
  14: "ecdsap384sha384",
  15: "ed25519",
  16: "ed448",
} as const;

export async function signKeyed(directory: string, origin: string, zone: string, signing: ZoneSigning): Promise<KeyedZone> {
  await mkdir(directory, { recursive: true });
  switch (signing.signer) {
    case "ldns":
    case "bind":
      return await signByTools(directory, origin, zone, { ...signing, signer: signing.signer, validity: "current" });
    case "knot":
      return await signByKnot(directory, origin, zone, signing);
    case "own":
      return signOurselves(origin, zone, signing);
    default:
      return signing.signer satisfies never;
  }
}

async function signByTools(directory: string, origin: string, zone: string, signing: Signing): Promise<KeyedZone> {
  const { text, ds } = await signZone(directory, origin, zone, signing);
  return { origin: name(origin), text, ds, keys: await bindKeys(directory, dnskeysOf(text)) };
}

async function signByKnot(directory: string, origin: string, zone: string, signing: ZoneSigning): Promise<KeyedZone> {
  const nsec3 = signing.denial === "nsec" ? "off" : "on";
  const configuration = [
    "server:",
    `    rundir: "${directory}"`,
    "database:",
    `    storage: "${directory}/db"`,
    "policy:",
    "  - id: lab",
    `    algorithm: ${KNOT_ALGORITHMS[signing.algorithm]}`,
    `    single-type-signing: ${signing.keys === "csk" ? "on" : "off"}`,
    `    nsec3: ${nsec3}`,
    "    nsec3-iterations: 0",
    // A salt would be another one in each run, and with it the mutants.
    "    nsec3-salt-length: 0",
    `    nsec3-opt-out: ${signing.denial === "nsec3-optout" ? "on" : "off"}`,
    "    rrsig-lifetime: 30d",
    "    cds-cdnskey-publish: none",
    "zone:",
    `  - domain: ${origin}`,
    `    storage: "${directory}"`,
    '    file: "zone"',
    "    dnssec-signing: on",
    "    dnssec-policy: lab",
    "",
  ].join("\n");
  const file = join(directory, "knot.conf");
  await mkdir(join(directory, "db"), { recursive: true });
  await mkdir(join(directory, "signed"), { recursive: true });
  await writeFile(file, configuration);
  await writeFile(join(directory, "zone"), zone);
  await run("kzonesign", ["-c", file, "-o", "signed", origin], { cwd: directory });
  const { stdout: text } = await run("ldns-read-zone", [join("signed", "zone")], { cwd: directory });
  const { stdout: ds } = await run("keymgr", ["-c", file, origin, "ds"], { cwd: directory });
  const sha256 = ds.split("\n").filter((line) => / DS \d+ \d+ 2 /.test(line));
  return { origin: name(origin), text, ds: sha256, keys: await knotKeys(join(directory, "db", "keys", "keys"), dnskeysOf(text)) };
}

/** The keys that a signed zone publishes. */
function dnskeysOf(text: string): readonly ResourceRecord[] {
  const lines = text.split("\n").filter((line) => /^\S+\s+\d+\s+IN\s+DNSKEY\s/.test(line));
  const zone = parseZoneText(lines.join("\n"));
  if (zone.kind === "error") throw new Error(zone.reason);
  return zone.records;
}

/** Our own signer, as the unit tests use it, on a zone file without directives. */
function signOurselves(origin: string, zone: string, signing: ZoneSigning): KeyedZone {
  const apex = name(origin);
  const { algorithm } = signing;
  const entry = signingKey({ algorithm, seed: origin });
  const keys = signing.keys === "csk" ? [entry] : [entry, signingKey({ algorithm, seed: `zone ${origin}`, flags: 256 })];
  const lines = zone.split("\n").filter((line) => line !== "");
  const records = [...lines.map(record), ...keys.map((key) => dnskeyRecord(apex, key, TTL))];
  const all = [...records, ...denialRecords(apex, records, signing.denial)];
  const now = Math.floor(Date.now() / 1000);
  const window = { inception: now - DAY_SECONDS, expiration: now + 30 * DAY_SECONDS };
  const signatures = [...groups(all)].flatMap(([, rrset]) => {
    const [first] = rrset;
    if (first === undefined || !isSigned(apex, first, all)) return [];
    const key = first.type === RR_TYPE.DNSKEY ? entry : (keys[1] ?? entry);
    return [signRrset(rrset, key, apex, window)];
  });
  const text = [...all, ...signatures].map(zoneLine).join("\n");
  return { origin: apex, text: `${text}\n`, ds: [zoneLine(dsRecord(apex, entry, 2, TTL))], keys };
}

const TTL = 300;

function groups(records: readonly ResourceRecord[]): Map<string, ResourceRecord[]> {
  const sets = new Map<string, ResourceRecord[]>();
  for (const one of records) {
    const key = `${one.type} ${one.name}`;
    sets.set(key, [...(sets.get(key) ?? []), one]);
  }
  return sets;
}

function cutsOf(apex: DomainName, records: readonly ResourceRecord[]): DomainName[] {
  return records.filter((one) => one.type === RR_TYPE.NS && one.name !== apex).map((one) => one.name);
}

/** RFC 4035 §2.2: not the delegation's NS, nor what is below it. */
function isSigned(apex: DomainName, one: ResourceRecord, all: readonly ResourceRecord[]): boolean {
  return cutsOf(apex, all).every((cut) => {
    if (one.name === cut) return one.type === RR_TYPE.DS || one.type === RR_TYPE.NSEC;
    return !isWithin(one.name, cut);
  });
}

function denialRecords(apex: DomainName, records: readonly ResourceRecord[], denial: Denial): ResourceRecord[] {
  const cuts = new Set(cutsOf(apex, records));
  const types = new Map<DomainName, Set<number>>();
  for (const { name: owner, type } of records) {
    if ([...cuts].some((cut) => owner !== cut && isWithin(owner, cut))) continue;
    if (cuts.has(owner) && type !== RR_TYPE.NS && type !== RR_TYPE.DS) continue;
    types.set(owner, (types.get(owner) ?? new Set<number>()).add(type));
  }
  const owners: Owner[] = [...types].map(([owner, set]) => ({ name: owner, types: [...set] }));
  if (denial === "nsec") {
    const chain = nsecChain(apex, owners);
    return owners.flatMap((owner) => chain.match(owner.name)).map((one) => ({ ...one, ttl: TTL }));
  }
  const optOut = denial === "nsec3-optout";
  const kept = owners.filter(({ name: owner, types: set }) => !optOut || !cuts.has(owner) || set.includes(RR_TYPE.DS));
  const names = new Set(kept.map((owner) => owner.name));
  for (const { name: owner } of kept)
    for (let up = parentOf(owner); up !== undefined && isWithin(up, apex); up = parentOf(up)) names.add(up);
  const param: Owner = { name: apex, types: [...(types.get(apex) ?? []), RR_TYPE.NSEC3PARAM] };
  const withApex = [param, ...kept.filter((owner) => owner.name !== apex)];
  const complete = [...names].map((owner) => withApex.find((one) => one.name === owner) ?? { name: owner, types: [] });
  const chain = nsec3Chain(apex, complete, { salt: SALT, iterations: 1, flags: optOut ? 1 : 0 });
  const nsec3 = [...names].flatMap((owner) => chain.match(owner)).map((one) => ({ ...one, ttl: TTL }));
  const [first] = nsec3;
  const decoded = first === undefined ? undefined : decodeNsec3(first.rdata);
  if (first === undefined || decoded === undefined || isMalformed(decoded)) throw new Error(`no NSEC3 in ${apex}`);
  const rdata = Buffer.concat([Buffer.of(1, 0, 0, 1, SALT.length), SALT]);
  return [...nsec3, { ...first, name: apex, type: RR_TYPE.NSEC3PARAM, rdata }];
}

const SALT = Buffer.from("c0ffee", "hex");

/** RFC 3597 §5: any type in any zone file. */
function zoneLine({ name: owner, type, ttl, rdata }: ResourceRecord): string {
  const spelled = owner === "." ? owner : `${owner.replace(/\.$/, "")}.`;
  return `${spelled} ${ttl} IN TYPE${type} \\# ${rdata.length} ${rdata.toString("hex")}`;
}
