import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { decodeMessage, isMalformed, type Message } from "../../../src/dns/message.ts";
import { encodeMessage, response } from "../../fake/dnsWire.ts";

/** A DNS server on loopback whose every reply is written by the test. */

export type Reply = { query: Message; wire: Buffer; fromPort: number; send: (wire: Buffer) => void; socket?: Socket };
export type Script = (reply: Reply) => void;

/** The answer to a query: its id, its question, and `parts`. */
export function answering(query: Message, parts: Partial<Message> = {}): Buffer {
  return encodeMessage(response({ id: query.id, questions: query.questions, ...parts }));
}

function decoded(wire: Buffer): Message {
  const message = decodeMessage(wire);
  if (isMalformed(message)) throw new Error(message.reason);
  return message;
}

export async function udpServer(
  address: string,
  script: Script,
): Promise<{ port: number; socket: DatagramSocket; close: () => void }> {
  const socket = createSocket("udp4");
  socket.on("message", (wire, { port, address: from }) => {
    const query = decoded(wire);
    script({ query, wire, fromPort: port, send: (answer) => socket.send(answer, port, from) });
  });
  socket.bind(0, address);
  await once(socket, "listening");
  return { port: socket.address().port, socket, close: () => socket.close() };
}

export type StreamServer = { port: number; connections: () => number; close: () => Promise<void> };

/** TCP, or TLS with `tls`. `send` frames; `socket` is there to misbehave with. */
export async function streamServer(
  address: string,
  port: number,
  script: Script,
  tls?: { key: string; cert: string },
): Promise<StreamServer> {
  const sockets = new Set<Socket>();
  const accept = (socket: Socket): void => {
    sockets.add(socket);
    let buffered = Buffer.alloc(0);
    socket.on("error", () => sockets.delete(socket));
    socket.on("data", (octets: Buffer) => {
      buffered = Buffer.concat([buffered, octets]);
      while (buffered.length >= 2 && buffered.length >= 2 + buffered.readUInt16BE(0)) {
        const wire = buffered.subarray(2, 2 + buffered.readUInt16BE(0));
        buffered = buffered.subarray(2 + wire.length);
        script({
          query: decoded(wire),
          wire,
          fromPort: socket.remotePort ?? 0,
          send: (answer) => socket.write(framed(answer)),
          socket,
        });
      }
    });
  };
  const server: Server = tls === undefined ? createServer(accept) : createTlsServer({ ...tls, ALPNProtocols: ["dot"] }, accept);
  server.on("tlsClientError", () => undefined);
  server.listen(port, address);
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => sockets.size,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

export function framed(wire: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(wire.length);
  return Buffer.concat([length, wire]);
}
