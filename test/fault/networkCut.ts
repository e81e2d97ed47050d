import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** The network between a relay and its database: a way that can be cut without either side hearing of it, or with a reset. */
export type NetworkCut = {
  readonly address: string;
  readonly port: number;
  /** Nothing goes through any more, in no direction; new connections are taken and lead nowhere. */
  stall: () => void;
  /** All connections are reset; from now on everything goes through. */
  reset: () => void;
  /** The next answer of the server is swallowed and its connection reset: the client doesn't know what became of what it asked. */
  swallowAnswer: () => void;
  close: () => Promise<void>;
};

type Pair = { client: Socket; server: Socket };

export async function startNetworkCut(address: string, target: { host: string; port: number }): Promise<NetworkCut> {
  const pairs = new Set<Pair>();
  let state: "open" | "stalled" = "open";
  let answers: "passed" | "swallowed" = "passed";
  const cut = (pair: Pair): void => {
    pair.client.resetAndDestroy();
    pair.server.resetAndDestroy();
    pairs.delete(pair);
  };
  const listener = createServer((client) => {
    const server = connect({ host: target.host, port: target.port, noDelay: true });
    client.setNoDelay(true);
    const pair = { client, server };
    pairs.add(pair);
    client.on("data", (chunk) => server.write(chunk));
    server.on("data", (chunk) => {
      if (answers === "passed") {
        client.write(chunk);
        return;
      }
      answers = "passed";
      cut(pair);
    });
    for (const socket of [client, server]) {
      socket.on("error", () => cut(pair));
      socket.on("close", () => cut(pair));
      if (state === "stalled") socket.pause();
    }
  });
  listener.listen({ host: address, port: 0 });
  await once(listener, "listening");
  const at = listener.address();
  if (at === null || typeof at === "string") throw new Error("the network cut has no port");
  return {
    address,
    port: at.port,
    stall: () => {
      state = "stalled";
      for (const { client, server } of pairs) {
        client.pause();
        server.pause();
      }
    },
    reset: () => {
      state = "open";
      for (const pair of pairs) cut(pair);
    },
    swallowAnswer: () => {
      answers = "swallowed";
    },
    close: async () => {
      for (const pair of pairs) cut(pair);
      listener.close();
      await once(listener, "close");
    },
  };
}
