import type { Server } from "node:http";
import type { Socket } from "node:net";

/**
 * One client's share of the connections of the operator's HTTP: whoever opens as many as they can must not keep out who asks whether the relay lives.
 * One more than its share is closed before a word is said.
 */
export type ConnectionShareOptions = {
  /** At a time. */
  most: number;
  /** What one client has, of its address: an IPv4 address, or an IPv6 network. */
  placeOf: (address: string) => string;
};

export function shareConnections(server: Server, { most, placeOf }: ConnectionShareOptions): void {
  const open = new Map<string, number>();
  server.prependListener("connection", (socket: Socket) => {
    const place = placeOf(socket.remoteAddress ?? "");
    const before = open.get(place) ?? 0;
    if (before >= most) {
      socket.destroy();
      return;
    }
    open.set(place, before + 1);
    socket.once("close", () => {
      const left = (open.get(place) ?? 0) - 1;
      if (left > 0) open.set(place, left);
      else open.delete(place);
    });
  });
}
