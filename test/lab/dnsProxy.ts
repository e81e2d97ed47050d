import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { connect, createServer, type Server, type Socket } from "node:net";
import dnsPacket, { type DecodedPacket } from "dns-packet";

/**
 * A DNS server that passes questions to another one and interferes: broken name servers, middleboxes, lying resolvers. What it does
 * not touch goes through octet by octet.
 */
export type Interference = {
  /** Before the question is passed on. */
  question?: (question: Asked) => "pass" | "drop" | "servfail" | "refused" | { forge: Forged } | { askInstead: string };
  /** May change the answer; undefined: as it came. */
  answer?: (answer: DecodedPacket, question: Asked) => DecodedPacket | undefined;
  /** Sets AD on whatever is sent (RFC 4035 §3.2.3): the lie of an untrustworthy resolver. */
  claimsAuthentic?: "yes" | "no";
  /** Every answer in a datagram is cut short (TC), so that the asker must come by TCP. */
  truncatesDatagrams?: "yes" | "no";
};

/** `name` in lower case without the trailing dot. */
export type Asked = { name: string; type: string; transport: "udp" | "tcp" };

/** Unsigned answers, and no proof of anything. */
export type Forged = { answers: NonNullable<dnsPacket.Packet["answers"]> };

export type DnsProxy = {
  address: string /** How many questions got another answer than the truth, or (with `claimsAuthentic`) a claim added to it. */;
  interfered: () => number;
  stop: () => Promise<void>;
};

const UPSTREAM_MILLISECONDS = 5000;
const AD_BIT = 0x20;
const UDP_LIMIT = 1232;

function askUdp(upstream: string, query: Buffer): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    const finish = (answer: Buffer | undefined): void => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => finish(undefined), UPSTREAM_MILLISECONDS);
    socket.once("error", () => finish(undefined));
    socket.once("message", finish);
    socket.connect(53, upstream, () => socket.send(query));
  });
}

function askTcp(upstream: string, query: Buffer): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect(53, upstream);
    const reader = messageReader((message) => {
      socket.destroy();
      resolve(message);
    });
    socket.setTimeout(UPSTREAM_MILLISECONDS, () => socket.destroy());
    socket.on("error", () => resolve(undefined));
    socket.on("close", () => resolve(undefined));
    socket.on("data", reader);
    socket.write(framed(query));
  });
}

/** RFC 1035 §4.2.2: two octets of length before each message. */
export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

export function messageReader(onMessage: (message: Buffer) => void): (chunk: Buffer) => void {
  let pending: Buffer = Buffer.alloc(0);
  return (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
      const end = 2 + pending.readUInt16BE(0);
      onMessage(pending.subarray(2, end));
      pending = pending.subarray(end);
    }
  };
}

function answerTo(query: DecodedPacket, rcode: number, answers: Forged["answers"] = []): Buffer {
  return dnsPacket.encode({
    type: "response",
    id: query.id ?? 0,
    flags: dnsPacket.RECURSION_DESIRED | dnsPacket.RECURSION_AVAILABLE | rcode,
    questions: query.questions ?? [],
    answers,
    additionals: (query.additionals ?? []).filter(({ type }) => type === "OPT"),
  });
}

/** The same question about another name. */
function renamedQuery(query: DecodedPacket, name: string): Buffer {
  const questions = (query.questions ?? []).map((question) => ({ ...question, name }));
  return dnsPacket.encode({ ...query, type: "query", flags: query.flags ?? 0, questions });
}

/** An answer about another name, as if it were about the name that was asked. */
function underName(answer: DecodedPacket, question: dnsPacket.Question): DecodedPacket {
  const answers = (answer.answers ?? []).map((record) => ({ ...record, name: question.name }));
  return { ...answer, questions: [question], answers };
}

const SERVFAIL = 2;
const REFUSED = 5;

