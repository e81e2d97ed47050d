import type { Socket } from "node:net";
import { decodeMessage, isMalformed, type Message } from "../../src/dns/message.ts";
import type { DomainName } from "../../src/dns/name.ts";
import { encodeMessage } from "../fake/dnsWire.ts";
import { bindUdp, framed, listenTcp, messageReader } from "./dnsProxy.ts";

/** A recursive server that tells the truth but for the answers that a mutant replaces. */

export type Overlay = ReadonlyMap<string, Message>;
export type MutantServer = { address: string; serve: (overlay: Overlay) => void; stop: () => Promise<void> };

const UDP_LIMIT = 1232;

export function questionKey(name: DomainName, type: number): string {
  return `${name} ${type}`;
}

/** Listens on port 53 of `address`. `truth`: the answer that nobody touched. */
export async function startMutantServer(
  address: string,
  truth: (name: DomainName, type: number) => Promise<Message>,
): Promise<MutantServer> {
  let overlay: Overlay = new Map();
  const sockets = new Set<Socket>();
  const answer = async (wire: Buffer, limit: number): Promise<Buffer | undefined> => {
    const query = decodeMessage(wire);
    if (isMalformed(query)) return undefined;
    const [question] = query.questions;
    if (question === undefined) return undefined;
    const message = overlay.get(questionKey(question.name, question.type)) ?? (await truth(question.name, question.type));
    const reply = { ...message, id: query.id, questions: query.questions, checkingDisabled: query.checkingDisabled };
    const encoded = encodeMessage(reply);
    if (encoded.length <= limit) return encoded;
    return encodeMessage({ ...reply, truncated: true, answer: [], authority: [], additional: [] });
  };
  const udp = await bindUdp(address, async (wire, reply) => {
    const response = await answer(wire, UDP_LIMIT);
    if (response !== undefined) reply(response);
  });
  const tcp = await listenTcp(address, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.on(
      "data",
      messageReader(async (wire) => {
        const response = await answer(wire, 65_535);
        if (response !== undefined && !socket.destroyed) socket.write(framed(response));
      }),
    );
  });
  const stop = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await Promise.all([new Promise<void>((resolve) => udp.close(() => resolve())), new Promise((resolve) => tcp.close(resolve))]);
  };
  const serve = (next: Overlay): void => {
    overlay = next;
  };
  return { address, serve, stop };
}
