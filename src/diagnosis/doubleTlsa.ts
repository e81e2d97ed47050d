import { DANE_EE, SHA2_256, SPKI } from "../dane/tlsa.ts";
import type { TlsaData } from "../dns/rdata.ts";

/**
 * One's own rollover by the double-TLSA scheme (RFC 7671 §8.1): the records of the key in use and of the next one are both published, so that whichever
 * of them the host shows, every sender's cache holds its record. The studies' senders failed where the next key was used before two TTLs had passed.
 *
 * active   the key that the host shows now, or after `switch` shall show
 * standby  the next one; its record is published beside
 * retired  the one before; its record stays until no address of the host shows it any more
 */
export type KeyRole = "active" | "standby" | "retired";

/** `fingerprint`: SHA-256 of the SubjectPublicKeyInfo in hex, which is the data of its 3 1 1 record. */
export type OwnKey = {
  role: KeyRole;
  fingerprint: string;
  /** Since when every authoritative server has been seen with its record, without a break; milliseconds since the epoch. */
  publishedSince?: number;
};

export type Rollover = {
  host: string;
  port: number;
  keys: readonly OwnKey[];
  /** The largest TTL that the TLSA records were ever seen with: caches may keep what they had then. */
  largestTtlSeconds: number;
};

export type ServerView =
  | { kind: "records"; server: string; records: readonly TlsaData[]; ttlSeconds: number }
  | { kind: "failed"; server: string; reason: string };

export type HostView =
  | { kind: "key"; address: string; fingerprint: string }
  | { kind: "failed"; address: string; reason: string };

/** What was seen in one look, at `now`. `dnssec`: of the TLSA records, as a sender would validate them. */
export type Sight = {
  now: number;
  servers: readonly ServerView[];
  dnssec: { status: "secure" | "insecure" | "bogus" | "failed"; reason?: string };
  hosts: readonly HostView[];
};

/** `from`: when it will be safe if nothing changes; not given where waiting alone does not help. */
export type Permission = { kind: "safe" } | { kind: "unsafe"; because: string; from?: number };

/** Caches hold a record for one TTL; the second is for servers that got the zone late, and senders whose clocks stand (USENIX 2022). */
const TTLS_TO_WAIT = 2;

/** Records that should be published now: of every key, `3 1 1`. */
export function recordsToPublish({ keys }: Rollover): readonly TlsaData[] {
  return keys.map(({ fingerprint }) => recordOf(fingerprint));
}

export function recordOf(fingerprint: string): TlsaData {
  return { usage: DANE_EE, selector: SPKI, matchingType: SHA2_256, data: Buffer.from(fingerprint, "hex") };
}

/** `rollover` after one more look: since when each key is published everywhere. A server that did not answer proves nothing either way. */
export function afterSight(rollover: Rollover, sight: Sight): Rollover {
  const largestTtlSeconds = Math.max(
    rollover.largestTtlSeconds,
    ...sight.servers.map((server) => (server.kind === "records" ? server.ttlSeconds : 0)),
  );
  const keys = rollover.keys.map((key): OwnKey => {
    const { role, fingerprint, publishedSince } = key;
    if (missingAt(fingerprint, sight).length > 0) return { role, fingerprint };
    if (publishedSince !== undefined || failedServers(sight).length > 0 || sight.servers.length === 0) return key;
    return { ...key, publishedSince: sight.now };
  });
  return { ...rollover, keys, largestTtlSeconds };
}

/** Whether the host may show the standby key from now on. */
export function maySwitch(rollover: Rollover, sight: Sight): Permission {
  const standby = keyOf(rollover, "standby");
  if (keyOf(rollover, "retired") !== undefined) return unsafe("the rollover before is not finished: retire its old key first");
  if (standby === undefined) return unsafe("there is no standby key");
  const unpublished = unpublishedBecause(standby, sight);
  if (unpublished !== undefined) return unsafe(unpublished);
  if (standby.publishedSince === undefined) return unsafe("the standby key's record was not seen at every server yet");
  const from = standby.publishedSince + TTLS_TO_WAIT * rollover.largestTtlSeconds * 1000;
  if (sight.now < from)
    return unsafe(
      `caches may still hold the records without the standby key (two TTLs of ${rollover.largestTtlSeconds} s)`,
      from,
    );
  return { kind: "safe" };
}

/** Whether the record of the retired key may go: nothing shows that key any more. */
export function mayRetire(rollover: Rollover, sight: Sight): Permission {
  const active = keyOf(rollover, "active");
  if (keyOf(rollover, "retired") === undefined) return unsafe("there is no retired key");
  if (active === undefined) return unsafe("there is no active key");
  if (sight.hosts.length === 0) return unsafe("no address of the host is known, so nobody knows which key it shows");
  for (const host of sight.hosts) {
    if (host.kind === "failed") return unsafe(`${host.address} could not be asked for its key: ${host.reason}`);
    if (host.fingerprint !== active.fingerprint)
      return unsafe(
        `${host.address} shows ${nameOf(rollover, host.fingerprint)}, not the active key: install its certificate there`,
      );
  }
  const unpublished = unpublishedBecause(active, sight);
  return unpublished === undefined ? { kind: "safe" } : unsafe(unpublished);
}

/** What is wrong right now, for senders: an address whose key has no record. */
export function exposures(rollover: Rollover, sight: Sight): readonly string[] {
  return sight.hosts.flatMap((host) => {
    if (host.kind === "failed") return [];
    const missing = missingAt(host.fingerprint, sight);
    if (missing.length === 0) return [];
    return [
      `${host.address} shows ${nameOf(rollover, host.fingerprint)}, whose record is missing at ${missing.join(", ")}: senders refuse it`,
    ];
  });
}

export function keyOf({ keys }: Rollover, role: KeyRole): OwnKey | undefined {
  return keys.find((key) => key.role === role);
}

function unpublishedBecause({ fingerprint, role }: OwnKey, sight: Sight): string | undefined {
  const [failed] = failedServers(sight);
  if (sight.servers.length === 0) return "no authoritative server is known";
  if (failed !== undefined) return `the name server ${failed.server} could not be asked: ${failed.reason}`;
  const missing = missingAt(fingerprint, sight);
  if (missing.length > 0) return `the ${role} key's record is missing at ${missing.join(", ")}: publish it`;
  if (sight.dnssec.status !== "secure")
    return `the records are ${sight.dnssec.status}${sight.dnssec.reason === undefined ? "" : ` (${sight.dnssec.reason})`}: senders with DANE do not use them`;
  return undefined;
}

function failedServers(sight: Sight): readonly Extract<ServerView, { kind: "failed" }>[] {
  return sight.servers.filter((server) => server.kind === "failed");
}

/** Servers that answered without the record of this key. */
function missingAt(fingerprint: string, sight: Sight): readonly string[] {
  const wanted = recordOf(fingerprint);
  return sight.servers.flatMap((server) =>
    server.kind === "failed" || server.records.some((record) => isSame(record, wanted)) ? [] : [server.server],
  );
}

function isSame(a: TlsaData, b: TlsaData): boolean {
  return a.usage === b.usage && a.selector === b.selector && a.matchingType === b.matchingType && a.data.equals(b.data);
}

function nameOf(rollover: Rollover, fingerprint: string): string {
  const key = rollover.keys.find((one) => one.fingerprint === fingerprint);
  return key === undefined ? `a key that is none of these (3 1 1 ${fingerprint.slice(0, 12)}..)` : `the ${key.role} key`;
}

function unsafe(because: string, from?: number): Permission {
  return { kind: "unsafe", because, ...(from === undefined ? {} : { from }) };
}
