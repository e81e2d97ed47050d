import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Daemon, startDaemon } from "./daemon.ts";
import { answers } from "./dnsProbe.ts";

const run = promisify(execFile);

/** A zone on Knot DNS that signs itself, and takes dynamic updates from whoever has the key. */
export type DynamicZone = {
  daemon: Daemon;
  /** As `tsig-keygen` writes it. */
  keyFile: string;
  /** DS records of the zone, zone-file text. */
  trustAnchor: string;
};

const KEY_NAME = "rollover-update";

/** `records` without SOA; the zone's name server is `address`. */
export async function startDynamicZone(options: {
  directory: string;
  address: string;
  zone: string;
  records: readonly string[];
}): Promise<DynamicZone> {
  const { address, zone, records } = options;
  const directory = join(options.directory, "knot");
  await mkdir(join(directory, "db"), { recursive: true });
  const secret = randomBytes(32).toString("base64");
  const keyFile = join(directory, "update.key");
  await writeFile(keyFile, `key "${KEY_NAME}" { algorithm hmac-sha256; secret "${secret}"; };\n`);
  await writeFile(
    join(directory, "zone"),
    [`$ORIGIN ${zone}.`, "$TTL 60", `@ SOA ns hostmaster 1 3600 600 86400 1`, "@ NS ns", `ns A ${address}`, ...records, ""].join(
      "\n",
    ),
  );
  const file = join(directory, "knot.conf");
  await writeFile(
    file,
    [
      "server:",
      `    listen: ${address}@53`,
      `    rundir: ${directory}`,
      "    background-workers: 1",
      "    udp-workers: 1",
      "    tcp-workers: 1",
      "log:",
      "  - target: stderr",
      "    any: info",
      "database:",
      `    storage: ${join(directory, "db")}`,
      "key:",
      `  - id: ${KEY_NAME}`,
      "    algorithm: hmac-sha256",
      `    secret: ${secret}`,
      "acl:",
      "  - id: update",
      `    key: ${KEY_NAME}`,
      "    action: update",
      "policy:",
      "  - id: one-key",
      "    algorithm: ecdsap256sha256",
      "    single-type-signing: on",
      "zone:",
      `  - domain: ${zone}`,
      `    storage: ${directory}`,
      "    file: zone",
      "    dnssec-signing: on",
      "    dnssec-policy: one-key",
      "    acl: update",
      "    zonefile-sync: -1",
      "    journal-content: all",
      "",
    ].join("\n"),
  );
  const daemon = await startDaemon({
    name: "knot",
    command: "/usr/sbin/knotd",
    arguments: ["-c", file],
    logFile: join(directory, "log"),
    ready: () => answers(address, zone),
  });
  const { stdout } = await run("/usr/sbin/keymgr", ["-c", file, zone, "ds"]);
  return { daemon, keyFile, trustAnchor: stdout };
}
