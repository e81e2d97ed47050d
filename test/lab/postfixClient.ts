import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createTransport } from "nodemailer";
import { type Daemon, startDaemon } from "./daemon.ts";
import { commandInView } from "./namespace.ts";
import { greets, makeDirectories, SERVICES } from "./postfix.ts";

/**
 * Postfix as the sender: `smtp_tls_security_level = dane`, with the lab's validating resolver as the one of its system. It trusts that
 * resolver's AD bit (`options trust-ad` of resolv.conf(5)), which the relay does not.
 */
export type PostfixClient = {
  daemon: Daemon;
  submit: (recipients: readonly string[]) => Promise<void>;
  /** What its log says of a recipient; undefined: nothing yet. */
  deliveryOf: (recipient: string) => Promise<PostfixDelivery | undefined>;
};

/** `channel`: the first word of Postfix's own summary of the TLS connection, or that there was none. */
export type PostfixDelivery = {
  outcome: "delivered" | "deferred" | "failed";
  channel: "Verified" | "Trusted" | "Untrusted" | "Anonymous" | "clear";
  relay: string;
  text: string;
};

const PORT = 2627;
const OUTCOMES = { sent: "delivered", deferred: "deferred", bounced: "failed" } as const;

function configuration(directory: string): string {
  return [
    "compatibility_level = 3.6",
    `queue_directory = ${directory}/queue`,
    `data_directory = ${directory}/data`,
    "daemon_directory = /usr/lib/postfix/sbin",
    `maillog_file = ${directory}/maillog`,
    `maillog_file_prefixes = ${directory}`,
    "inet_protocols = ipv4",
    "inet_interfaces = 127.0.0.1",
    "mynetworks = 127.0.0.0/8",
    "mydestination =",
    "notify_classes =",
    "myhostname = postfix-client.invalid",
    "alias_maps =",
    "local_recipient_maps =",
    "smtpd_peername_lookup = no",
    "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination",
    "resolve_numeric_domain = yes",
    "smtp_dns_support_level = dnssec",
    "smtp_host_lookup = dns",
    "smtp_tls_security_level = dane",
    "smtp_tls_loglevel = 1",
    "smtp_connect_timeout = 5s",
    "smtp_helo_timeout = 10s",
    "smtp_starttls_timeout = 10s",
    "minimal_backoff_time = 1h",
    "queue_run_delay = 1h",
    "default_process_limit = 10",
    "smtp_destination_concurrency_limit = 20",
    "",
  ].join("\n");
}

/** Log lines of one smtp(8) process about one delivery: the TLS summary comes right before the status. */
function deliveryIn(log: string, recipient: string): PostfixDelivery | undefined {
  const lines = log.split("\n");
  const at = lines.findIndex((line) => line.includes(`to=<${recipient}>`) && /status=(sent|deferred|bounced)/.test(line));
  const line = lines[at];
  if (line === undefined) return undefined;
  const process = /postfix\/\w+\[(\d+)\]/.exec(line)?.[1] ?? "";
  const relay = /relay=([^[,]+)/.exec(line)?.[1] ?? "";
  const status = /status=(sent|deferred|bounced) \((.*)\)/.exec(line);
  const before = lines.slice(0, at).filter((other) => other.includes(`[${process}]`));
  // Between the last delivery of the same process and this one.
  const own = before.slice(before.findLastIndex((other) => / status=/.test(other)) + 1);
  const word = own
    .map((other) => /(Verified|Trusted|Untrusted|Anonymous) TLS connection established to ([^[]+)/.exec(other))
    .findLast((match) => match?.[2] === relay)?.[1];
  const channel = (word ?? "clear") as PostfixDelivery["channel"];
  return { outcome: OUTCOMES[status?.[1] as keyof typeof OUTCOMES], channel, relay, text: status?.[2] ?? "" };
}

/** `resolver`: address of a validating recursor on port 53. */
export async function startPostfixClient(directory: string, address: string, resolver: string): Promise<PostfixClient> {
  await mkdir(directory, { recursive: true });
  await makeDirectories(directory);
  await writeFile(join(directory, "resolv.conf"), `nameserver ${resolver}\noptions edns0 trust-ad timeout:15 attempts:3\n`);
  await writeFile(join(directory, "config", "main.cf"), configuration(directory));
  const services = [`${address}:${PORT} inet n - n - - smtpd`, "smtp unix - - n - - smtp", ...SERVICES];
  await writeFile(join(directory, "config", "master.cf"), `${services.join("\n")}\n`);
  const master = ["/usr/lib/postfix/sbin/master", "-s", "-c", join(directory, "config")] as const;
  const daemon = await startDaemon({
    name: "postfix-client",
    ...(await commandInView(directory, { files: { "/etc/resolv.conf": join(directory, "resolv.conf") } }, master)),
    logFile: join(directory, "log"),
    environment: { ...process.env, MAIL_CONFIG: join(directory, "config") },
    ready: () => greets(address, PORT),
  });
  const submit = async (recipients: readonly string[]): Promise<void> => {
    const transport = createTransport({
      host: address,
      port: PORT,
      secure: false,
      ignoreTLS: true,
      pool: true,
      maxConnections: 1,
    });
    try {
      for (const recipient of recipients) {
        await transport.sendMail({
          envelope: { from: "", to: [recipient] },
          raw: `Subject: to ${recipient}\r\n\r\nfrom Postfix\r\n`,
        });
      }
    } finally {
      transport.close();
    }
  };
  const deliveryOf = async (recipient: string): Promise<PostfixDelivery | undefined> =>
    deliveryIn(await readFile(join(directory, "maillog"), "utf8"), recipient);
  return { daemon, submit, deliveryOf };
}
