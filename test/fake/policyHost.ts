import type { RequestListener } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";

/** An MTA-STS policy host: HTTPS on a loopback address, answering as a test wishes. Remembers what it was asked. */
export type PolicyHost = {
  port: number;
  requests: { servername: string; host: string; path: string }[];
  close: () => Promise<void>;
};

export type PolicyHostOptions = {
  address: string;
  /** 0 or none: any free port. */
  port?: number;
  key: string;
  cert: string;
  answer: RequestListener;
};

export async function startPolicyHost({ address, port = 0, key, cert, answer }: PolicyHostOptions): Promise<PolicyHost> {
  const requests: PolicyHost["requests"] = [];
  const sockets = new Set<Duplex>();
  const server = createServer({ key, cert }, (request, response) => {
    const servername = "servername" in request.socket ? String(request.socket.servername) : "";
    requests.push({ servername, host: request.headers.host ?? "", path: request.url ?? "" });
    answer(request, response);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
  });
  // A client that does not like the certificate says so, and goes: what some tests want.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: address, port }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** The policy file as every sound policy host serves it. */
export function serves(text: string, contentType = "text/plain"): RequestListener {
  return (_, response) => {
    response.writeHead(200, { "content-type": contentType, "content-length": Buffer.byteLength(text) });
    response.end(text);
  };
}
