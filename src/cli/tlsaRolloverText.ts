import { presentTlsa, shortTlsa } from "../dane/tlsa.ts";
import {
  exposures,
  keyOf,
  mayRetire,
  maySwitch,
  type OwnKey,
  type Permission,
  type Rollover,
  recordOf,
  recordsToPublish,
  type Sight,
} from "../diagnosis/doubleTlsa.ts";

/** The words of `tlsa rollover`. */

export function moment(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}

/** Lines for the zone file: what to have, and what to take out. */
export function zoneLines(rollover: Rollover, retired: OwnKey | undefined, ttlSeconds: number): string {
  const owner = `_${rollover.port}._tcp.${rollover.host}.`;
  const kept = recordsToPublish(rollover).map((record) => `${owner} ${ttlSeconds} IN TLSA ${presentTlsa(record)}\n`);
  const gone = retired === undefined ? [] : [`; take out: ${owner} IN TLSA ${presentTlsa(recordOf(retired.fingerprint))}\n`];
  return [...kept, ...gone].join("");
}

/** The state of things and what comes next. */
export function statusText(rollover: Rollover, sight: Sight, directory: string): string {
  const lines = [`${rollover.host}, port ${rollover.port}; as of ${moment(sight.now)}`];
  for (const key of rollover.keys) lines.push(keyLine(key, sight));
  for (const server of sight.servers) {
    lines.push(
      server.kind === "failed"
        ? `  ${server.server}: ${server.reason}`
        : `  ${server.server}: ${server.records.length} TLSA record${server.records.length === 1 ? "" : "s"}, TTL ${server.ttlSeconds}`,
    );
  }
  for (const host of sight.hosts) if (host.kind === "failed") lines.push(`  ${host.address}: ${host.reason}`);
  const { status, reason } = sight.dnssec;
  lines.push(`  DNSSEC: ${status}${reason === undefined ? "" : ` (${reason})`}`);
  for (const exposure of exposures(rollover, sight)) lines.push(`  WRONG NOW: ${exposure}`);
  lines.push(`next: ${nextStep(rollover, sight, directory)}`);
  return `${lines.join("\n")}\n`;
}

function keyLine({ role, fingerprint, publishedSince }: OwnKey, sight: Sight): string {
  const shown = sight.hosts.flatMap((host) => (host.kind === "key" && host.fingerprint === fingerprint ? [host.address] : []));
  const published =
    publishedSince === undefined ? "not published at every server" : `published everywhere since ${moment(publishedSince)}`;
  return `  ${role.padEnd(8)} ${shortTlsa(recordOf(fingerprint))}  ${published}${shown.length === 0 ? "" : `; shown by ${shown.join(", ")}`}`;
}

function nextStep(rollover: Rollover, sight: Sight, directory: string): string {
  const command = (step: string): string => `dane-relay tlsa rollover ${step} --dir ${directory}`;
  const unpublished = rollover.keys.find((key) => key.publishedSince === undefined);
  if (keyOf(rollover, "retired") !== undefined) {
    const permission = mayRetire(rollover, sight);
    return permission.kind === "safe"
      ? `\`${command("retire")}\`: the old key's record can go`
      : `${permission.because}; then \`${command("retire")}\``;
  }
  if (unpublished !== undefined && sight.servers.every((server) => server.kind === "records"))
    return `\`${command("publish")}\`: the ${unpublished.role} key's record is not at every server`;
  const permission = maySwitch(rollover, sight);
  if (permission.kind === "safe")
    return `nothing, until a new certificate is wanted; \`${command("switch")}\` is safe at any time`;
  return unsafeText(permission);
}

export function unsafeText({ because, from }: Extract<Permission, { kind: "unsafe" }>): string {
  return from === undefined ? because : `${because}; safe from ${moment(from)} on`;
}
