import type { Socket } from "node:net";
import { decodeMessage, isMalformed, type Message, type Question, type ResourceRecord, RR_TYPE } from "../../src/dns/message.ts";
import type { DomainName } from "../../src/dns/name.ts";
import { encodeMessage } from "../fake/dnsWire.ts";
import { bindUdp, framed, listenTcp, messageReader } from "./dnsProxy.ts";

/**
 * A server that tells the truth but for one answer that a mutant replaces. It has one address for each level of the tree of zones, so that a
 * validator that resolves by itself is referred from one to the next; a server that resolves for others has one level only.
 */
export type Level = { address: string; truth: (name: DomainName, type: number) => Promise<Message> };
/** `message` in the place of the answer to `question` of that level. */
export type Lie = { level: number; question: Pick<Question, "name" | "type">; message: Message };
export type MutantServer = {
  addresses: readonly [string, ...string[]];
  serve: (lie: Lie | undefined) => void;
  stop: () => Promise<void>;
};

const UDP_LIMIT = 1232;
const TCP_LIMIT = 65_535;

export function questionKey(name: DomainName, type: number): string {
  return `${name} ${type}`;
}

/** Listens on port 53 of all addresses. `glue`: the addresses that stand in the zones, and the ones to be referred to in their place. */
export async function startMutantServer(
  levels: readonly [Level, ...Level[]],
  glue: ReadonlyMap<string, string>,
): Promise<MutantServer> {
  let lie: Lie | undefined;
  const reply = async (at: number, wire: Buffer, limit: number): Promise<Buffer | undefined> => {
    const query = decodeMessage(wire);
    const [question] = isMalformed(query) ? [] : query.questions;
    const truth = levels[at]?.truth;
    if (isMalformed(query) || question === undefined || truth === undefined) return undefined;
    const { name, type } = question;
    const isLie = lie?.level === at && lie.question.name === name && lie.question.type === type;
    const message = isLie && lie !== undefined ? lie.message : await truth(name, type);
    return encodedReply(query, readdressed(message, glue), limit);
  };
  const fronts = await Promise.all(levels.map(({ address }, at) => listen(address, (wire, limit) => reply(at, wire, limit))));
  const [first, ...others] = levels;
  return {
    addresses: [first.address, ...others.map(({ address }) => address)],
    serve: (next) => {
      lie = next;
    },
    stop: async () => void (await Promise.all(fronts.map((stop) => stop()))),
  };
}

function encodedReply(query: Message, message: Message, limit: number): Buffer {
  const reply = { ...message, id: query.id, questions: query.questions, checkingDisabled: query.checkingDisabled };
  const encoded = encodeMessage(reply);
  if (encoded.length <= limit) return encoded;
  return encodeMessage({ ...reply, truncated: true, answer: [], authority: [], additional: [] });
}

/** Glue is not signed, and no validator asks for a signature of the address that it goes to. */
function readdressed(message: Message, glue: ReadonlyMap<string, string>): Message {
  const elsewhere = (record: ResourceRecord): ResourceRecord => {
    const address = record.type === RR_TYPE.A ? glue.get(record.rdata.join(".")) : undefined;
    return address === undefined ? record : { ...record, rdata: Buffer.from(address.split(".").map(Number)) };
  };
  return { ...message, answer: message.answer.map(elsewhere), additional: message.additional.map(elsewhere) };
}

/** Returns how to stop. */
async function listen(
  address: string,
  answer: (wire: Buffer, limit: number) => Promise<Buffer | undefined>,
): Promise<() => Promise<void>> {
  const sockets = new Set<Socket>();
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
        const response = await answer(wire, TCP_LIMIT);
        if (response !== undefined && !socket.destroyed) socket.write(framed(response));
      }),
    );
  });
  return async () => {
    for (const socket of sockets) socket.destroy();
    await Promise.all([new Promise<void>((resolve) => udp.close(() => resolve())), new Promise((resolve) => tcp.close(resolve))]);
  };
}
