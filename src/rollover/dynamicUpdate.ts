import { connect } from "node:net";
import { decodeMessage, isMalformed } from "../dns/message.ts";
import { signTsig, type TsigKey, verifyTsig } from "../dns/tsig.ts";
import { encodeTlsaUpdate, type TlsaUpdate, updateRefusal } from "../dns/update.ts";
import type { ServerAddress } from "../resolver/transport.ts";

/** Changes a zone at its primary server by RFC 2136, over TCP; signed by RFC 8945 where there is a key. */
export type UpdateResult = { kind: "updated" } | { kind: "refused"; reason: string };

const LIMIT_MILLISECONDS = 10_000;
const LENGTH_OCTETS = 2;

/** `now`: milliseconds since the epoch. An answer that is not signed with the key counts as none: who knows who said it. */
export async function sendUpdate(
  server: ServerAddress,
  update: TlsaUpdate,
  key: TsigKey | undefined,
  now: number,
): Promise<UpdateResult> {
  const unsigned = encodeTlsaUpdate(update);
  const signed = key === undefined ? undefined : signTsig(unsigned, key, now);
  const answer = await exchange(server, signed?.message ?? unsigned);
  if ("reason" in answer) return { kind: "refused", reason: answer.reason };
  const message = decodeMessage(answer.octets);
  if (isMalformed(message)) return refused(`its answer is malformed: ${message.reason}`);
  if (message.id !== update.id || !message.response || message.opcode !== 5) return refused("its answer is to another question");
  const refusal = updateRefusal(message.rcode);
  if (key !== undefined && signed !== undefined) {
    const verdict = verifyTsig(answer.octets, key, signed.mac, now);
    if (verdict.kind === "refused") return refused(refusal === undefined ? verdict.reason : `${refusal}; ${verdict.reason}`);
  }
  return refusal === undefined ? { kind: "updated" } : refused(refusal);
}

function refused(reason: string): UpdateResult {
  return { kind: "refused", reason };
}

function exchange({ address, port }: ServerAddress, message: Buffer): Promise<{ octets: Buffer } | { reason: string }> {
  const socket = connect({ host: address, port });
  const length = Buffer.alloc(LENGTH_OCTETS);
  length.writeUInt16BE(message.length);
  return new Promise((resolve) => {
    let received: Buffer = Buffer.alloc(0);
    const finish = (result: { octets: Buffer } | { reason: string }): void => {
      clearTimeout(limit);
      socket.destroy();
      resolve(result);
    };
    const limit = setTimeout(() => finish({ reason: "no answer in time" }), LIMIT_MILLISECONDS);
    socket.once("connect", () => socket.write(Buffer.concat([length, message])));
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < LENGTH_OCTETS) return;
      const end = LENGTH_OCTETS + received.readUInt16BE(0);
      if (received.length >= end) finish({ octets: received.subarray(LENGTH_OCTETS, end) });
    });
    socket.once("error", (error) => finish({ reason: error.message }));
    socket.once("close", () => finish({ reason: "the server closed the connection" }));
  });
}
