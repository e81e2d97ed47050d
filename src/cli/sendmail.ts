import { userInfo } from "node:os";
import { splitEndpoint } from "../config/address.ts";
import type { Config } from "../config/schema.ts";
import { isTransient, statusOf } from "../smtp/enhancedStatus.ts";
import { parseMailbox } from "../smtp/mailbox.ts";
import type { TransactionRecipient } from "../smtp/transaction.ts";
import type { Command, ExitStatus, Input, Terminal } from "./command.ts";
import { complain, configurationAlone } from "./configuration.ts";
import { parseSendmailArguments, type SendmailArguments } from "./sendmailArguments.ts";
import { prepareMessage } from "./sendmailMessage.ts";
import { passSession, type Submitted, submitMessage } from "./sendmailSubmission.ts";

/**
 * `sendmail`: what programs call that hand over mail on standard input (PHP, cron, git send-email). The message goes by SMTP to the relay that
 * runs here, which then has it on disk; nothing is queued by this command. Exit statuses are those of sysexits.h.
 */
export const sendmailCommand: Command = {
  name: "sendmail",
  synopsis: [
    "sendmail [-t] [-i] [-f SENDER] [-F NAME] [-N NOTIFY] [-R full|hdrs] [-V ENVID] [-bm|-bs] [--server IP:PORT] [RECIPIENT ...]",
  ],
  summary:
    "Takes a message from standard input and hands it to the relay, at the first address of submission.listen or at --server. " +
    "Exit status: 0 taken, 64 usage, 65 bad message or address, 69 refused, 75 try again later, 78 bad configuration.",
  run,
  ownUsage: true,
};

const USAGE = 64;
const DATA_ERROR = 65;
const UNAVAILABLE = 69;
const TEMPORARY_FAILURE = 75;
const CONFIGURATION = 78;

const MAX_INPUT_OCTETS = 1_073_741_824;

async function run(words: readonly string[], terminal: Terminal): Promise<ExitStatus> {
  const parsed = parseSendmailArguments(words);
  if (parsed.kind === "usage") return failed(USAGE, parsed.reason, terminal);
  const given = parsed.arguments;
  if (given.mode === "nothing") return 0;
  const loaded = configurationAlone(given.config, terminal);
  if (loaded.kind === "invalid") {
    complain(loaded, terminal);
    return CONFIGURATION;
  }
  const server = serverOf(given, loaded.config);
  if (server === undefined) return failed(USAGE, `--server takes IP:PORT, not ${given.server}`, terminal);
  const input = terminal.input ?? process.stdin;
  if (given.mode === "session") {
    const passed = await passSession(server, input, terminal.out);
    return passed.kind === "ended" ? 0 : failed(TEMPORARY_FAILURE, passed.text, terminal);
  }
  return await deliver(given, { ...server, hostname: loaded.config.hostname }, input, terminal);
}

type Server = { host: string; port: number; hostname: string };

/** The first address that is listened at; where that is any address, the loopback one. */
function serverOf({ server }: SendmailArguments, config: Config): { host: string; port: number } | undefined {
  const endpoint = server === undefined ? config.submission.listen[0] : splitEndpoint(server);
  if (endpoint === undefined) return undefined;
  const { address, port } = endpoint;
  const unspecified: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };
  return { host: unspecified[address] ?? address, port };
}

async function deliver(given: SendmailArguments, server: Server, input: Input, terminal: Terminal): Promise<ExitStatus> {
  const { hostname } = server;
  const sender = qualified(given.sender ?? userName(terminal), hostname);
  const octets = await read(input);
  if (octets === undefined) return failed(DATA_ERROR, `the message is larger than ${MAX_INPUT_OCTETS} octets`, terminal);
  const message = prepareMessage(octets, { ...given, author: sender });
  if (message.kind === "unusable") return failed(DATA_ERROR, message.reason, terminal);
  const addresses = [...new Set([...given.recipients, ...message.recipients].map((address) => qualified(address, hostname)))];
  if (addresses.length === 0) return failed(USAGE, "there is no recipient", terminal);
  for (const address of sender === "" ? addresses : [sender, ...addresses]) {
    const mailbox = parseMailbox(address);
    if ("kind" in mailbox) return failed(DATA_ERROR, `${JSON.stringify(address)}: ${mailbox.reason}`, terminal);
  }
  const { content } = message;
  const recipients = addresses.map(
    (address): TransactionRecipient => (given.notify === undefined ? { address } : { address, notify: given.notify.split(",") }),
  );
  const envelope = {
    ...{ sender, smtpUtf8: false, requireTls: false, size: content.length },
    eightBitMime: content.some((octet) => octet > 0x7f),
    ...(given.returnContent === undefined
      ? {}
      : { returnContent: given.returnContent === "FULL" ? ("FULL" as const) : ("HDRS" as const) }),
    ...(given.envelopeId === undefined ? {} : { envelopeId: given.envelopeId }),
  };
  const result = await submitMessage({ ...server, envelope, recipients, content });
  return outcome(result, terminal);
}

/** A name alone is one of this host: cron writes to `root`. */
function qualified(address: string, hostname: string): string {
  return address === "" || address.includes("@") ? address : `${address}@${hostname}`;
}

function userName({ environment }: Terminal): string {
  const named = environment.LOGNAME ?? environment.USER;
  if (named !== undefined && named !== "") return named;
  try {
    return userInfo().username;
  } catch (error) {
    // A container's user number often has no name.
    if (error instanceof Error && "code" in error) return "nobody";
    throw error;
  }
}

async function read(input: Input): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let octets = 0;
  for await (const chunk of input) {
    const piece = Buffer.from(chunk);
    octets += piece.length;
    if (octets > MAX_INPUT_OCTETS) return undefined;
    chunks.push(piece);
  }
  return Buffer.concat(chunks);
}

function outcome(result: Submitted, terminal: Terminal): ExitStatus {
  switch (result.kind) {
    case "accepted":
      return 0;
    case "unreachable":
      return failed(TEMPORARY_FAILURE, `the relay cannot be reached: ${result.text}`, terminal);
    case "refused": {
      const status = statusOf("CONTENT", result.reply);
      if (isTransient(status)) return failed(TEMPORARY_FAILURE, result.text, terminal);
      // RFC 3463 §3.2, §3.4, §3.7: an address or the message itself.
      const bad = /^5\.(?:6\.\d+|1\.[137]|3\.4)$/.test(status);
      return failed(bad ? DATA_ERROR : UNAVAILABLE, result.text, terminal);
    }
    default:
      return result satisfies never;
  }
}

function failed(status: 64 | 65 | 69 | 75 | 78, reason: string, terminal: Terminal): ExitStatus {
  terminal.err(`dane-relay sendmail: ${reason}\n`);
  return status;
}
