import type { Tlsa } from "../../../src/dane/tlsa.ts";
import type { HostState, RolloverKind } from "../../../src/diagnosis/rollover.ts";
import { type MadeCertificate, makeAuthority, makeLeaf, tlsaFor } from "../../fake/certificates.ts";

/** A year of a mail host, hour by hour: what it presents, what DNS has, and which rollovers were planted. */

export const HOUR = 3_600_000;
export const HOURS = 365 * 24;
export const TTL_SECONDS = 3600;
export const START = Date.UTC(2026, 0, 1);

/** An identity: what the server sends, and the records that name it. */
export type Identity = { chain: readonly Buffer[]; records: readonly Tlsa[] };

const CAS: readonly MadeCertificate[] = ["one", "two", "three"].map((commonName) => makeAuthority({ commonName }));
const LEAVES = Array.from({ length: 8 }, () => makeLeaf({ names: ["mx.example.org"] }));

export function endEntity(i: number): Identity {
  const leaf = LEAVES[i % LEAVES.length] ?? makeLeaf({ names: ["mx.example.org"] });
  return { chain: [leaf.der], records: [tlsaFor(leaf.der, 3, 1, 1)] };
}

/** Another certificate for the same key. */
export function renewed(i: number): Identity {
  const { keys } = LEAVES[i % LEAVES.length] ?? makeLeaf({ names: ["mx.example.org"] });
  return { chain: [makeLeaf({ names: ["mx.example.org"], keys }).der], records: endEntity(i).records };
}

export function underAuthority(i: number): Identity {
  const issuer = CAS[i % CAS.length] ?? makeAuthority({ commonName: "another" });
  const leaf = makeLeaf({ names: ["mx.example.org"], issuer });
  return { chain: [leaf.der, issuer.der], records: [tlsaFor(issuer.der, 2, 0, 1)] };
}

/** Hours from the start. `introduced` undefined: never; `retired`: when the old records go. */
export type Plan = { to: Identity; changed: number; introduced?: number; retired: number; kind: RolloverKind };

export type Noise = (hour: number) => "seen" | "unreachable" | "unresolved" | "missed";

/** What an hourly scan sees. */
export function yearOf(first: Identity, plans: readonly Plan[], noise: Noise, hours = HOURS): readonly HostState[] {
  const states: HostState[] = [];
  for (let hour = 0; hour < hours; hour += 1) {
    const how = noise(hour);
    if (how === "missed") continue;
    const identity = plans.findLast(({ changed }) => changed <= hour)?.to ?? first;
    const records = recordsAt(hour, first, plans);
    const at = START + hour * HOUR;
    const state: HostState = {
      firstSeen: at,
      lastSeen: at,
      ...(how === "unreachable" ? {} : { chain: identity.chain }),
      tlsa:
        how === "unresolved"
          ? { status: "failed", ttlSeconds: 0, records: [] }
          : { status: records.length === 0 ? "absent" : "secure", ttlSeconds: TTL_SECONDS, records },
    };
    const last = states.at(-1);
    if (last !== undefined && looks(last) === looks(state)) last.lastSeen = at;
    else states.push(state);
  }
  return states;
}

function recordsAt(hour: number, first: Identity, plans: readonly Plan[]): readonly Tlsa[] {
  let old = first.records;
  const current: Tlsa[] = [];
  for (const { to, introduced, retired } of plans) {
    if (retired > hour) current.push(...old);
    old = introduced === undefined || introduced > hour ? [] : to.records;
  }
  return [...new Set([...current, ...old])];
}

function looks({ chain, tlsa }: HostState): string {
  const records = tlsa.records.map(({ usage, data }) => `${usage} ${data.toString("hex")}`);
  return [chain?.[0]?.toString("latin1"), tlsa.status, ...records].join("|");
}