function truncated(packet: DecodedPacket): Buffer {
  return dnsPacket.encode({
    type: "response",
    id: packet.id ?? 0,
    flags: (packet.flags ?? 0) | dnsPacket.TRUNCATED_RESPONSE,
    questions: packet.questions ?? [],
    additionals: (packet.additionals ?? []).filter(({ type }) => type === "OPT"),
  });
}

function encodeAnswer(packet: DecodedPacket, transport: Asked["transport"]): Buffer {
  const encoded = dnsPacket.encode({ ...packet, type: "response", flags: packet.flags ?? 0 });
  return transport === "tcp" || encoded.length <= UDP_LIMIT ? encoded : truncated(packet);
}

/** Starts the proxy on port 53 of `address`, before the server on port 53 of `upstream`. */
export async function startDnsProxy(address: string, upstream: string, interference: Interference): Promise<DnsProxy> {
  let interfered = 0;
  const sockets = new Set<Socket>();

  const respond = async (message: Buffer, transport: Asked["transport"]): Promise<Buffer | undefined> => {
    const query = dnsPacket.decode(message);
    const first = query.questions?.[0];
    if (first === undefined) return undefined;
    const question: Asked = { name: first.name.toLowerCase(), type: first.type, transport };
    const decision = interference.question?.(question) ?? "pass";
    if (decision !== "pass") interfered += 1;
    if (decision === "drop") return undefined;
    if (decision === "servfail") return answerTo(query, SERVFAIL);
    if (decision === "refused") return answerTo(query, REFUSED);
    const ask = transport === "udp" ? askUdp : askTcp;
    if (decision !== "pass" && "forge" in decision) return answerTo(query, 0, decision.forge.answers);
    if (decision !== "pass") {
      const other = await ask(upstream, renamedQuery(query, decision.askInstead));
      return other === undefined ? undefined : encodeAnswer(underName(dnsPacket.decode(other), first), transport);
    }
    const raw = await ask(upstream, message);
    if (raw === undefined) return undefined;
    if (transport === "udp" && interference.truncatesDatagrams === "yes") {
      interfered += 1;
      return truncated(dnsPacket.decode(raw));
    }
    const changed = interference.answer?.(dnsPacket.decode(raw), question);
    if (changed === undefined) return raw;
    interfered += 1;
    return encodeAnswer(changed, transport);
  };
  const answer = async (message: Buffer, transport: Asked["transport"]): Promise<Buffer | undefined> => {
    const response = await respond(message, transport);
    if (response === undefined || interference.claimsAuthentic !== "yes") return response;
    interfered += 1;
    response.writeUInt8(response.readUInt8(3) | AD_BIT, 3);
    return response;
  };

  const udp = await bindUdp(address, async (message, reply) => {
    const response = await answer(message, "udp");
    if (response !== undefined) reply(response);
  });
  const tcp = await listenTcp(address, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.on(
      "data",
      messageReader(async (message) => {
        const response = await answer(message, "tcp");
        if (response !== undefined && !socket.destroyed) socket.write(framed(response));
      }),
    );
  });
  let stopped = false;
  const stop = async (): Promise<void> => {
    if (stopped) return;
    stopped = true;
    for (const socket of sockets) socket.destroy();
    await Promise.all([new Promise<void>((resolve) => udp.close(() => resolve())), new Promise((resolve) => tcp.close(resolve))]);
  };
  return { address, interfered: () => interfered, stop };
}

export function bindUdp(
  address: string,
  onMessage: (message: Buffer, reply: (answer: Buffer) => void) => Promise<void>,
): Promise<UdpSocket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    let open = true;
    socket.once("error", reject);
    socket.once("close", () => {
      open = false;
    });
    socket.on("message", (message, peer) => {
      void onMessage(message, (answer) => {
        if (open) socket.send(answer, peer.port, peer.address);
      });
    });
    socket.bind({ address, port: 53, exclusive: true }, () => resolve(socket));
  });
}

export function listenTcp(address: string, onSocket: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(onSocket);
    server.once("error", reject);
    server.listen({ host: address, port: 53, exclusive: true }, () => resolve(server));
  });
}
