import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

/** The servers and tools from Debian that the tests run against. `service`: what the package would start by itself. */
type DebianPackage = { name: string; provides: string; service?: string };

const PACKAGES: readonly DebianPackage[] = [
  { name: "nsd", provides: "/usr/sbin/nsd", service: "nsd" },
  { name: "unbound", provides: "/usr/sbin/unbound", service: "unbound" },
  { name: "ldnsutils", provides: "/usr/bin/ldns-signzone" },
  { name: "bind9", provides: "/usr/sbin/named", service: "named" },
  { name: "bind9-utils", provides: "/usr/bin/dnssec-signzone" },
  { name: "bind9-dnsutils", provides: "/usr/bin/delv" },
  { name: "knot", provides: "/usr/sbin/keymgr", service: "knot" },
  { name: "knot-dnssecutils", provides: "/usr/bin/kzonesign" },
  { name: "dnsmasq-base", provides: "/usr/sbin/dnsmasq" },
  { name: "openssl", provides: "/usr/bin/openssl" },
  // For promtool, which lints the metrics.
  { name: "prometheus", provides: "/usr/bin/promtool", service: "prometheus" },
  // An ACME server and its client, for renewals of one's own certificates.
  { name: "pebble", provides: "/usr/bin/pebble" },
  { name: "certbot", provides: "/usr/bin/certbot" },
  // For the archive that helm and kubectl come in.
  { name: "unzip", provides: "/usr/bin/unzip" },
  { name: "postgresql", provides: "/usr/bin/pg_createcluster", service: "postgresql" },
  // For the operator's page.
  { name: "chromium", provides: "/usr/bin/chromium" },
  // What applications submit mail with.
  { name: "swaks", provides: "/usr/bin/swaks" },
  { name: "libnet-ssleay-perl", provides: "/usr/share/doc/libnet-ssleay-perl" },
  { name: "msmtp", provides: "/usr/bin/msmtp" },
  { name: "php-cli", provides: "/usr/bin/php" },
  // For smtplib, and for a DKIM verifier that is not ours.
  { name: "python3-dkim", provides: "/usr/lib/python3/dist-packages/dkim" },
  // For a disk that fails below the spool.
  { name: "gcc", provides: "/usr/bin/gcc" },
  { name: "libc6-dev", provides: "/usr/include/stdio.h" },
  { name: "postfix", provides: "/usr/lib/postfix/sbin/master", service: "postfix" },
];

function missing(): readonly DebianPackage[] {
  return PACKAGES.filter(({ provides }) => !existsSync(provides));
}

function names(packages: readonly DebianPackage[]): string {
  return packages.map(({ name }) => name).join(" ");
}

function apt(...argv: readonly string[]): void {
  execFileSync("apt-get", ["-q", "-y", ...argv], {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
}

/** The lab runs its own instances: what a package started at its installation is stopped, and not started at boot either. */
function quiet(packages: readonly DebianPackage[]): void {
  for (const { service } of packages) {
    if (service === undefined) continue;
    for (const [command, ...argv] of [
      ["service", service, "stop"],
      ["update-rc.d", service, "disable"],
    ] as const) {
      const { status, stderr } = spawnSync(command, argv, { encoding: "utf8" });
      if (status !== 0) console.error(`note: \`${command} ${argv.join(" ")}\` ended with ${status}: ${stderr.trim()}`);
    }
  }
}

/** Installs what is missing where that is possible; else throws an error that names it. A package that would remove another is refused. */
export function ensurePackages(): void {
  const wanted = missing();
  if (wanted.length === 0) return;
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get"))
    throw new Error(
      `the tests run real servers and need these Debian packages: ${names(wanted)}\n` +
        `as root: apt-get install --no-install-recommends ${names(wanted)}`,
    );
  console.log(`installing Debian packages: ${names(wanted)}`);
  // Without this answer Postfix would configure itself as this machine's mail server.
  spawnSync("debconf-set-selections", { input: "postfix postfix/main_mailer_type select No configuration\n" });
  apt("update");
  apt("install", "--no-install-recommends", "--no-remove", ...wanted.map(({ name }) => name));
  quiet(wanted);
  const still = missing();
  if (still.length > 0)
    throw new Error(`after their installation these are still missing: ${still.map(({ provides }) => provides).join(" ")}`);
}
