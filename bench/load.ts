import { spawn } from "node:child_process";
import type { Endpoint } from "./sender.ts";

/** Mail from smtp-source. */
export type Load = {
  /** In the sender's address. */
  token: string;
  domains: readonly string[];
  messages: number;
  bytes: number;
  sessions: number;
  clients: "a connection per message" | "reused connections";
};

/** For one process of smtp-source; it ends then even when this process is killed. */
export const LOAD_SECONDS = 180;

/**
 * Resolves when everything is accepted. One domain: one process with all sessions. Many: one session after the other in as many lanes as there
 * are sessions, each session with one domain's mail.
 */
export async function submit(load: Load, to: Endpoint): Promise<void> {
  const { domains, messages, sessions } = load;
  const [first] = domains;
  if (first === undefined) throw new Error("a load without a destination");
  if (domains.length === 1) return await source(load, first, messages, sessions, to);
  const each = Math.floor(messages / domains.length);
  const rest = messages - each * domains.length;
  const parts = domains.map((domain, n) => ({ domain, count: each + (n < rest ? 1 : 0) })).filter(({ count }) => count > 0);
  const lane = async (): Promise<void> => {
    for (let part = parts.shift(); part !== undefined; part = parts.shift()) await source(load, part.domain, part.count, 1, to);
  };
  await Promise.all(Array.from({ length: sessions }, lane));
}

function source(load: Load, domain: string, messages: number, sessions: number, to: Endpoint): Promise<void> {
  const reuse = load.clients === "reused connections" ? ["-d"] : [];
  const counts = ["-s", `${sessions}`, "-m", `${messages}`, "-l", `${load.bytes}`];
  const addresses = ["-f", `${load.token}@example.org`, "-t", `user@${domain}`, `${to.address}:${to.port}`];
  const child = spawn("timeout", [`${LOAD_SECONDS}`, "smtp-source", ...reuse, ...counts, ...addresses], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`smtp-source ended with ${code}`))));
  });
}
