import { presentTlsa, type Tlsa } from "../../src/dane/tlsa.ts";
import type { SurveyHost } from "../../src/diagnosis/surveyRow.ts";
import { chainPem, type MadeCertificate, makeAuthority, makeLeaf, tlsaFor } from "./certificates.ts";
import { type Peer, startPeer } from "./smtpPeer.ts";
import { type FakeDns, fakeDns, type ZoneDefinition } from "./zone.ts";

/**
 * A mail ecosystem as the studies found it, small enough for a machine: TLDs, providers of names and mail that many domains share, domains
 * that run their own, and the faults that were counted, in their proportions. What a survey of it has to find is known beforehand.
 */

/** What a domain is like; `per`: how many of 200 are. */
type Kind = {
  per: number;
  /** The mail host: a provider's, or the domain's own at a peer of this sort. */
  mail: "provider" | "good" | "no-starttls";
  zone: "signed" | "unsigned" | "island" | "expired";
  /** Of its own host. */
  tlsa: "none" | "right" | "other-key" | "usage-1" | "wrong-selector";
  /** Of the host, or (where the chain to the domain is broken) of the domain. */
  state: SurveyHost["state"];
  cause?: string;
  class?: string;
};

export const KINDS = {
  plain: { per: 95, mail: "provider", zone: "unsigned", tlsa: "none", state: "none" },
  "signed without TLSA": { per: 33, mail: "good", zone: "signed", tlsa: "none", state: "none" },
  "at a provider": { per: 30, mail: "provider", zone: "signed", tlsa: "none", state: "correct" },
  "behind unsigned MX": { per: 8, mail: "provider", zone: "unsigned", tlsa: "none", state: "halfdane" },
  "own host": { per: 10, mail: "good", zone: "signed", tlsa: "right", state: "correct" },
  "no DS": { per: 8, mail: "good", zone: "island", tlsa: "right", state: "incorrect", cause: "dnssec", class: "dnssec-no-ds" },
  unsigned: {
    per: 4,
    mail: "good",
    zone: "unsigned",
    tlsa: "right",
    state: "incorrect",
    cause: "dnssec",
    class: "dnssec-unsigned",
  },
  "another key": {
    per: 5,
    mail: "good",
    zone: "signed",
    tlsa: "other-key",
    state: "incorrect",
    cause: "mismatch",
    class: "tlsa-mismatch",
  },
  "wrong selector": {
    per: 1,
    mail: "good",
    zone: "signed",
    tlsa: "wrong-selector",
    state: "incorrect",
    cause: "mismatch",
    class: "tlsa-wrong-parameters",
  },
  "no STARTTLS": {
    per: 2,
    mail: "no-starttls",
    zone: "signed",
    tlsa: "right",
    state: "incorrect",
    cause: "starttls",
    class: "starttls-missing",
  },
  "usage 1": {
    per: 2,
    mail: "good",
    zone: "signed",
    tlsa: "usage-1",
    state: "incorrect",
    cause: "unusable",
    class: "tlsa-unusable",
  },
  expired: { per: 2, mail: "good", zone: "expired", tlsa: "right", state: "unknown" },
} as const satisfies Readonly<Record<string, Kind>>;
export type KindName = keyof typeof KINDS;

const PER = 200;
const TLDS = ["nl", "se", "com", "org", "de"];
const MAIL_PROVIDERS = 4;
const NAME_PROVIDERS = 3;

export type Planted = { domain: string; kind: KindName; ownHost: "yes" | "no" };

export type Ecosystem = {
  planted: readonly Planted[];
  dns: FakeDns;

  /** PEM of the CA that issued the providers' certificates. */
  caPem: string;
  peers: readonly Peer[];
  close: () => Promise<void>;
};

/** `address(i)`: loopback addresses; below 40 for name servers, `peersFrom` and up for mail hosts, `peers` of each sort. */
export async function startEcosystem(
  domains: number,
  address: (i: number) => string,
  peers: number,
  now: number,
): Promise<Ecosystem> {
  const authority = makeAuthority({ commonName: "Ecosystem CA" });
  const selfSigned = makeLeaf({ names: ["mail.own"] });
  const providerNames = Array.from({ length: MAIL_PROVIDERS }, (_, i) => `mail${i}.${tldOf(i)}`);
  const issued = makeLeaf({ names: providerNames.map((one) => `mx.${one}`), issuer: authority });
  const started: Peer[] = [];
  const first = await startPeer({ address: address(40), starttls: acceptOf(issued, authority) });
  started.push(first);
  const { port } = first;
  for (let i = 1; i < MAIL_PROVIDERS; i += 1)
    started.push(await startPeer({ address: address(40 + i), port, starttls: acceptOf(issued, authority) }));
  const sorts = { good: 50, "no-starttls": 50 + peers } as const;
  for (let i = 0; i < peers; i += 1) {
    started.push(await startPeer({ address: address(sorts.good + i), port, starttls: acceptOf(selfSigned) }));
    started.push(await startPeer({ address: address(sorts["no-starttls"] + i), port }));
  }
  const planted = plant(domains);
  const window = { inception: Math.floor(now / 1000) - 86_400, expiration: Math.floor(now / 1000) + 14 * 86_400 };
  const past = { inception: window.inception - 30 * 86_400, expiration: window.inception };
  const server = (apex: string): string => address(serverIndex(apex));
  const glue = (apex: string): string[] => (apex === "" ? [] : [`ns.${apex} A ${server(apex)}`]);
  const zones: ZoneDefinition[] = [
    { name: ".", window, records: [`ns. A ${address(1)}`] },
    ...TLDS.map((tld): ZoneDefinition => ({ name: `${tld}.`, window, records: glue(tld) })),
    ...providerNames.map((apex, i): ZoneDefinition => {
      // The last one has no DANE.
      const records = [`mx.${apex} A ${address(40 + i)}`, ...glue(apex)];
      return {
        name: `${apex}.`,
        window,
        records: i === MAIL_PROVIDERS - 1 ? records : [...records, ...tlsaLines(`mx.${apex}`, port, [tlsaFor(issued, 3, 1, 1)])],
      };
    }),
    ...Array.from(
      { length: NAME_PROVIDERS },
      (_, i): ZoneDefinition => ({ name: `names${i}.${tldOf(i)}.`, window, records: glue(`names${i}.${tldOf(i)}`) }),
    ),
    ...planted.map((one, i) => zoneOf(one, i, { port, address, peers, sorts, selfSigned, window, past, providerNames })),
  ];
  return {
    planted,
    dns: fakeDns(zones),
    caPem: authority.certificatePem,
    peers: started,
    close: async () => {
      for (const peer of started) await peer.close();
    },
  };
}

