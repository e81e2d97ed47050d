import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

/**
 * A view of the file system of its own for one program (mount_namespaces(7)): files in place of the machine's, empty directories in place of
 * its state, and users that this machine does not have. Nothing of it is seen outside.
 */
export type View = {
  /** By path on the machine: the file that stands there for the program. */
  files?: Readonly<Record<string, string>>;
  /** These are empty. */
  emptied?: readonly string[];
  /** Directories that the program expects, made inside; with their modes. */
  directories?: Readonly<Record<string, string>>;
  users?: readonly { name: string; id: number }[];
  /** Shared libraries that this machine does not have, by directory. */
  libraries?: readonly string[];
};

const run = promisify(execFile);

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

async function withUsers(file: "passwd" | "group", directory: string, users: NonNullable<View["users"]>): Promise<string> {
  const lines = users.map(({ name, id }) =>
    file === "passwd" ? `${name}:x:${id}:${id}::/nonexistent:/usr/sbin/nologin` : `${name}:x:${id}:`,
  );
  const own = join(directory, file);
  await writeFile(own, `${await readFile(`/etc/${file}`, "utf8")}${lines.join("\n")}\n`);
  return own;
}

/** A cache of the dynamic loader's (ld.so(8)): unlike LD_LIBRARY_PATH it also holds for programs that are set-user-ID. */
async function loaderCache(directory: string, libraries: readonly string[]): Promise<string> {
  const [configuration, cache] = [join(directory, "ld.so.conf"), join(directory, "ld.so.cache")];
  await writeFile(configuration, `${libraries.join("\n")}\n`);
  await run("ldconfig", ["-X", "-C", cache, "-f", configuration]);
  return cache;
}

/** The command that runs `command` inside the view; `directory` is for what the view is made of. Needs the right to mount. */
export async function commandInView(
  directory: string,
  view: View,
  command: readonly [string, ...string[]],
): Promise<{ command: string; arguments: readonly string[] }> {
  const { files = {}, emptied = [], directories = {}, users = [], libraries = [] } = view;
  const own: Record<string, string> = { ...files };
  if (users.length > 0) {
    own["/etc/passwd"] = await withUsers("passwd", directory, users);
    own["/etc/group"] = await withUsers("group", directory, users);
  }
  if (libraries.length > 0) own["/etc/ld.so.cache"] = await loaderCache(directory, libraries);
  const script = [
    "set -e",
    ...Object.entries(own).map(([place, file]) => `mount --bind ${quoted(file)} ${quoted(place)}`),
    ...emptied.map((place) => `mount -t tmpfs none ${quoted(place)}`),
    ...Object.entries(directories).map(([place, mode]) => `mkdir -p ${quoted(place)} && chmod ${mode} ${quoted(place)}`),
    `exec ${command.map(quoted).join(" ")}`,
  ];
  return { command: "unshare", arguments: ["--mount", "sh", "-c", script.join("\n")] };
}
