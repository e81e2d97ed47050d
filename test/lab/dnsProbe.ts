import { createSocket } from "node:dgram";
import dnsPacket from "dns-packet";

const WAIT_MILLISECONDS = 1000;

/** Whether the server at `address` answers a question for the SOA of `origin` with NOERROR and a record. */
export function answers(address: string, origin: string, port = 53): Promise<boolean> {
  const query = dnsPacket.encode({
    type: "query",
    id: 4711,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ type: "SOA", name: origin === "." ? "." : origin.replace(/\.$/, "") }],
  });
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    const finish = (result: boolean): void => {
      clearTimeout(timer);
      socket.close();
      resolve(result);
    };
    const timer = setTimeout(() => finish(false), WAIT_MILLISECONDS);
    socket.once("error", () => finish(false));
    socket.once("message", (message) => {
      const ancount = message.readUInt16BE(6);
      const rcode = message.readUInt16BE(2) & 15;
      finish(rcode === 0 && ancount > 0);
    });
    socket.connect(port, address, () => socket.send(query));
  });
}
