import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

/**
 * Zones as their operators have them while nothing is wrong, yet more is in them than a validator needs: several signers (RFC 8901), keys and
 * algorithms on their way in or out (RFC 6781 §4.1), signatures of yesterday. Signed by ldns-signzone.
 *
 * Provider: one key pair for keys and zone, of an algorithm. Copy: the zone as one provider signs it, with the keys of others in it.
 */
export type OperatedZone = { origin: string; title: string; text: string; ds: readonly string[] };

type Provider = { base: { ksk: string; zsk: string }; dnskeys: readonly string[]; ds: string };
type Window = "current" | "expired";

const run = promisify(execFile);
const DAY_MILLISECONDS = 86_400_000;
const WINDOWS = { current: [-1, 30], expired: [-60, -30] } as const;

function content(z: string, server: string): string {
  const lines = [
    `${z} SOA ns.${z} hostmaster.${z} 1 3600 600 86400 300`,
    `${z} NS ns.${z}`,
    `ns.${z} A ${server}`,
    `${z} MX 10 mx.${z}`,
    `mx.${z} A 192.0.2.1`,
    `_25._tcp.mx.${z} TLSA 3 1 1 ${"5f".repeat(32)}`,
    `alias.${z} CNAME mx.${z}`,
    `*.wild.${z} A 192.0.2.7`,
    `old.${z} DNAME new.${z}`,
    `host.new.${z} A 192.0.2.8`,
  ];
  return lines.map((line) => line.replace(" ", " 300 IN ")).join("\n");
}

/** One zone and those who sign it. */
class Workshop {
  readonly #directory: string;
  readonly #origin: string;

  constructor(directory: string, origin: string) {
    this.#directory = join(directory, origin.replaceAll(".", "_"));
    this.#origin = origin;
  }

