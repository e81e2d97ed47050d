import { isAssociated } from "../dane/association.ts";
import { CERT, DANE_EE, DANE_TA, type Tlsa, usableRecords } from "../dane/tlsa.ts";
import { type Certificate, parseCertificate } from "../x509/certificate.ts";
import type { Finding } from "./finding.ts";
import { rolloverRisk } from "./rolloverRisk.ts";

/**
 * The rollovers in the history of a host: each new certificate, and whether its TLSA record was there in time (RFC 7671 §8.1, §8.4).
 *
 * change: the first sight of a certificate that the host had not shown before. introduction: the first sight of a TLSA RRset that names it.
 * retirement: the first sight of an RRset that no longer names the certificate in use. What lies between two sights happened somewhere
 * between them: a rollover that may have been in time, for all that was seen, is taken for one (`assumed`).
 */

/**
 * What was seen at one address of a host from one moment to another (milliseconds since the epoch), unchanged as far as anybody looked; or in turn
 * with others, under the same TLSA records.
 */
export type HostState = {
  firstSeen: number;
  lastSeen: number;
  /** As the server sent it; undefined: it was not reached, or showed none. */
  chain?: readonly Buffer[];
  tlsa: TlsaSight;
};

/** `failed`: nobody knows. `ttlSeconds`: the highest that was seen, which is that of the authoritative server. */
export type TlsaSight = { status: "secure" | "insecure" | "absent" | "failed"; ttlSeconds: number; records: readonly Tlsa[] };

/**
 * correct: introduced at least two TTLs before the change. early-retirement: the old record went before the old certificate did.
 * late-introduction: less than two TTLs before the change, or after it. no-introduction: not until the next change.
 * ca-rollover: the issuer that DANE-TA records name was changed. keep-key: the record in use names the new certificate, too.
 */
export const ROLLOVER_KINDS = [
  "correct",
  "early-retirement",
  "late-introduction",
  "no-introduction",
  "ca-rollover",
  "keep-key",
] as const;
export type RolloverKind = (typeof ROLLOVER_KINDS)[number];
type Timing = Exclude<RolloverKind, "ca-rollover">;

/** Senders failed, with a reason to wait: those who had the records of before in their caches (`some`), or everybody. */
export type FailureWindow = { from: number; to: number; senders: "some" | "all" };

export type Rollover = {
  kind: RolloverKind;
  /** How it was timed, also that of a CA. */
  timing: Timing;
  /** When the new certificate was first seen, and its fingerprint. */
  at: number;
  certificate: string;
  introducedAt?: number;
  certainty: "seen" | "assumed";
  windows: readonly FailureWindow[];
};

/** Names the states of one address; `states` in the order of time, oldest first. */
export function rolloversOf(states: readonly HostState[]): readonly Rollover[] {
  const parsed = new Map<string, Certificate | undefined>();
  const sights = states.flatMap((state) => readable(state, parsed) ?? []);
  const known = states.filter(({ tlsa }) => tlsa.status !== "failed");
  const end = states.reduce((latest, { lastSeen }) => Math.max(latest, lastSeen), 0);
  const changes = changesOf(sights);
  return changes.flatMap((change, i) => judged({ ...change, until: changes[i + 1]?.at ?? end, end }, known) ?? []);
}

type Presented = { leaf: Certificate; above: readonly Certificate[] };
type Sight = Presented & { firstSeen: number; lastSeen: number };

/** A history has few certificates and many sights of them. */
function readable(
  { chain = [], firstSeen, lastSeen }: HostState,
  parsed: Map<string, Certificate | undefined>,
): Sight | undefined {
  const [leaf, ...above] = chain.flatMap((der) => {
    const key = der.toString("latin1");
    if (!parsed.has(key)) {
      const certificate = parseCertificate(der);
      parsed.set(key, certificate.kind === "certificate" ? certificate : undefined);
    }
    return parsed.get(key) ?? [];
  });
  return leaf === undefined ? undefined : { leaf, above, firstSeen, lastSeen };
}

