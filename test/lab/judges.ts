import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { systemClock, systemRandom } from "../../src/clock.ts";
import { type Message, type ResourceRecord, RR_TYPE } from "../../src/dns/message.ts";
import { type DomainName, name, nameToWire } from "../../src/dns/name.ts";
import { canonicalRdata } from "../../src/dns/rdata.ts";
import { typeName } from "../../src/dns/rdataText.ts";
import { algorithmTable } from "../../src/dnssec/algorithm.ts";
import type { TrustAnchors } from "../../src/dnssec/evidence.ts";
import { type ReasonChain, type ReasonCode, reasonText } from "../../src/dnssec/securityStatus.ts";
import { createForwarder } from "../../src/resolver/forwarder.ts";
import { createRecursor } from "../../src/resolver/recursor.ts";
import { createResolver } from "../../src/resolver/resolver.ts";
import type { Source } from "../../src/resolver/source.ts";
import type { Transport } from "../../src/resolver/transport.ts";
import { type Daemon, startDaemon } from "./daemon.ts";
import type { Question, World } from "./differentialWorld.ts";
import { answers } from "./dnsProbe.ts";

/** How a validator comes by its data: from a server that resolves for it, or from authoritative servers. */
export type Way = "forward" | "recursive";

/**
 * Three validators that forward to the same server, or that resolve by asking the servers of all zones: ours, Unbound, and BIND's delv. What each makes of a question, in the same words;
 * `refused` is what is bogus or could not be had at all.
 */
export type Opinion =
  /** `end`: of the chain of aliases, where it is told. */
  | { status: "secure" | "insecure"; answer: "records" | "nodata" | "nxdomain"; records: string; end?: DomainName }
  | { status: "refused"; why: string; code?: ReasonCode };

export function opinionText(opinion: Opinion): string {
  return opinion.status === "refused" ? "refused" : `${opinion.status} ${opinion.answer}`;
}

export function sameOpinion(a: Opinion, b: Opinion): boolean {
  if (a.status === "refused" || b.status === "refused") return a.status === b.status;
  return a.status === b.status && a.answer === b.answer && a.records === b.records;
}

/** What an answer says: the aliases and the records at their end, in an order of their own. */
function spelled(records: readonly Pick<ResourceRecord, "name" | "type" | "rdata">[]): string {
  const lines = records.map(
    ({ name, type, rdata }) => `${name} ${typeName(type)} ${canonicalRdata(type, rdata).toString("hex")}`,
  );
  return [...new Set(lines)].toSorted().join("; ");
}

const TIMEOUT_SECONDS = 12;

/** RFC 9276 §3.2 leaves the limits open. With Unbound's (val-nsec3-keysize-iterations), what lies between the two is compared as well. */
export const UNBOUND_ITERATIONS = { insecureAbove: 150, bogusAbove: 65_535 };

function sourceOf(way: Way, address: string, transport: Transport): Source {
  const clock = systemClock;
  if (way === "forward")
    return createForwarder({ upstreams: [{ address, port: 53 }], transport, clock, timeoutSeconds: TIMEOUT_SECONDS });
  const rootHints = [{ name: name("ns."), addresses: [address] }];
  // As Unbound is configured here: both see the same referrals.
  return createRecursor({ transport, clock, random: systemRandom, rootHints, allowLoopback: true, qnameMinimisation: false });
}

/** Ours, with empty caches. */
export async function ourOpinion(
  { way, address }: { way: Way; address: string },
  question: Question,
  anchors: TrustAnchors,
  transport: Transport,
): Promise<Opinion> {
  const resolver = createResolver({
    source: sourceOf(way, address, transport),
    anchors,
    algorithms: algorithmTable({ sha1: "insecure" }),
    clock: systemClock,
    timeoutSeconds: TIMEOUT_SECONDS,
    nsec3Iterations: UNBOUND_ITERATIONS,
    trustCacheEntries: 1000,
    cacheEntries: 1000,
  });
  const resolution = await resolver.lookup(question.name, question.type);
  if (resolution.status === "bogus" || resolution.status === "indeterminate")
    return refusal(resolution.status, resolution.reasons);
  const aliases = resolution.aliases.map(({ name, target }) => ({ name, type: RR_TYPE.CNAME, rdata: nameToWire(target) }));
  const records = "records" in resolution ? resolution.records : [];
  const { status, answer, name: end } = resolution;
  return { status, answer, records: spelled([...aliases, ...records]), end };
}

/** `code`: of the outermost reason, which is the innermost that could be told. */
function refusal(status: "bogus" | "indeterminate", reasons: ReasonChain): Opinion {
  return { status: "refused", why: `${status}: ${reasonText(reasons)}`, code: reasons[0].code };
}

const NXDOMAIN = 3;

/** What a message of a validating server says: AD, RCODE and answer section (RFC 4035 §3.2). */
function opinionOf(message: Message, { type }: Question): Opinion {
  if (message.rcode !== 0 && message.rcode !== NXDOMAIN)
    return { status: "refused", why: `RCODE ${message.rcode}${extendedError(message)}` };
  const status = message.authenticData ? "secure" : "insecure";
  const kept = message.answer.filter((one) => one.type === type || (one.type === RR_TYPE.CNAME && type !== RR_TYPE.CNAME));
  const answer = kept.some((one) => one.type === type) ? "records" : message.rcode === NXDOMAIN ? "nxdomain" : "nodata";
  return { status, answer, records: spelled(kept) };
}

