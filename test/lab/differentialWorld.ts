import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RR_TYPE } from "../../src/dns/message.ts";
import { type DomainName, isWithin, labelCount, name, suffixOf } from "../../src/dns/name.ts";
import { typeNumber } from "../fake/dnsWire.ts";
import type { SigningKey } from "../fake/signer.ts";
import type { Denial } from "./sign.ts";
import { type KeyedZone, type SignerName, signKeyed, type ZoneSigning } from "./zoneSigners.ts";

/** The zones of the differential test: one and the same content, signed by every signer, with every algorithm and kind of denial. */

export type Question = { name: DomainName; type: number };
/** Of the root, of "lab.", of the zones under test, and of those below them. */
export type Servers = readonly [string, string, string, string];
export type World = {
  zones: readonly { origin: string; file: string }[];
  trustAnchorFile: string;
  /** For delv. */
  bindAnchorFile: string;
  rootHintsFile: string;
  /** By zone apex; unsigned zones have none. */
  keys: ReadonlyMap<DomainName, readonly SigningKey[]>;
  questions: readonly Question[];
};

const SIGNERS: readonly SignerName[] = ["ldns", "bind", "knot", "own"];
const ALGORITHMS = [8, 10, 13, 14, 15, 16] as const;
const DENIALS: readonly Denial[] = ["nsec", "nsec3", "nsec3-optout"];
const TTL = 300;
const PARALLEL = 3;

/** All of them: 72; or each algorithm of each signer once, with the kinds of denial in turn: 24. */
export function signings(extent: "each" | "all"): readonly ZoneSigning[] {
  const algorithms = SIGNERS.flatMap((signer, i) => ALGORITHMS.map((algorithm, j) => ({ signer, algorithm, turn: i + j })));
  return algorithms.flatMap(({ signer, algorithm, turn }) => {
    const keys = turn % 2 === 0 ? "csk" : "ksk-zsk";
    return DENIALS.filter((_, k) => extent === "all" || k === turn % DENIALS.length).map(
      (denial): ZoneSigning => ({ signer, algorithm, denial, keys }),
    );
  });
}

export function originOf({ signer, algorithm, denial }: ZoneSigning): string {
  return `${signer}${algorithm}${denial.replace("-", "")}.lab.`;
}

function head(origin: string, server: string): string[] {
  const at = origin === "." ? "" : origin;
  return [
    `${origin} ${TTL} IN SOA ns.${at} hostmaster.${at} 1 3600 600 86400 ${TTL}`,
    `${origin} ${TTL} IN NS ns.${at}`,
    `ns.${at} ${TTL} IN A ${server}`,
  ];
}

function delegation(origin: string, server: string, ds: readonly string[]): string[] {
  return [`${origin} ${TTL} IN NS ns.${origin}`, `ns.${origin} ${TTL} IN A ${server}`, ...ds];
}

const DIGEST = "5f".repeat(32);

/** What stands in each zone under test: everything that an answer can be made of. */
function content(z: string, other: string): string[] {
  return [
    `${z} MX 10 mx.${z}`,
    `${z} MX 20 mx2.${z}`,
    `mx.${z} A 192.0.2.1`,
    `mx.${z} AAAA 2001:db8::1`,
    `mx2.${z} A 192.0.2.2`,
    `mx2.${z} A 192.0.2.3`,
    `_25._tcp.mx.${z} TLSA 3 1 1 ${DIGEST}`,
    `txt.${z} TXT "one" "two"`,
    `alias.${z} CNAME mx.${z}`,
    `alias2.${z} CNAME alias.${z}`,
    `dangling.${z} CNAME nowhere.${z}`,
    `outside.${z} CNAME mx.${other}`,
    `toinsecure.${z} CNAME mx.insecure.${z}`,
    `old.${z} DNAME new.${z}`,
    `host.new.${z} A 192.0.2.4`,
    `*.wild.${z} A 192.0.2.7`,
    `*.wild.${z} TXT "wild"`,
    `here.wild.${z} AAAA 2001:db8::7`,
    `*.wildalias.${z} CNAME mx.${z}`,
    `a.b.ent.${z} A 192.0.2.8`,
  ].map((line) => line.replace(" ", ` ${TTL} IN `));
}

const QUESTIONS = [
  "@ MX",
  "@ SOA",
  "@ TLSA",
  "mx A",
  "mx AAAA",
  "mx TXT",
  "mx2 A",
  "_25._tcp.mx TLSA",
  "_25._tcp.mx A",
  "_tcp.mx TLSA",
  "_25._tcp.mx2 TLSA",
  "alias A",
  "alias2 AAAA",
  "alias TXT",
  "alias CNAME",
  "dangling A",
  "outside A",
  "outside TLSA",
  "toinsecure A",
  "host.old A",
  "host.old TXT",
  "none.old A",
  "old DNAME",
  "old A",
  "x.wild A",
  "y.x.wild A",
  "x.wild MX",
  "here.wild A",
  "here.wild AAAA",
  "below.here.wild A",
  "x.wildalias A",
  "x.wildalias TXT",
  "ent A",
  "b.ent A",
  "a.b.ent A",
  "absent A",
  "deep.er.absent TLSA",
  "zz.mx MX",
  "insecure DS",
  "insecure MX",
  "mx.insecure A",
  "_25._tcp.mx.insecure TLSA",
  "none.insecure A",
  "alias.insecure A",
  "hidden DS",
  "hidden MX",
  "child DS",
  "child MX",
  "mx.child A",
  "none.child A",
  "_25._tcp.mx.child TLSA",
  "child A",
  "mx DS",
  "absent DS",
] as const;

