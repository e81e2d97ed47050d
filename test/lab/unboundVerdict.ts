import { createSocket } from "node:dgram";
import dnsPacket, { type DecodedPacket, type RecordType } from "dns-packet";

/** What a validating Unbound makes of a question, in the words of RFC 4035 §4.3; the judge that our own validator is held against. */
export type Verdict = {
  status: "secure" | "insecure" | "bogus" | "indeterminate";
  answer: "records" | "nodata" | "nxdomain" | "none";
};

const WAIT_MILLISECONDS = 20_000;
const SERVFAIL = 2;
const NXDOMAIN = 3;
const AD_FLAG = 1 << 5;

function ask(address: string, name: string, type: RecordType, flags: number): Promise<DecodedPacket | undefined> {
  const query = dnsPacket.encode({
    type: "query",
    id: Math.floor(Math.random() * 65_536),
    flags: dnsPacket.RECURSION_DESIRED | flags,
    questions: [{ type, name }],
    additionals: [
      {
        type: "OPT",
        name: ".",
        udpPayloadSize: 4096,
        flags: dnsPacket.DNSSEC_OK,
        flag_do: true,
        ednsVersion: 0,
        extendedRcode: 0,
        options: [],
      },
    ],
  });
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    const finish = (answer: DecodedPacket | undefined): void => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => finish(undefined), WAIT_MILLISECONDS);
    socket.once("error", () => finish(undefined));
    socket.once("message", (message) => finish(dnsPacket.decode(message)));
    socket.connect(53, address, () => socket.send(query));
  });
}

function rcodeOf(packet: DecodedPacket): number {
  return (packet.flags ?? 0) & 15;
}

/** Asks with CD=0; where that fails, CD=1 tells whether the data are bogus or not to be had. */
export async function unboundVerdict(address: string, name: string, type: RecordType): Promise<Verdict> {
  const judged = await ask(address, name, type, 0);
  if (judged === undefined || rcodeOf(judged) === SERVFAIL) {
    const unjudged = await ask(address, name, type, dnsPacket.CHECKING_DISABLED);
    const data = unjudged !== undefined && rcodeOf(unjudged) !== SERVFAIL;
    return { status: data ? "bogus" : "indeterminate", answer: "none" };
  }
  const status = ((judged.flags ?? 0) & AD_FLAG) === 0 ? "insecure" : "secure";
  if ((judged.answers ?? []).some((record) => record.type === type)) return { status, answer: "records" };
  return { status, answer: rcodeOf(judged) === NXDOMAIN ? "nxdomain" : "nodata" };
}