/** RFC 8914 §2. */
function extendedError({ edns }: Message): string {
  const errors = edns?.options.filter((option) => option.code === 15 && option.data.length >= 2) ?? [];
  return errors.map(({ data }) => `, EDE ${data.readUInt16BE(0)} ${data.subarray(2).toString()}`).join("");
}

export type UnboundJudge = {
  opinion: (question: Question) => Promise<Opinion>;
  /** Everything remembered is forgotten. */
  forget: () => Promise<void>;
  daemon: Daemon;
};

/** Unbound as it comes, but for what a laboratory needs, and without leniency about clocks that are wrong. */
export async function startUnboundJudge(options: {
  directory: string;
  address: string;
  way: Way;
  /** The server that is forwarded to, or that of the root. */
  server: string;
  /** Addresses that lead past it. */
  past: readonly string[];
  trustAnchorFile: string;
  transport: Transport;
}): Promise<UnboundJudge> {
  const { directory, address } = options;
  await mkdir(directory, { recursive: true });
  const control = join(directory, "control");
  const configuration = [
    "server:",
    `  interface: ${address}`,
    "  port: 53",
    "  access-control: 127.0.0.0/8 allow",
    "  do-ip6: no",
    "  do-daemonize: no",
    '  username: ""',
    '  chroot: ""',
    `  directory: "${directory}"`,
    '  pidfile: ""',
    "  use-syslog: no",
    '  logfile: ""',
    "  num-threads: 1",
    "  do-not-query-localhost: no",
    "  edns-buffer-size: 1232",
    '  module-config: "validator iterator"',
    `  trust-anchor-file: "${options.trustAnchorFile}"`,
    "  val-log-level: 2",
    "  ede: yes",
    "  val-sig-skew-min: 0",
    "  val-sig-skew-max: 0",
    "  aggressive-nsec: no",
    // Else it knows the answer from a minimised question, and never asks the one that is spoiled.
    "  qname-minimisation: no",
    ...options.past.map((address) => `  do-not-query-address: ${address}`),
    ...(options.way === "forward"
      ? ["forward-zone:", '  name: "."', `  forward-addr: ${options.server}`]
      : ["stub-zone:", '  name: "."', `  stub-addr: ${options.server}`]),
    "remote-control:",
    "  control-enable: yes",
    `  control-interface: "${control}"`,
    "  control-use-cert: no",
    "",
  ].join("\n");
  const file = join(directory, "unbound.conf");
  await writeFile(file, configuration);
  const daemon = await startDaemon({
    name: "unbound-judge",
    command: "/usr/sbin/unbound",
    arguments: ["-d", "-c", file],
    logFile: join(directory, "log"),
    ready: () => answers(address, "lab"),
  });
  const opinion = async (question: Question): Promise<Opinion> => {
    const edns = { udpPayloadSize: 1232, dnssecOk: true };
    const query = { ...question, recursionDesired: true, checkingDisabled: false, edns };
    const result = await options.transport.exchange({ address, port: 53 }, query, TIMEOUT_SECONDS * 1000);
    return result.kind === "response" ? opinionOf(result.message, question) : { status: "refused", why: result.kind };
  };
  const forget = async (): Promise<void> => {
    await command(control, "flush_zone .");
    await command(control, "flush_infra all");
  };
  return { opinion, forget, daemon };
}

/** What unbound-control does, without a process. */
function command(socketPath: string, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let reply = "";
    const socket = connect(socketPath, () => socket.write(`UBCT1 ${text}\n`));
    socket.on("data", (chunk) => {
      reply += chunk.toString();
    });
    socket.on("error", reject);
    socket.on("close", () => (reply.startsWith("ok") ? resolve() : reject(new Error(`unbound-control ${text}: ${reply}`))));
  });
}

const run = promisify(execFile);

/** One run of delv; its words about the whole answer. */
export async function delvOpinion(upstream: string, { name, type }: Question, world: World): Promise<Opinion> {
  const argv = [`@${upstream}`, "-a", world.bindAnchorFile, "+root=.", "-q", name, "-t", typeName(type), "+nottl"];
  const { stdout, stderr } = await run("delv", argv, { timeout: 20_000 }).catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  const said = /^; (fully validated|unsigned answer|negative response, fully validated|negative response, unsigned answer)/m.exec(
    stdout,
  )?.[1];
  if (said === undefined) return { status: "refused", why: `${stdout}${stderr}`.split("\n").slice(0, 3).join(" / ") };
  const parts = stdout.split(/^; /m).filter((part) => /validated|unsigned/.test(part.split("\n", 1)[0] ?? ""));
  const status = parts.every((part) => /^(negative response, )?fully validated/.test(part)) ? "secure" : "insecure";
  const negative = parts.some((part) => part.startsWith("negative"));
  const answer = !negative ? "records" : /^;.*\sNXDOMAIN|\\-ANY/m.test(stdout) ? "nxdomain" : "nodata";
  return { status, answer, records: "" };
}
