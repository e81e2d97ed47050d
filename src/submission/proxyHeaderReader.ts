import type { Socket } from "node:net";
import { type ProxyHeader, parseProxyHeader } from "./proxyHeader.ts";

/** A header that was read to its end, or why there is none. */
export type ReadHeader = Extract<ProxyHeader, { kind: "client" | "unknown" }> | { kind: "failed"; reason: string };

/**
 * Reads the PROXY protocol header of a socket that nobody reads yet, within a time for all of it; what came behind it is left in the socket. The
 * socket stays as it is where that fails.
 */
export function readProxyHeader(socket: Socket, milliseconds: number): Promise<ReadHeader> {
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    const end = (result: ReadHeader): void => {
      clearTimeout(timer);
      socket.off("readable", read).off("error", broken).off("close", gone).off("end", gone);
      resolve(result);
    };
    const broken = (error: Error): void => {
      // Whatever comes behind it is nobody's any more.
      socket.on("error", () => undefined);
      end({ kind: "failed", reason: error.message });
    };
    const gone = (): void => end({ kind: "failed", reason: "the connection ended before its PROXY protocol header" });
    const timer = setTimeout(() => end({ kind: "failed", reason: "no PROXY protocol header came in time" }), milliseconds);
    const read = (): void => {
      for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
        received = Buffer.concat([received, chunk]);
        const header = parseProxyHeader(received);
        if (header.kind === "incomplete") continue;
        if (header.kind === "malformed") {
          end({ kind: "failed", reason: `malformed PROXY protocol header: ${header.reason}` });
          return;
        }
        const rest = received.subarray(header.length);
        end(header);
        if (rest.length > 0) socket.unshift(rest);
        return;
      }
    };
    socket.on("readable", read).on("error", broken).on("close", gone).on("end", gone);
  });
}
