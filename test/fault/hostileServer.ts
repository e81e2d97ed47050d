import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { decodeMessage, isMalformed, type Message } from "../../src/dns/message.ts";
import { encodeMessage } from "../fake/dnsWire.ts";

/** A DNS server over UDP and TCP: what does not fit into a datagram is truncated, and comes by TCP. Answers are made once. */
export type HostileServer = { port: number; answered: () => number; close: () => Promise<void> };

const MAX_DATAGRAM_OCTETS = 1232;

export async function hostileServer(address: string, answer: (query: Message) => Message | undefined): Promise<HostileServer> {
  const made = new Map<string, Buffer>();
  let answered = 0;
  const reply = (wire: Buffer, limit: number): Buffer | undefined => {
    const query = decodeMessage(wire);
    const [question] = isMalformed(query) ? [] : query.questions;
    if (isMalformed(query) || question === undefined) return undefined;
    const key = `${question.type} ${question.name}`;
    const known = made.get(key) ?? encoded(answer(query), query);
    if (known === undefined) return undefined;
    made.set(key, known);
    const fits = known.length <= limit;
    if (fits) answered += 1;
    const copy = fits ? Buffer.from(known) : truncated(query);
    copy.writeUInt16BE(query.id, 0);
    return copy;
  };
  const datagrams = createSocket("udp4");
  datagrams.on("message", (wire, { port, address: from }) => {
    const octets = reply(wire, MAX_DATAGRAM_OCTETS);
    if (octets !== undefined) datagrams.send(octets, port, from);
  });
  datagrams.bind(0, address);
  await once(datagrams, "listening");
  const { port } = datagrams.address();
  const sockets = new Set<Socket>();
  const streams = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => sockets.delete(socket));
    answerStream(socket, (wire) => reply(wire, Number.MAX_SAFE_INTEGER));
  });
  streams.listen(port, address);
  await once(streams, "listening");
  return {
    port,
    answered: () => answered,
    close: async () => {
      datagrams.close();
      for (const socket of sockets) socket.destroy();
      streams.close();
      await once(streams, "close");
    },
  };
}

function answerStream(socket: Socket, reply: (wire: Buffer) => Buffer | undefined): void {
  let buffered = Buffer.alloc(0);
  socket.on("data", (octets: Buffer) => {
    buffered = Buffer.concat([buffered, octets]);
    while (buffered.length >= 2 && buffered.length >= 2 + buffered.readUInt16BE(0)) {
      const wire = buffered.subarray(2, 2 + buffered.readUInt16BE(0));
      buffered = buffered.subarray(2 + wire.length);
      const octetsOut = reply(wire);
      if (octetsOut === undefined) continue;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(octetsOut.length);
      socket.write(Buffer.concat([length, octetsOut]));
    }
  });
}

function encoded(message: Message | undefined, query: Message): Buffer | undefined {
  if (message === undefined) return undefined;
  return encodeMessage({ ...message, id: query.id, questions: query.questions, response: true });
}

function truncated(query: Message): Buffer {
  const { edns, ...head } = query;
  const parts = edns === undefined ? head : { ...head, edns: { ...edns, options: [] } };
  return encodeMessage({ ...parts, response: true, truncated: true, answer: [], authority: [], additional: [] });
}
