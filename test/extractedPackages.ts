import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

/**
 * Servers whose Debian packages conflict with Postfix: they are not installed but unpacked, and run from where they lie. The directory is
 * kept for the next run.
 */
/** `libraries`: directories with shared libraries. */
export type Extracted = { directory: string; libraries: readonly string[] };

const CACHE = join(import.meta.dirname, "..", "node_modules", ".cache", "dane-relay-packages");

/** Unpacks these packages, downloaded by apt-get; throws with their names when that is not possible. */
export function extractPackages(names: readonly string[]): Extracted {
  const directory = join(CACHE, names.join("+"));
  if (!existsSync(directory)) download(names, directory);
  const libraries = join(directory, "usr", "lib");
  const triplets = existsSync(libraries) ? readdirSync(libraries).filter((name) => name.includes("-linux-")) : [];
  return { directory, libraries: triplets.map((triplet) => join(libraries, triplet)) };
}

function download(names: readonly string[], directory: string): void {
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, "unpacking-"));
  try {
    fetchPackages(names, work);
    execFileSync("sh", ["-c", 'for file in *.deb; do dpkg-deb -x "$file" root || exit 1; done'], { cwd: work, stdio: "pipe" });
    renameSync(join(work, "root"), directory);
  } catch (error) {
    throw new Error(`the tests run servers of these Debian packages, which could not be downloaded: ${names.join(" ")}`, {
      cause: error,
    });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** A machine without package lists, or with old ones, gets them once. */
function fetchPackages(names: readonly string[], cwd: string): void {
  const apt = (...argv: readonly string[]) =>
    execFileSync("apt-get", ["-q", "-o", "APT::Sandbox::User=root", ...argv], { cwd, stdio: "pipe" });
  try {
    apt("download", ...names);
  } catch (error) {
    console.log(
      `apt-get download failed (${error instanceof Error ? error.message : String(error)}); the package lists are updated`,
    );
    apt("update");
    apt("download", ...names);
  }
}
