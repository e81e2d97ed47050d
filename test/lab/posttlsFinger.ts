import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { commandInView } from "./namespace.ts";

/**
 * What posttls-finger(1), Postfix's own probe, makes of a domain at level dane: the first word of its summary of the TLS connection that it
 * is content with, or that there is none.
 */
export type Finger = { word: "Verified" | "Trusted" | "Untrusted" | "Anonymous" | "none"; output: string };

const PROBE_MILLISECONDS = 60_000;

export type FingerOf = (domain: string) => Promise<Finger>;

/** `resolver`: address of a validating recursor, trusted with AD. */
export async function preparePosttlsFinger(directory: string, resolver: string): Promise<FingerOf> {
  const resolvConf = join(directory, "resolv.conf");
  const configuration = join(directory, "finger");
  await mkdir(configuration, { recursive: true });
  await writeFile(resolvConf, `nameserver ${resolver}\noptions edns0 trust-ad timeout:15 attempts:3\n`);
  await writeFile(
    join(configuration, "main.cf"),
    "compatibility_level = 3.6\ninet_protocols = ipv4\nsmtp_dns_support_level = dnssec\n",
  );
  return async (domain) => {
    const probe = ["posttls-finger", "-l", "dane", "-t", "10", "-T", "15", "-h", "dns", "-c", domain] as const;
    const view = await commandInView(directory, { files: { "/etc/resolv.conf": resolvConf } }, probe);
    const output = await run(view, configuration);
    const words = [...output.matchAll(/(Verified|Trusted|Untrusted|Anonymous) TLS connection established/g)];
    const word = (words.at(-1)?.[1] ?? "none") as Finger["word"];
    return { word, output };
  };
}

function run(view: { command: string; arguments: readonly string[] }, configuration: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const environment = { ...process.env, MAIL_CONFIG: configuration };
    const options = { timeout: PROBE_MILLISECONDS, env: environment };
    execFile(view.command, [...view.arguments], options, (error, stdout, stderr) => {
      if (error !== null && "code" in error && error.code === "ENOENT") reject(error);
      else resolve(stdout + stderr);
    });
  });
}
