import { join } from "node:path";
import { createTransport } from "nodemailer";
import { PLACES } from "./addresses.ts";
import { type Daemon, startDaemon } from "./daemon.ts";
import type { Lab } from "./lab.ts";
import { type RelaySettings, writeRelayConfiguration } from "./relayConfiguration.ts";

/** The relay as users run it: a process of its own with a configuration file, spoken to by SMTP and read by its log. */
export type RelayEvent = { event: string } & Readonly<Record<string, unknown>>;

export type RelayProcess = {
  daemon: Daemon;
  admin: string;
  events: () => RelayEvent[];
  /** The first event that `wanted` accepts; rejects, with the log's end, when there is none in time. */
  event: (what: string, wanted: (event: RelayEvent) => boolean, seconds?: number) => Promise<RelayEvent>;
  submit: (messages: readonly Submission[]) => Promise<void>;
  stop: () => Promise<void>;
};

export type Submission = { sender: string; recipient: string; content: string };

const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");
const SUBMISSION_PORT = 2525;
const ADMIN_PORT = 9025;
const POLL_MILLISECONDS = 50;
const DEFAULT_WAIT_SECONDS = 40;

function parseEvents(log: string): RelayEvent[] {
  const lines = log.split("\n").filter((line) => line.startsWith("{"));
  return lines.flatMap((line) => {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && "event" in value && typeof value.event === "string"
      ? [{ ...value, event: value.event }]
      : [];
  });
}

async function isReady(admin: string): Promise<boolean> {
  try {
    return (await fetch(`http://${admin}/readyz`)).ok;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

/** Addresses for one of several relays at once in the same lab. */
export function relayPorts(lab: Lab, number: number): Pick<RelaySettings, "submission" | "admin"> {
  const host = lab.block.address(PLACES.relay);
  return { submission: `${host}:${SUBMISSION_PORT + 1 + number}`, admin: `${host}:${ADMIN_PORT + 1 + number}` };
}

/** Starts `serve` in the lab; `settings` override what the lab proposes. */
export async function startRelayProcess(
  lab: Lab,
  name: string,
  settings: Partial<RelaySettings> = {},
  environment: NodeJS.ProcessEnv = {},
): Promise<RelayProcess> {
  const host = lab.block.address(PLACES.relay);
  const admin = settings.admin ?? `${host}:${ADMIN_PORT}`;
  const file = join(lab.directory, `${name}.yaml`);
  await writeRelayConfiguration(file, {
    upstreams: [lab.validatingRecursor],
    trustAnchorFile: lab.trustAnchorFile,
    rootHintsFile: lab.rootHintsFile,
    caFile: lab.caFile,
    submission: `${host}:${SUBMISSION_PORT}`,
    spool: join(lab.directory, `${name}-spool`),
    ...settings,
    admin,
  });
  const daemon = await startDaemon({
    name,
    command: process.execPath,
    arguments: [MAIN, "serve", "--config", file],
    logFile: join(lab.directory, `${name}.log`),
    environment: { ...process.env, ...environment },
    ready: () => isReady(admin),
  });
  const events = (): RelayEvent[] => parseEvents(daemon.log());
  const event: RelayProcess["event"] = async (what, wanted, seconds = DEFAULT_WAIT_SECONDS) => {
    const deadline = performance.now() + seconds * 1000;
    for (;;) {
      const found = events().find(wanted);
      if (found !== undefined) return found;
      if (performance.now() > deadline || daemon.exited())
        throw new Error(
          `${what}: no such event of ${name}${daemon.exited() ? ", which has ended" : ""}:\n${daemon.log().slice(-3000)}`,
        );
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
    }
  };
  const submit = async (messages: readonly Submission[]): Promise<void> => {
    const [address, port] = (settings.submission ?? `${host}:${SUBMISSION_PORT}`).split(":");
    const transport = createTransport({
      host: address,
      port: Number(port),
      secure: false,
      pool: true,
      maxConnections: 1,
      maxMessages: Infinity,
    });
    try {
      for (const { sender, recipient, content } of messages)
        await transport.sendMail({ envelope: { from: sender, to: [recipient] }, raw: content });
    } finally {
      transport.close();
    }
  };
  return { daemon, admin, events, event, submit, stop: () => daemon.stop() };
}