/** `before`: what was there until then. `heldSince`: since when. `notBefore`: it was certainly not there yet. */
type Change = { at: number; notBefore: number; now: Presented; before: Presented; heldSince: number };

/** A certificate that comes back, as with several servers behind one address, is no change. */
function changesOf(sights: readonly Sight[]): readonly Change[] {
  const met = new Set<string>();
  const changes: Change[] = [];
  let heldSince = sights[0]?.firstSeen ?? 0;
  sights.forEach((sight, i) => {
    const fingerprint = sight.leaf.x509.fingerprint256;
    const before = sights[i - 1];
    if (before !== undefined && !met.has(fingerprint)) {
      // Where servers take turns, the one before was seen after it, too.
      changes.push({ at: sight.firstSeen, notBefore: Math.min(before.lastSeen, sight.firstSeen), now: sight, before, heldSince });
      heldSince = sight.firstSeen;
    }
    met.add(fingerprint);
  });
  return changes;
}

function matching({ leaf, above }: Presented, { tlsa }: HostState): readonly Tlsa[] {
  if (tlsa.status !== "secure") return [];
  return usableRecords(tlsa.records).usable.filter((record) =>
    record.usage === DANE_EE
      ? isAssociated(record, leaf)
      : [...above, ...(above.length === 0 ? [leaf] : [])].some((issuer) => isAssociated(record, issuer)),
  );
}

function names(state: HostState, presented: Presented): boolean {
  return matching(presented, state).length > 0;
}

/** Whether senders authenticate the host at all (RFC 7672 §2.2: secure, and at least one usable record). */
function demands({ tlsa }: HostState): boolean {
  return tlsa.status === "secure" && usableRecords(tlsa.records).usable.length > 0;
}

type Bounded = Change & { until: number; end: number };

/** undefined: the host was not under DANE when its certificate changed. */
function judged(change: Bounded, known: readonly HostState[]): Rollover | undefined {
  const earlier = known.filter(({ firstSeen }) => firstSeen < change.at);
  const last = earlier.at(-1);
  if (last === undefined || !demands(last)) return undefined;
  const inUse = matching(change.before, last);
  const certificate = change.now.leaf.x509.fingerprint256;
  if (inUse.some((record) => matching(change.now, last).includes(record))) {
    return { kind: "keep-key", timing: "keep-key", at: change.at, certificate, certainty: "seen", windows: [] };
  }
  const introduction = introductionOf(change, known, earlier);
  const retiredAt = retirementOf(change, earlier);
  const { timing, certainty } = timingOf(change, introduction, retiredAt);
  const inPlace = introduction === undefined ? [] : matching(change.now, introduction.state);
  const byAuthority = inUse.length > 0 && [...inUse, ...inPlace].every(({ usage }) => usage === DANE_TA);
  return {
    kind: byAuthority ? "ca-rollover" : timing,
    timing,
    at: change.at,
    certificate,
    ...(introduction === undefined ? {} : { introducedAt: introduction.at }),
    certainty,
    windows: windowsOf(change, known, introduction, retiredAt),
  };
}

/** `notBefore`: it was certainly not there yet; minus infinity where nobody looked. `ttlSeconds`: of what caches had before it. */
type Introduction = { at: number; notBefore: number; ttlSeconds: number; state: HostState };

function introductionOf(
  { now, at, until, end }: Bounded,
  known: readonly HostState[],
  earlier: readonly HostState[],
): Introduction | undefined {
  let index = earlier.length - 1;
  while (index >= 0 && known[index] !== undefined && names(known[index] as HostState, now)) index -= 1;
  const first =
    index < earlier.length - 1
      ? index + 1
      : known.findIndex((state) => state.firstSeen >= at && (state.firstSeen < until || until === end) && names(state, now));
  const state = known[first];
  if (state === undefined) return undefined;
  const before = known[first - 1];
  return {
    at: state.firstSeen,
    notBefore: before?.lastSeen ?? Number.NEGATIVE_INFINITY,
    ttlSeconds: (before ?? state).tlsa.ttlSeconds,
    state,
  };
}

