import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeMessage, isMalformed, type Message, RR_TYPE } from "../src/dns/message.ts";
import { type DomainName, name } from "../src/dns/name.ts";
import { presentRdata } from "../src/dns/rdataText.ts";
import { createTransport } from "../src/resolver/socketTransport.ts";
import { encodeMessage, record, response } from "../test/fake/dnsWire.ts";
import { dnskeyRecord, dsRecord, signingKey, signRrset } from "../test/fake/signer.ts";
import { startDaemon } from "../test/lab/daemon.ts";
import { bindUdp } from "../test/lab/dnsProxy.ts";
import type { Place } from "./endToEnd.ts";
import { memoryMiB } from "./processTree.ts";

/**
 * What Unbound's cache costs: the names of cacheMemory.ts, signed for good, in one zone that a server in this process answers for. A million
 * look-ups over the network would take too long: two counts give the slope, which is what a name costs.
 */
const ROOT = name(".");
const IN_FLIGHT = 64;
const TIMEOUT_MILLISECONDS = 10_000;
const MAX_FAILURES = 1000;
const PLACES = { server: 2, unbound: 3 } as const;

export async function unboundMemory(counts: readonly [number, number], place: Place): Promise<string[]> {
  const key = signingKey({ seed: "memory" });
  const now = Math.floor(Date.now() / 1000);
  const window = { inception: now - 86_400, expiration: now + 30 * 86_400 };
  const keys = [dnskeyRecord(ROOT, key)];
  const address = place.block.address(PLACES.server);
  const server = await bindUdp(address, async (wire, reply) => {
    const query = decodeMessage(wire);
    const [question] = isMalformed(query) ? [] : query.questions;
    if (isMalformed(query) || question === undefined) return;
    const set = question.type === RR_TYPE.DNSKEY ? keys : [record(`${question.name} MX 10 mx.${question.name}`)];
    const answer = [...set, signRrset(set, key, ROOT, window)];
    reply(encodeMessage({ ...response({ answer, questions: [question] }), id: query.id, authoritative: true }));
  });
  const directory = join(place.directory, "unbound-memory");
  await mkdir(directory, { recursive: true });
  const anchor = `. DS ${presentRdata(RR_TYPE.DS, dsRecord(ROOT, key).rdata)}`;
  await writeFile(join(directory, "root.ds"), `${anchor}\n`);
  const at = place.block.address(PLACES.unbound);
  await writeFile(join(directory, "unbound.conf"), configuration(directory, at, address));
  const transport = createTransport();
  const ask = async (owner: DomainName): Promise<Message | undefined> => {
    const edns = { udpPayloadSize: 1232, dnssecOk: true };
    const query = { name: owner, type: RR_TYPE.MX, recursionDesired: true, checkingDisabled: false, edns };
    const result = await transport.exchange({ address: at, port: 53 }, query, TIMEOUT_MILLISECONDS);
    return result.kind === "response" ? result.message : undefined;
  };
  const daemon = await startDaemon({
    name: "unbound-memory",
    command: "/usr/sbin/unbound",
    arguments: ["-d", "-c", join(directory, "unbound.conf")],
    logFile: join(directory, "log"),
    ready: async () => (await ask(name("ready.example.")))?.authenticData === true,
  });
  try {
    const empty = memoryMiB(daemon.pid);
    const filled: number[] = [];
    let [asked, held] = [0, 0];
    for (const count of counts) {
      const work = async (): Promise<void> => {
        while (held < count) {
          const answer = await ask(name(`d${asked++}.example.`));
          // On a busy machine a question is now and then given up: its name does not count.
          if (answer?.authenticData === true) held += 1;
          else if (asked > held + MAX_FAILURES) throw new Error(`not secure: ${JSON.stringify(answer)}`);
        }
      };
      await Promise.all(Array.from({ length: IN_FLIGHT }, work));
      filled.push(memoryMiB(daemon.pid));
    }
    return report(counts, empty, filled);
  } finally {
    transport.close();
    await daemon.stop();
    server.close();
  }
}

function report([few, many]: readonly [number, number], empty: number, [atFew = 0, atMany = 0]: readonly number[]): string[] {
  const octets = ((atMany - atFew) * 2 ** 20) / (many - few);
  return [
    "Unbound, the same names (proportional set size of its process)",
    `  empty ${empty.toFixed(0)} MiB, ${few} names ${atFew.toFixed(0)} MiB, ${many} names ${atMany.toFixed(0)} MiB`,
    `  ${octets.toFixed(0)} octets a further name, so 1000000 names: ${((octets * 1_000_000) / 2 ** 20 + empty).toFixed(0)} MiB`,
  ];
}

function configuration(directory: string, address: string, upstream: string): string {
  return [
    "server:",
    `  interface: ${address}`,
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
    "  outgoing-range: 512",
    "  do-not-query-localhost: no",
    "  msg-cache-size: 2g",
    "  rrset-cache-size: 2g",
    '  module-config: "validator iterator"',
    `  trust-anchor-file: "${directory}/root.ds"`,
    "  trust-anchor-signaling: no",
    "forward-zone:",
    '  name: "."',
    `  forward-addr: ${upstream}`,
    "remote-control:",
    "  control-enable: no",
    "",
  ].join("\n");
}
