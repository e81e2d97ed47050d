import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock, systemRandom } from "../clock.ts";
import {
  afterSight,
  keyOf,
  mayRetire,
  maySwitch,
  type OwnKey,
  type Permission,
  type Rollover,
  recordOf,
  type Sight,
} from "../diagnosis/doubleTlsa.ts";
import { displayName } from "../dns/name.ts";
import type { OwnHost } from "../relay/ownHost.ts";
import {
  activeLink,
  beginFolder,
  type Folder,
  fingerprintOfKey,
  keyFile,
  makeFolder,
  readFolder,
  requestFile,
  switchKeys,
  withNewStandby,
  withoutRetired,
  withStandby,
  writeState,
} from "../rollover/folder.ts";
import { FolderLock } from "../rollover/folderLock.ts";
import { type ExitStatus, readArguments, type Terminal, UsageError } from "./command.ts";
import { complain, configurationOf } from "./configuration.ts";
import { nameOf, privateKeyIn, publishOptions, ROLLOVER_OPTIONS, serverOf, ttlOf, type Values } from "./tlsaRolloverOptions.ts";
import { statusText, unsafeText, zoneLines } from "./tlsaRolloverText.ts";

/** `tlsa rollover`: the double-TLSA scheme for one's own host, step by step; each step refuses while it would cost a delivery. */

const SMTP_PORT = 25;
/** Between two looks of `--wait`: a quarter of the TTL, within these. */
const LEAST_WAIT_SECONDS = 1;
const MOST_WAIT_SECONDS = 300;

/** One run: the folder, what it holds, and the host as the world sees it. `lock` is held, but not while it waits. */
type Run = { folder: Folder; rollover: Rollover; host: OwnHost; values: Values; terminal: Terminal; lock: FolderLock };

const STEPS: Readonly<Record<string, (run: Run) => Promise<ExitStatus>>> = {
  status,
  publish,
  switch: switchStep,
  retire,
  hook,
};

export async function rollover(args: readonly string[], terminal: Terminal): Promise<ExitStatus> {
  const { values, positionals } = readArguments(args, ROLLOVER_OPTIONS);
  const [step = "", ...more] = positionals;
  const known = ["init", ...Object.keys(STEPS)];
  if (!known.includes(step) || more.length > 0) throw new UsageError(`tlsa rollover takes one step of ${known.join(", ")}`);
  if (values.dir === undefined) throw new UsageError("--dir is needed: where the rollover's keys are kept");
  const folder = { directory: values.dir };
  if (step === "init") await makeFolder(folder);
  const lock = lockOf(folder);
  try {
    if ((await lock.take()) === "taken") return await locked(step, { folder, values, terminal, lock });
    terminal.err(`another run of \`tlsa rollover\` is at work in ${folder.directory}: try again\n`);
    return 1;
  } finally {
    lock.close();
  }
}