function questionsIn(origin: string): Question[] {
  return QUESTIONS.map((line) => {
    const [owner = "", type = ""] = line.split(" ");
    return { name: name(owner === "@" ? origin : `${owner}.${origin}`), type: typeNumber(type) };
  });
}

/** Signs and writes all zones below `directory`; those whose apex has n labels are served at `servers[n]`. */
export async function buildWorld(directory: string, servers: Servers, rows: readonly ZoneSigning[]): Promise<World> {
  const [rootServer, topServer, server, childServer] = servers;
  await mkdir(join(directory, "zones"), { recursive: true });
  const zones: { origin: string; file: string }[] = [];
  const keyed: KeyedZone[] = [];
  const write = async (origin: string, text: string): Promise<void> => {
    const file = join(directory, "zones", origin === "." ? "root" : origin);
    await writeFile(file, text);
    zones.push({ origin, file });
  };
  const sign = async (origin: string, lines: readonly string[], signing: ZoneSigning): Promise<KeyedZone> => {
    const label = origin === "." ? "root" : origin;
    const zone = await signKeyed(join(directory, "signing", label), origin, `${lines.join("\n")}\n`, signing);
    keyed.push(zone);
    await write(origin, zone.text);
    return zone;
  };
  const delegations: string[] = [];
  const publish = async (row: ZoneSigning, other: ZoneSigning): Promise<void> => {
    const origin = originOf(row);
    const [insecure, hidden, child] = [`insecure.${origin}`, `hidden.${origin}`, `child.${origin}`];
    await write(insecure, unsignedZone(insecure, childServer, origin));
    await write(hidden, unsignedZone(hidden, childServer, origin));
    const childLines = [
      ...head(child, childServer),
      ...[`${child} MX 10 mx.${child}`, `mx.${child} A 192.0.2.20`, `_25._tcp.mx.${child} TLSA 3 1 1 ${DIGEST}`].map((line) =>
        line.replace(" ", ` ${TTL} IN `),
      ),
    ];
    const childZone = await sign(child, childLines, { ...CHILD, denial: row.denial });
    const cuts = [
      ...delegation(insecure, childServer, []),
      ...delegation(hidden, childServer, []),
      ...delegation(child, childServer, childZone.ds),
    ];
    const zone = await sign(origin, [...head(origin, server), ...content(origin, originOf(other)), ...cuts], row);
    delegations.push(...delegation(origin, server, zone.ds));
  };
  const queue = rows.map((row, i) => ({ row, other: rows[(i + 1) % rows.length] ?? row }));
  const worker = async (): Promise<void> => {
    for (let one = queue.shift(); one !== undefined; one = queue.shift()) await publish(one.row, one.other);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  const top = await sign("lab.", [...head("lab.", topServer), ...delegations], { ...TOP, denial: "nsec" });
  const root = await sign(".", [...head(".", rootServer), ...delegation("lab.", topServer, top.ds)], TOP);
  return {
    zones,
    ...(await writeAnchors(directory, rootServer, root)),
    keys: new Map(keyed.map((zone) => [zone.origin, zone.keys])),
    questions: rows.flatMap((row) => questionsIn(originOf(row))),
  };
}

const TOP: ZoneSigning = { signer: "bind", algorithm: 13, denial: "nsec", keys: "ksk-zsk" };
const CHILD: ZoneSigning = { signer: "own", algorithm: 15, denial: "nsec", keys: "csk" };

function unsignedZone(origin: string, server: string, parent: string): string {
  const lines = [`${origin} MX 10 mx.${origin}`, `mx.${origin} A 192.0.2.30`, `alias.${origin} CNAME mx.${parent}`];
  return `${[...head(origin, server), ...lines.map((line) => line.replace(" ", ` ${TTL} IN `))].join("\n")}\n`;
}

async function writeAnchors(
  directory: string,
  server: string,
  root: KeyedZone,
): Promise<Pick<World, "trustAnchorFile" | "bindAnchorFile" | "rootHintsFile">> {
  const [trustAnchorFile, bindAnchorFile] = [join(directory, "root.ds"), join(directory, "bind.keys")];
  const rootHintsFile = join(directory, "root.hints");
  const [ds = ""] = root.ds;
  const [tag, algorithm, digestType, ...digest] = ds.split(/\s+DS\s+/)[1]?.split(/\s+/) ?? [];
  await writeFile(trustAnchorFile, `${ds}\n`);
  await writeFile(bindAnchorFile, `trust-anchors { . static-ds ${tag} ${algorithm} ${digestType} "${digest.join("")}"; };\n`);
  await writeFile(rootHintsFile, `. ${TTL} IN NS ns.\nns. ${TTL} IN A ${server}\n`);
  return { trustAnchorFile, bindAnchorFile, rootHintsFile };
}

/** The deepest signed zone that `owner` is in. */
export function zoneAbove(keys: World["keys"], owner: DomainName): DomainName {
  const zones = [...keys.keys()].filter((zone) => isWithin(owner, zone));
  const [deepest] = zones.sort((a, b) => b.length - a.length);
  if (deepest === undefined) throw new Error(`no zone above ${owner}`);
  return deepest;
}

/** The level of the zone that answers for `name` with authority: the number of labels of its apex. DS stands above the cut. */
export function levelOf({ name: owner, type }: Question, { zones }: World): number {
  const labels = zones
    .map(({ origin }) => name(origin))
    .filter((origin) => isWithin(owner, origin) && !(type === RR_TYPE.DS && origin === owner))
    .map(labelCount);
  return Math.max(0, ...labels);
}

/** `owner` and all names above it, without the root. */
export function ancestorsOf(owner: DomainName): DomainName[] {
  return Array.from({ length: labelCount(owner) }, (_, i) => suffixOf(owner, labelCount(owner) - i));
}