  async provider(algorithm = "ECDSAP256SHA256"): Promise<Provider> {
    const cwd = this.#directory;
    await mkdir(cwd, { recursive: true });
    const keygen = async (...flags: string[]): Promise<string> => {
      const { stdout } = await run("ldns-keygen", ["-a", algorithm, "-b", "2048", ...flags, this.#origin], { cwd });
      return stdout.trim();
    };
    const base = { ksk: await keygen("-k"), zsk: await keygen() };
    const read = async (file: string): Promise<string> => (await readFile(join(cwd, file), "utf8")).trim();
    return {
      base,
      dnskeys: [await read(`${base.ksk}.key`), await read(`${base.zsk}.key`)],
      ds: await read(`${base.ksk}.ds`),
    };
  }

  /** The lines of the zone signed with `keys`; `others` are published without signing. */
  async copy(zone: string, keys: readonly string[], others: readonly Provider[], window: Window = "current"): Promise<string[]> {
    const cwd = this.#directory;
    const stamps = WINDOWS[window].map((days) => new Date(Date.now() + days * DAY_MILLISECONDS).toISOString());
    const [inception = "", expiration = ""] = stamps.map((stamp) => stamp.replaceAll(/[-:T]/g, "").slice(0, 14));
    await writeFile(join(cwd, "zone"), `${[zone, ...others.flatMap(({ dnskeys }) => dnskeys)].join("\n")}\n`);
    await run("ldns-signzone", ["-o", this.#origin, "-i", inception, "-e", expiration, "-f", "signed", "zone", ...keys], { cwd });
    const { stdout } = await run("ldns-read-zone", ["signed"], { cwd });
    return stdout.trim().split("\n");
  }
}

function both({ base }: Provider): string[] {
  return [base.ksk, base.zsk];
}

function isSignature(line: string, ofKeys: "of keys" | "of data"): boolean {
  return /\sRRSIG\s/.test(line) && /\sRRSIG\s+DNSKEY\s/.test(line) === (ofKeys === "of keys");
}

type Recipe = {
  title: string;
  /** Of the second provider. */
  algorithm?: string;
  /** Whose DS records the parent has. */
  vouched: readonly ("one" | "two")[];
  lines: (one: Provider, two: Provider, zone: string, shop: Workshop) => Promise<readonly string[]>;
};

const RECIPES: Readonly<Record<string, Recipe>> = {
  "lab.": {
    title: "nothing out of the way",
    vouched: ["one"],
    lines: (one, _two, zone, shop) => shop.copy(zone, both(one), []),
  },
  "copyone.": {
    title: "the copy of one provider of two, with the keys of both (RFC 8901 §2.1.2)",
    vouched: ["one", "two"],
    lines: (one, two, zone, shop) => shop.copy(zone, both(one), [two]),
  },
  "both.": {
    title: "two providers' signatures beside each other",
    vouched: ["one", "two"],
    lines: (one, two, zone, shop) => shop.copy(zone, [...both(one), ...both(two)], []),
  },
  "mixed.": {
    title: "keys signed by one provider, data by the other, as caches mix their answers",
    vouched: ["one", "two"],
    lines: async (one, two, zone, shop) => {
      const [first, second] = [await shop.copy(zone, both(one), [two]), await shop.copy(zone, both(two), [one])];
      const data = second.filter((line) => !isSignature(line, "of keys"));
      return [...data, ...first.filter((line) => isSignature(line, "of keys"))];
    },
  },
  "oldds.": {
    title: "an algorithm on its way in: signed by both, the parent has the old one",
    algorithm: "RSASHA256",
    vouched: ["two"],
    lines: (one, two, zone, shop) => shop.copy(zone, [...both(one), ...both(two)], []),
  },
  "bothds.": {
    title: "the same with DS records of both",
    algorithm: "RSASHA256",
    vouched: ["one", "two"],
    lines: (one, two, zone, shop) => shop.copy(zone, [...both(one), ...both(two)], []),
  },
  "stale.": {
    title: "expired signatures beside those that replaced them",
    vouched: ["one"],
    lines: async (one, _two, zone, shop) => {
      const stale = (await shop.copy(zone, both(one), [], "expired")).filter((line) => /\sRRSIG\s/.test(line));
      return [...stale, ...(await shop.copy(zone, both(one), []))];
    },
  },
  "retired.": {
    title: "signatures of a key that is not published any more, beside those of its successor",
    vouched: ["one"],
    lines: async (one, two, zone, shop) => {
      const retired = (await shop.copy(zone, both(two), [])).filter((line) => isSignature(line, "of data"));
      return [...retired, ...(await shop.copy(zone, both(one), []))];
    },
  },
  "standby.": {
    title: "a standby key that signs nothing, with its DS record (RFC 6781 §4.2.4)",
    vouched: ["two", "one"],
    lines: (one, two, zone, shop) => shop.copy(zone, both(one), [two]),
  },
  "csk.": {
    title: "a single key that takes over from two",
    vouched: ["one", "two"],
    lines: (one, two, zone, shop) => shop.copy(zone, [two.base.ksk], [one]),
  },
};

/** Signs them all; the root refers to them. Every zone is served at `server`. */
export async function operatedZones(directory: string, server: string): Promise<{ zones: OperatedZone[]; root: OperatedZone }> {
  const zones = await Promise.all(
    Object.entries(RECIPES).map(async ([origin, { title, algorithm, vouched, lines }]): Promise<OperatedZone> => {
      const shop = new Workshop(directory, origin);
      const providers = { one: await shop.provider(), two: await shop.provider(algorithm) };
      const signed = await lines(providers.one, providers.two, content(origin, server), shop);
      return { origin, title, text: `${signed.join("\n")}\n`, ds: vouched.map((which) => providers[which].ds) };
    }),
  );
  const shop = new Workshop(directory, ".");
  const provider = await shop.provider();
  const head = [`. 300 IN SOA ns. hostmaster. 1 3600 600 86400 300`, `. 300 IN NS ns.`, `ns. 300 IN A ${server}`];
  const cuts = zones.flatMap(({ origin, ds }) => [`${origin} 300 IN NS ns.${origin}`, `ns.${origin} 300 IN A ${server}`, ...ds]);
  const text = await shop.copy([...head, ...cuts].join("\n"), both(provider), []);
  return { zones, root: { origin: ".", title: "the root", text: `${text.join("\n")}\n`, ds: [provider.ds] } };
}