/** When the record of the certificate in use went, if that was before the change. */
function retirementOf(
  { before, heldSince }: Bounded,
  earlier: readonly HostState[],
): { at: number; ttlSeconds: number } | undefined {
  const gone = (state: HostState): boolean => demands(state) && !names(state, before);
  let index = earlier.length;
  while (index > 0 && earlier[index - 1] !== undefined && gone(earlier[index - 1] as HostState)) index -= 1;
  const [last, first] = [earlier[index - 1], earlier[index]];
  if (first === undefined || last === undefined || !names(last, before) || last.lastSeen < heldSince) return undefined;
  return { at: first.firstSeen, ttlSeconds: last.tlsa.ttlSeconds };
}

/** RFC 7671 §8.4: the new record has to be in every cache, which takes two TTLs: one for the secondary servers' lag, as the study counts. */
function timingOf(
  change: Bounded,
  introduction: Introduction | undefined,
  retired: { at: number } | undefined,
): { timing: Timing; certainty: Rollover["certainty"] } {
  if (introduction === undefined) return { timing: "no-introduction", certainty: "seen" };
  if (retired !== undefined && introduction.at <= change.at) return { timing: "early-retirement", certainty: "seen" };
  const needed = 2 * introduction.ttlSeconds * 1000;
  const atMost = change.at - introduction.notBefore;
  const atLeast = change.notBefore - introduction.at;
  if (introduction.at > change.at || atMost < needed) return { timing: "late-introduction", certainty: "seen" };
  return { timing: "correct", certainty: atLeast >= needed ? "seen" : "assumed" };
}

function windowsOf(
  change: Bounded,
  known: readonly HostState[],
  introduction: Introduction | undefined,
  retired: { at: number; ttlSeconds: number } | undefined,
): readonly FailureWindow[] {
  const windows: FailureWindow[] = [];
  if (retired !== undefined) windows.push(...spread(retired.at, change.at, retired.at + retired.ttlSeconds * 1000));
  if (introduction === undefined) {
    const withdrawn = known.find((state) => state.firstSeen >= change.at && !demands(state))?.firstSeen;
    const to = Math.min(change.until, withdrawn ?? change.until);
    windows.push({ from: change.at, to, senders: "all" });
  } else {
    const cachedUntil = introduction.at + introduction.ttlSeconds * 1000;
    windows.push({ from: change.at, to: introduction.at, senders: "all" });
    windows.push({ from: Math.max(change.at, introduction.at), to: cachedUntil, senders: "some" });
  }
  return windows.filter(({ from, to }) => to > from);
}

/** While caches have the old records some fail, then all. */
function spread(from: number, to: number, cachedUntil: number): readonly FailureWindow[] {
  const turn = Math.min(to, cachedUntil);
  return [
    { from, to: turn, senders: "some" },
    { from: turn, to, senders: "all" },
  ];
}

/** Whether a host, as it was last seen, will break at its next renewal. */
export function riskOf(host: string, { chain, tlsa }: HostState, now: number): Finding | undefined {
  const { usable } = usableRecords(tlsa.records);
  const server = chain?.[0] === undefined ? undefined : parseCertificate(chain[0]);
  if (tlsa.status !== "secure" || chain === undefined || server?.kind !== "certificate") return undefined;
  const pinned = usable.filter((record) => record.usage === DANE_EE && isAssociated(record, server));
  const record = pinned.find(({ selector }) => selector !== CERT) ?? pinned[0];
  return record === undefined ? undefined : rolloverRisk({ host, records: usable, chain, now }, { record, depth: 0 });
}
