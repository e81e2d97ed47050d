import { connect, createServer, type Socket } from "node:net";

/** A middlebox before a mail server that makes STARTTLS unreadable in both directions (RFC 3207 §6, RFC 7672 §1.3.1). */
export type Stripper = { stop: () => Promise<void> };

function strip(chunk: Buffer): Buffer {
  return Buffer.from(chunk.toString("latin1").replaceAll(/STARTTLS/gi, "XXXXXXXX"), "latin1");
}

function join(client: Socket, server: Socket): void {
  client.on("data", (chunk) => server.write(strip(chunk)));
  server.on("data", (chunk) => client.write(strip(chunk)));
  for (const [one, other] of [
    [client, server],
    [server, client],
  ] as const) {
    one.on("end", () => other.end());
    one.on("error", () => other.destroy());
    one.on("close", () => other.destroy());
  }
}

/** Listens on port 25 of `address`; the server behind it is at `serverPort` of the same address. */
export async function startStripper(address: string, serverPort: number): Promise<Stripper> {
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const server = connect(serverPort, address);
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
    }
    join(client, server);
  });
  await new Promise<void>((resolve, reject) => {
    listener.once("error", reject);
    listener.listen({ host: address, port: 25, exclusive: true }, resolve);
  });
  return {
    stop: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => listener.close(() => resolve()));
    },
  };
}
