import { isIPv4, isIPv6 } from "node:net";

/**
 * The header of HAProxy's PROXY protocol ("proxy-protocol.txt", versions 1 and 2): by which a load balancer says whom it connects for. Strict and
 * bounded: what is not exactly a header is malformed, never guessed at.
 *
 *   v1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 25` CRLF, at most 107 octets; `PROXY UNKNOWN` with anything behind it
 *   v2: 12 octets of signature, version and command, family and transport, length, addresses, TLVs (skipped)
 */
export type ProxyHeader =
  /** Not whole yet. */
  | { kind: "incomplete" }
  | { kind: "malformed"; reason: string }
  /** `length`: octets of the header; what is behind is the client's. */
  | { kind: "client"; address: string; port: number; length: number }
  /** LOCAL (the load balancer itself, as in a health check), UNKNOWN, or no IP at all: nothing is known of the client. */
  | { kind: "unknown"; length: number };

const SIGNATURE_V1 = Buffer.from("PROXY ");
const SIGNATURE_V2 = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const MAX_V1_OCTETS = 107;
const V2_FIXED_OCTETS = 16;
/** With TLVs; those that are in use take some hundreds. */
const MAX_V2_OCTETS = 4096;
/** Of family and transport: what SMTP can come by, and where its source address and port are, behind the fixed part. */
const V2_TCP4 = 0x11;
const V2_TCP6 = 0x21;
const V2_WITHOUT_IP: ReadonlySet<number> = new Set([0x00, 0x31]);

/** Reads the header at the start of what a load balancer sent. */
export function parseProxyHeader(received: Buffer): ProxyHeader {
  if (startsLike(received, SIGNATURE_V1)) return received.length < SIGNATURE_V1.length ? incomplete() : parseV1(received);
  if (startsLike(received, SIGNATURE_V2)) return received.length < V2_FIXED_OCTETS ? incomplete() : parseV2(received);
  return malformed("it begins with neither signature");
}

function startsLike(received: Buffer, signature: Buffer): boolean {
  const length = Math.min(received.length, signature.length);
  return received.subarray(0, length).equals(signature.subarray(0, length));
}

function incomplete(): ProxyHeader {
  return { kind: "incomplete" };
}

function malformed(reason: string): ProxyHeader {
  return { kind: "malformed", reason };
}

function parseV1(received: Buffer): ProxyHeader {
  const lineFeed = received.subarray(0, MAX_V1_OCTETS).indexOf(0x0a);
  if (lineFeed === -1) return received.length < MAX_V1_OCTETS ? incomplete() : malformed("version 1 without an end of line");
  const length = lineFeed + 1;
  const line = received.toString("latin1", 0, length);
  if (!line.endsWith("\r\n")) return malformed("version 1 does not end with CRLF");
  const [, protocol = "", source = "", destination = "", sourcePort = "", destinationPort = "", ...more] = line
    .slice(0, -2)
    .split(" ");
  // "the receiver must ignore anything presented before the CRLF"
  if (protocol === "UNKNOWN") return { kind: "unknown", length };
  if (protocol !== "TCP4" && protocol !== "TCP6") return malformed("version 1 with a protocol other than TCP4, TCP6, UNKNOWN");
  const isAddress = protocol === "TCP4" ? isIPv4 : isPlainIpv6;
  if (!isAddress(source) || !isAddress(destination)) return malformed(`version 1 with an address that is not one of ${protocol}`);
  const port = portOf(sourcePort);
  if (port === undefined || portOf(destinationPort) === undefined) return malformed("version 1 with a malformed port");
  if (more.length > 0) return malformed("version 1 with something behind the ports");
  return { kind: "client", address: canonicalAddress(source), port, length };
}

/** Without zone index, and without dots, which version 1 does not write. */
function isPlainIpv6(text: string): boolean {
  return isIPv6(text) && /^[0-9A-Fa-f:]+$/.test(text);
}

function portOf(text: string): number | undefined {
  const port = /^(?:0|[1-9][0-9]{0,4})$/.test(text) ? Number(text) : Number.NaN;
  return port <= 65_535 ? port : undefined;
}

function parseV2(received: Buffer): ProxyHeader {
  const versionAndCommand = received.readUInt8(12);
  const familyAndTransport = received.readUInt8(13);
  const length = V2_FIXED_OCTETS + received.readUInt16BE(14);
  if (versionAndCommand >> 4 !== 2) return malformed("binary, and not version 2");
  const command = versionAndCommand & 0x0f;
  if (command > 1) return malformed("version 2 with a command other than LOCAL and PROXY");
  if (length > MAX_V2_OCTETS) return malformed(`version 2 longer than ${MAX_V2_OCTETS} octets`);
  if (received.length < length) return incomplete();
  // "the receiver must accept this connection as valid and must use the real connection endpoints"
  if (command === 0 || V2_WITHOUT_IP.has(familyAndTransport)) return { kind: "unknown", length };
  const addresses = received.subarray(V2_FIXED_OCTETS, length);
  if (familyAndTransport === V2_TCP4) {
    if (addresses.length < 12) return malformed("version 2 too short for IPv4 addresses");
    return { kind: "client", address: addresses.subarray(0, 4).join("."), port: addresses.readUInt16BE(8), length };
  }
  if (familyAndTransport === V2_TCP6) {
    if (addresses.length < 36) return malformed("version 2 too short for IPv6 addresses");
    const groups = Array.from({ length: 8 }, (_, i) => addresses.readUInt16BE(2 * i).toString(16));
    return { kind: "client", address: canonicalAddress(groups.join(":")), port: addresses.readUInt16BE(32), length };
  }
  return malformed("version 2 with a family or transport that SMTP does not use");
}

/** RFC 5952's form; IPv4 for an IPv4-mapped address, so that a client has one address however it is written. */
function canonicalAddress(address: string): string {
  if (isIPv4(address)) return address;
  const text = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(text) ?? [];
  if (high === undefined || low === undefined) return text;
  const octets = Buffer.alloc(4);
  octets.writeUInt16BE(Number.parseInt(high, 16), 0);
  octets.writeUInt16BE(Number.parseInt(low, 16), 2);
  return octets.join(".");
}