function tldOf(i: number): string {
  return TLDS[i % TLDS.length] ?? "nl";
}

function acceptOf(own: MadeCertificate, ...above: readonly MadeCertificate[]) {
  return { accept: { key: own.keyPem, cert: chainPem(own, ...above) } };
}

/** In the proportions of the table, spread over the TLDs. */
function plant(domains: number): readonly Planted[] {
  const wheel = (Object.keys(KINDS) as KindName[]).flatMap((kind) => Array.from({ length: KINDS[kind].per }, () => kind));
  return Array.from({ length: domains }, (_, i) => {
    // 77 and 200 have no common divisor: each round of 200 has each place once.
    const kind = wheel[(i * 77) % PER] ?? "plain";
    const ownHost = KINDS[kind].mail === "provider" ? "no" : "yes";
    return { domain: `d${i}.${tldOf(i)}`, kind, ownHost };
  });
}

/** Name servers: the root, the TLDs, providers of names, those of domains that have their own. */
function serverIndex(apex: string): number {
  const labels = apex.replace(/\.$/, "").split(".");
  const [first = "", tld = ""] = labels;
  if (labels.length === 1) return 2 + TLDS.indexOf(first);
  if (first.startsWith("names")) return 10 + Number(first.slice(5));
  if (first.startsWith("mail")) return 15 + Number(first.slice(4));
  return 20 + TLDS.indexOf(tld);
}

type Surroundings = {
  port: number;
  address: (i: number) => string;
  peers: number;
  sorts: Readonly<Record<"good" | "no-starttls", number>>;
  selfSigned: MadeCertificate;
  window: NonNullable<ZoneDefinition["window"]>;
  past: NonNullable<ZoneDefinition["window"]>;
  providerNames: readonly string[];
};

function zoneOf({ domain, kind }: Planted, i: number, the: Surroundings): ZoneDefinition {
  const { mail, zone, tlsa }: Kind = KINDS[kind];
  const how: Partial<ZoneDefinition> = {
    window: zone === "expired" ? the.past : the.window,
    ...(zone === "unsigned" ? { unsigned: true } : {}),
    ...(zone === "island" ? { island: true } : {}),
  };
  if (mail === "provider") {
    const withDane = MAIL_PROVIDERS - 1;
    const provider = the.providerNames[kind === "plain" ? withDane : i % withDane] ?? "";
    const names = i % NAME_PROVIDERS;
    return {
      name: `${domain}.`,
      ...how,
      records: [`${domain} NS ns.names${names}.${tldOf(names)}`, `${domain} MX 10 mx.${provider}`],
    };
  }
  const host = `mx.${domain}`;
  const own = [`${domain} MX 10 ${host}`, `${host} A ${the.address(the.sorts[mail] + (i % the.peers))}`];
  const server = `ns.${domain} A ${the.address(serverIndex(domain))}`;
  return {
    name: `${domain}.`,
    ...how,
    records: [...own, server, ...tlsaLines(host, the.port, recordsOf(tlsa, the.selfSigned, i))],
  };
}

function recordsOf(tlsa: Kind["tlsa"], own: MadeCertificate, i: number): readonly Tlsa[] {
  const right = tlsaFor(own, 3, 1, 1);
  switch (tlsa) {
    case "none":
      return [];
    case "right":
      return [right];
    case "other-key":
      return [{ ...right, data: Buffer.alloc(32, 1 + (i % 250)) }];
    case "usage-1":
      return [{ ...right, usage: 1 }];
    case "wrong-selector":
      return [{ ...right, selector: 0 }];
    default:
      return tlsa satisfies never;
  }
}

function tlsaLines(host: string, port: number, records: readonly Tlsa[]): readonly string[] {
  return records.map((one) => `_${port}._tcp.${host} TLSA ${presentTlsa(one)}`);
}
