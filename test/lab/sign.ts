import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

/** Signs zones with the tools that operators use: ldns-signzone and dnssec-signzone. Keys are made anew for each lab. */

export type Denial = "nsec" | "nsec3" | "nsec3-optout";
export type Signer = "ldns" | "bind";
/** `expired`: every signature ran out a month ago; `future`: none is valid before next month. */
export type Validity = "current" | "expired" | "future";

export type Signing = {
  algorithm: 8 | 10 | 13 | 14 | 15 | 16;
  denial: Denial;
  /** One key for all (RFC 6781 §3.1), or a key for keys and a key for the zone. */
  keys: "csk" | "ksk-zsk";
  signer: Signer;
  validity: Validity;
};

export const DEFAULT_SIGNING: Signing = { algorithm: 13, denial: "nsec", keys: "csk", signer: "ldns", validity: "current" };

/** `text` is the signed zone in master-file form, one record a line; `ds` what the parent must publish. */
export type SignedZone = { text: string; ds: readonly string[] };

const run = promisify(execFile);

const ALGORITHMS = { 8: "RSASHA256", 10: "RSASHA512", 13: "ECDSAP256SHA256", 14: "ECDSAP384SHA384", 15: "ED25519", 16: "ED448" };
const DAY_MILLISECONDS = 86_400_000;

function stamp(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replaceAll(/[-:T]/g, "").slice(0, 14);
}

function window(validity: Validity): { inception: string; expiration: string } {
  const now = Date.now();
  if (validity === "expired")
    return { inception: stamp(now - 60 * DAY_MILLISECONDS), expiration: stamp(now - 30 * DAY_MILLISECONDS) };
  if (validity === "future")
    return { inception: stamp(now + 30 * DAY_MILLISECONDS), expiration: stamp(now + 60 * DAY_MILLISECONDS) };
  return { inception: stamp(now - DAY_MILLISECONDS), expiration: stamp(now + 30 * DAY_MILLISECONDS) };
}

async function makeKey(
  directory: string,
  origin: string,
  algorithm: Signing["algorithm"],
  role: "key" | "zone",
): Promise<string> {
  const size = algorithm === 8 || algorithm === 10 ? ["-b", "2048"] : [];
  const { stdout } = await run("ldns-keygen", ["-a", ALGORITHMS[algorithm], ...size, ...(role === "key" ? ["-k"] : []), origin], {
    cwd: directory,
  });
  return stdout.trim();
}

function ldnsArguments(signing: Signing): string[] {
  const { inception, expiration } = window(signing.validity);
  const denial = signing.denial === "nsec" ? [] : ["-n", "-t", "0", ...(signing.denial === "nsec3-optout" ? ["-p"] : [])];
  return ["-i", inception, "-e", expiration, ...denial];
}

function bindArguments(signing: Signing): string[] {
  const { inception, expiration } = window(signing.validity);
  const denial = signing.denial === "nsec" ? [] : ["-3", "-", "-H", "0", ...(signing.denial === "nsec3-optout" ? ["-A"] : [])];
  const keys = signing.keys === "csk" ? ["-z"] : [];
  return ["-q", "-P", "-S", "-O", "full", "-s", inception, "-e", expiration, ...denial, ...keys];
}

/** Signs `zone` (master-file text whose names are absolute or relative to `origin`) in `directory`, which is made, with new keys. */
export async function signZone(directory: string, origin: string, zone: string, signing: Signing): Promise<SignedZone> {
  await mkdir(directory, { recursive: true });
  const keys = [await makeKey(directory, origin, signing.algorithm, "key")];
  if (signing.keys === "ksk-zsk") keys.push(await makeKey(directory, origin, signing.algorithm, "zone"));
  return signWith(keys, { directory, origin, zone, signing });
}

/** Signs the zone that was signed in `directory` before, with the same keys; `change` is what its operator does to it first. */
export async function signAgain(
  directory: string,
  origin: string,
  change: (zone: string) => string,
  signing: Signing,
): Promise<SignedZone> {
  const zone = change(await readFile(join(directory, "zone"), "utf8"));
  const files = await readdir(directory);
  const all = files.filter((file) => /^K.*\.private$/.test(file)).map((file) => file.replace(/\.private$/, ""));
  // The entry key first, as when they were made: it alone has a DS record; key tags, and so names, come in any order.
  const keys = [...all.filter((key) => files.includes(`${key}.ds`)), ...all.filter((key) => !files.includes(`${key}.ds`))];
  return signWith(keys, { directory, origin, zone, signing });
}

async function signWith(
  keys: readonly string[],
  { directory, origin, zone, signing }: { directory: string; origin: string; zone: string; signing: Signing },
): Promise<SignedZone> {
  await writeFile(join(directory, "zone"), zone);
  if (signing.signer === "ldns")
    await run("ldns-signzone", ["-o", origin, ...ldnsArguments(signing), "-f", "signed", "zone", ...keys], { cwd: directory });
  else
    await run("dnssec-signzone", ["-K", ".", "-o", origin, ...bindArguments(signing), "-f", "signed", "zone", ...keys], {
      cwd: directory,
    });
  const { stdout } = await run("ldns-read-zone", ["signed"], { cwd: directory });
  return { text: stdout, ds: [(await readFile(join(directory, `${keys[0]}.ds`), "utf8")).trim()] };
}