/** Without the folder there is nothing to lock, nor a rollover. */
function lockOf(folder: Folder): FolderLock {
  try {
    return new FolderLock(folder);
  } catch (error) {
    const absent = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (absent) throw new UsageError(`there is no ${folder.directory}: begin with init`);
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

type Locked = Pick<Run, "folder" | "values" | "terminal" | "lock">;

async function locked(step: string, { folder, values, terminal, lock }: Locked): Promise<ExitStatus> {
  if (step === "init") return init(folder, values, terminal);
  const rollover = await rolloverIn(folder);
  const loaded = configurationOf(values.config, terminal);
  if (loaded.kind === "invalid") {
    complain(loaded, terminal);
    return 2;
  }
  const servers = (values.server ?? []).map(serverOf);
  // Loaded only now, so that bad arguments are told at once.
  const { openOwnHost } = await import("../relay/ownHost.ts");
  const host = await openOwnHost(loaded.config, servers, { clock: systemClock, random: systemRandom });
  try {
    return await (STEPS[step] ?? status)({ folder, rollover, host, values, terminal, lock });
  } finally {
    host.close();
  }
}

async function rolloverIn(folder: Folder): Promise<Rollover> {
  const reading = await readFolder(folder);
  if (reading.kind === "unusable") throw new UsageError(reading.because);
  return reading.rollover;
}

async function init(folder: Folder, values: Values, terminal: Terminal): Promise<ExitStatus> {
  if (values.host === undefined) throw new UsageError("--host is needed: the mail host's name, as its MX record has it");
  const host = displayName(nameOf(values.host, "--host"));
  const port = values.port === undefined ? SMTP_PORT : Number(values.port);
  if (!(Number.isInteger(port) && port > 0 && port < 65_536)) throw new UsageError("--port takes a port");
  const key = values.key === undefined ? undefined : await privateKeyIn(values.key);
  const begun = await beginFolder(folder, host, port, key).catch((error: unknown) => {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  });
  terminal.out(
    `${activeLink(folder)}: ${key === undefined ? "a new key; no host shows it yet" : "the key in use"}\n` +
      `${standbyText(folder, begun)}\n` +
      `publish both records:\n${zoneLines(begun, undefined, ttlOf(values))}` +
      `next: \`dane-relay tlsa rollover publish --dir ${folder.directory}\`\n`,
  );
  return 0;
}

function standbyText(folder: Folder, rollover: Rollover): string {
  const standby = keyOf(rollover, "standby");
  return standby === undefined
    ? "there is no next key"
    : `${keyFile(folder, standby)}: the next key; ${requestFile(folder, standby)} asks for its certificate`;
}

/** Looks, and keeps what was seen. */
async function look(run: Run): Promise<{ run: Run; sight: Sight }> {
  const sight = await run.host.look(run.rollover);
  const rollover = afterSight(run.rollover, sight);
  await writeState(run.folder, rollover);
  return { run: { ...run, rollover }, sight };
}

async function status(run: Run): Promise<ExitStatus> {
  const { permission, seen } = await permitted(run, (rollover, sight) =>
    keyOf(rollover, "retired") === undefined ? maySwitch(rollover, sight) : mayRetire(rollover, sight),
  );
  run.terminal.out(statusText(seen.run.rollover, seen.sight, run.folder.directory));
  return permission.kind === "safe" ? 0 : 1;
}

/** Looks until `judge` says safe; without `--wait` once. */
async function permitted(
  first: Run,
  judge: (rollover: Rollover, sight: Sight) => Permission,
): Promise<{ permission: Permission; seen: { run: Run; sight: Sight } }> {
  const stop = new AbortController();
  first.terminal.onStopSignal(() => stop.abort());
  let said = "";
  for (let run = first; ; ) {
    const seen = await look(run);
    run = seen.run;
    const permission = judge(run.rollover, seen.sight);
    if (permission.kind === "safe" || first.values.wait !== true || stop.signal.aborted) return { permission, seen };
    const words = unsafeText(permission);
    if (words !== said) run.terminal.err(`waiting: ${words}\n`);
    said = words;
    const seconds = Math.min(MOST_WAIT_SECONDS, Math.max(LEAST_WAIT_SECONDS, run.rollover.largestTtlSeconds / 4));
    run.lock.release();
    await delay(seconds * 1000, undefined, { signal: stop.signal }).catch((error: unknown) => {
      if (!stop.signal.aborted) throw error;
    });
    if ((await run.lock.take(Number.POSITIVE_INFINITY, stop.signal)) === "busy") return { permission, seen };
    const rollover = await rolloverIn(run.folder);
    if (!sameKeys(rollover, run.rollover)) return { permission: OTHER_KEYS, seen };
    run = { ...run, rollover };
  }
}

const OTHER_KEYS: Permission = { kind: "unsafe", because: "another run has changed the keys meanwhile: begin again" };

/** Since when they are published may have changed: others look too. */
function sameKeys({ keys: one }: Rollover, { keys: other }: Rollover): boolean {
  const named = (keys: readonly OwnKey[]): string => keys.map(({ role, fingerprint }) => `${role} ${fingerprint}`).join();
  return named(one) === named(other);
}

/** What is published so far stays in caches for its own TTL, which may be longer than the new one: it has to be seen before it is replaced. */
async function publish(run: Run): Promise<ExitStatus> {
  return published((await look(run)).run, undefined);
}

/** By dynamic update, or as lines for whoever edits the zone. */
async function published(run: Run, retired: OwnKey | undefined): Promise<ExitStatus> {
  const { values, terminal, rollover } = run;
  if (values.update === undefined) {
    terminal.out(zoneLines(rollover, retired, ttlOf(values)));
    return 0;
  }
  const remove = retired === undefined ? [] : [recordOf(retired.fingerprint)];
  const result = await run.host.publish(rollover, remove, await publishOptions(values));
  if (result.kind === "updated") {
    terminal.out(`the zone is updated: ${rollover.keys.map(({ role }) => role).join(" and ")} key\n`);
    return 0;
  }
  terminal.err(`the update was not made: ${result.reason}\n`);
  return 1;
}

async function switchStep(run: Run): Promise<ExitStatus> {
  const { permission, seen } = await permitted(run, maySwitch);
  if (permission.kind === "unsafe") return notNow(permission, run.terminal);
  await switchKeys(run.folder, seen.run.rollover);
  run.terminal.out(
    `${activeLink(run.folder)} is now the key to show: install it with its certificate at ${run.rollover.host}.\n` +
      `next, when every address shows it: \`dane-relay tlsa rollover retire --dir ${run.folder.directory}\`\n`,
  );
  return 0;
}

async function retire(run: Run): Promise<ExitStatus> {
  const { permission, seen } = await permitted(run, mayRetire);
  if (permission.kind === "unsafe") return notNow(permission, run.terminal);
  const retired = keyOf(seen.run.rollover, "retired");
  const left = await withoutRetired(run.folder, seen.run.rollover);
  const grown = await withNewStandby(run.folder, left);
  run.terminal.out(`${standbyText(run.folder, grown)}; both records are needed from now on\n`);
  return published({ ...run, rollover: grown }, retired);
}

/**
 * certbot's deploy hook: $RENEWED_LINEAGE has the new certificate. The same key: nothing to do. The standby key: switch, if it is safe. Another
 * key: its record is published, and with --wait the hook ends when it may be shown.
 */
async function hook(run: Run): Promise<ExitStatus> {
  const lineage = run.terminal.environment.RENEWED_LINEAGE;
  if (lineage === undefined || lineage === "") throw new UsageError("hook is called by certbot, which sets RENEWED_LINEAGE");
  const key = await privateKeyIn(join(lineage, "privkey.pem"));
  const fingerprint = fingerprintOfKey(key);
  if (keyOf(run.rollover, "active")?.fingerprint === fingerprint) {
    run.terminal.out("the certificate was renewed with the active key: its record stays true\n");
    return 0;
  }
  if (keyOf(run.rollover, "retired") !== undefined)
    return notNow({ kind: "unsafe", because: "the rollover before is not finished: retire its old key first" }, run.terminal);
  let current = run;
  if (keyOf(run.rollover, "standby")?.fingerprint !== fingerprint) {
    const { run: seen } = await look(run);
    const replaced = keyOf(seen.rollover, "standby");
    current = { ...seen, rollover: await withStandby(seen.folder, seen.rollover, key) };
    run.terminal.out("the certificate has a key that was not announced: its record has to be published first\n");
    const status = await published(current, replaced);
    if (status !== 0) return status;
  }
  return switchStep(current);
}

function notNow(permission: Extract<Permission, { kind: "unsafe" }>, terminal: Terminal): ExitStatus {
  terminal.err(`not safe now: ${unsafeText(permission)}\n`);
  return 1;
}
