import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import dnsPacket from "dns-packet";

/**
 * Ten thousand destinations below `dead.test`: most have a host of their own that refuses connections, every tenth one of a few hosts that take
 * a connection and never say a word. Their DNS is this process; the zone `test` is to be a negative trust anchor of the relay.
 */
export type DeadWorld = {
  /** `IP:port` of the name server. */
  resolver: string;
  /** The port that hosts are reached at. */
  port: number;
  domain: (index: number) => string;
  questions: () => number;
  /** Whether questions are answered from now on. */
  answer: (state: "yes" | "no") => void;
  stop: () => Promise<void>;
};

const SILENT_EVERY = 10;
const SILENT_HOSTS = 50;
const FIRST_SILENT = 100;
const NAME_SERVER = 60;
/** Of the hosts that refuse: nobody listens there. */
const REFUSING_NETWORK = "127.200";
const TTL_SECONDS = 3600;

function hostAddress(index: number, block: { address: (n: number) => string }): string {
  if (index % SILENT_EVERY === 0) return block.address(FIRST_SILENT + (index % SILENT_HOSTS));
  return `${REFUSING_NETWORK}.${(index >> 8) & 0xff}.${index & 0xff}`;
}

export async function startDeadWorld(block: { address: (n: number) => string }): Promise<DeadWorld> {
  const open = new Set<Socket>();
  const servers: Server[] = [];
  let port = 0;
  for (let n = 0; n < SILENT_HOSTS; n += 1) {
    const server = createServer((socket) => {
      open.add(socket);
      socket.on("close", () => open.delete(socket));
      // Whoever gives up may reset the connection.
      socket.on("error", () => socket.destroy());
    });
    server.listen(port, block.address(FIRST_SILENT + n));
    await once(server, "listening");
    const bound = server.address();
    if (bound === null || typeof bound === "string") throw new Error("no port");
    port = bound.port;
    servers.push(server);
  }
  let questions = 0;
  let answering: "yes" | "no" = "yes";
  const names = createSocket("udp4");
  names.on("message", (query, { address, port: from }) => {
    questions += 1;
    if (answering === "yes") names.send(answerTo(query, block), from, address);
  });
  names.bind(0, block.address(NAME_SERVER));
  await once(names, "listening");
  return {
    resolver: `${block.address(NAME_SERVER)}:${names.address().port}`,
    port,
    domain: (index) => `d${index}.dead.test`,
    questions: () => questions,
    answer: (state) => {
      answering = state;
    },
    stop: async () => {
      names.close();
      for (const socket of open) socket.destroy();
      for (const server of servers) {
        server.close();
        if (server.listening) await once(server, "close");
      }
    },
  };
}

/** Addresses of the destinations; no data for everything else, with the SOA of `test`. */
function answerTo(query: Buffer, block: { address: (n: number) => string }): Buffer {
  const { id = 0, questions = [] } = dnsPacket.decode(query);
  const [question] = questions;
  const index = /^d(\d+)\.dead\.test$/.exec(question?.name.toLowerCase() ?? "")?.[1];
  const found = question?.type === "A" && index !== undefined ? [hostAddress(Number(index), block)] : [];
  return dnsPacket.encode({
    type: "response",
    id,
    flags: dnsPacket.RECURSION_DESIRED | dnsPacket.RECURSION_AVAILABLE,
    questions,
    answers: found.map((data) => ({ type: "A", name: question?.name ?? "", ttl: TTL_SECONDS, data })),
    authorities: found.length > 0 ? [] : [soa()],
    additionals: [{ type: "OPT", name: ".", udpPayloadSize: 1232, flags: dnsPacket.DNSSEC_OK, options: [] } as never],
  });
}

function soa(): dnsPacket.Answer {
  const data = {
    mname: "ns.test",
    rname: "admin.test",
    serial: 1,
    refresh: 3600,
    retry: 600,
    expire: 86_400,
    minimum: TTL_SECONDS,
  };
  return { type: "SOA", name: "test", ttl: TTL_SECONDS, data };
}
