import { createSocket } from "node:dgram";
import { createServer, type Server } from "node:net";

/**
 * The loopback addresses of one lab: a block 127.A.B.0/24 that nobody else uses, so that several labs (and other people's servers)
 * can run at once on one machine. The claim is a listening socket: it ends with the process, whatever ends it.
 */
export type AddressBlock = {
  /** 127.A.B.n */
  address: (n: number) => string;
  prefix: string;
  release: () => Promise<void>;
};

/** Where the lab's own parts live inside the block; receivers take the numbers from `firstReceiver` on. */
export const PLACES = {
  relay: 1,
  rootServer: 2,
  tldServer: 3,
  domainServer: 4,
  mxServfailServer: 5,
  tlsaServfailServer: 6,
  tlsaSilentServer: 7,
  validatingRecursor: 8,
  plainRecursor: 9,
  dnsmasq: 10,
  firstLiar: 11,
  firstReceiver: 20,
  lastReceiver: 249,
} as const;

const CLAIM_HOST = 250;
const CLAIM_PORT = 53;
/** 127.112 to 127.123 are the addresses of tests that need no lab, a fixed one for each file. */
const FIRST_A = 140;
const A_COUNT = 20;
const ATTEMPTS = 64;

function listenTcp(address: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", reject);
    server.listen({ host: address, port, exclusive: true }, () => resolve(server));
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

function tryUdp(address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    socket.once("error", reject);
    socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve()));
  });
}

async function probe(prefix: string): Promise<void> {
  for (const n of [PLACES.rootServer, PLACES.domainServer, PLACES.validatingRecursor]) {
    await tryUdp(`${prefix}.${n}`, 53);
    await closeServer(await listenTcp(`${prefix}.${n}`, 53));
  }
  await closeServer(await listenTcp(`${prefix}.${PLACES.firstReceiver}`, 25));
}

function explain(error: unknown): Error {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "EACCES" || code === "EPERM")
    return new Error("the lab needs root: its DNS servers listen on port 53 and its receivers on port 25 of loopback addresses", {
      cause: error,
    });
  return new Error(
    `no free loopback block for the lab after ${ATTEMPTS} tries: does a server on this machine listen on port 53 or 25 of all addresses?`,
    { cause: error },
  );
}

/** Claims a block; rejects with what to do when there is none, or when this user may not open ports below 1024. */
export async function claimBlock(seed: number = process.pid): Promise<AddressBlock> {
  let last: unknown;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const number = (seed * 7 + attempt * 97) % (A_COUNT * 254);
    const prefix = `127.${FIRST_A + Math.floor(number / 254)}.${1 + (number % 254)}`;
    try {
      const claim = await listenTcp(`${prefix}.${CLAIM_HOST}`, CLAIM_PORT);
      try {
        await probe(prefix);
      } catch (error) {
        await closeServer(claim);
        throw error;
      }
      return { prefix, address: (n) => `${prefix}.${n}`, release: () => closeServer(claim) };
    } catch (error) {
      last = error;
    }
  }
  throw explain(last);
}
