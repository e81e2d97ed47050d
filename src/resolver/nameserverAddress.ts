import { type ResourceRecord, RR_TYPE } from "../dns/message.ts";
import { decodeLookup } from "../dns/rdata.ts";

/** Which addresses a name server may be reached at. */
export type AddressPolicy = {
  ipv4: boolean;
  ipv6: boolean;
  /** Whether learned addresses may be loopback (laboratories). Configured servers are reached wherever they are. */
  allowLoopback: boolean;
};

/**
 * The address in an A or AAAA record when a query may be sent there. A zone's owner chooses these addresses: this machine itself,
 * link-local (metadata services), multicast and broadcast are no name servers of anybody (compare RFC 5735, RFC 6890).
 */
export function nameserverAddress(record: ResourceRecord, policy: AddressPolicy): string | undefined {
  if (record.type === RR_TYPE.A && record.rdata.length === 4) {
    if (!policy.ipv4 || forbiddenIpv4(record.rdata, policy)) return undefined;
    return textOf(decodeLookup("A", record.rdata));
  }
  if (record.type === RR_TYPE.AAAA && record.rdata.length === 16) {
    if (!policy.ipv6 || forbiddenIpv6(record.rdata, policy)) return undefined;
    return textOf(decodeLookup("AAAA", record.rdata));
  }
  return undefined;
}

function textOf(decoded: string | { kind: "malformed" }): string | undefined {
  return typeof decoded === "string" ? decoded : undefined;
}

function forbiddenIpv4(octets: Buffer, policy: AddressPolicy): boolean {
  const [first = 0, second = 0] = octets;
  if (first === 127) return !policy.allowLoopback;
  return first === 0 || first >= 224 || (first === 169 && second === 254);
}

const LOOPBACK_IPV6 = Buffer.from("00000000000000000000000000000001", "hex");
/** Prefixes whose last four octets are an IPv4 address: compatible and mapped (RFC 4291 §2.5.5), NAT64 (RFC 6052 §2.1). */
const EMBEDDING_PREFIXES = ["000000000000000000000000", "00000000000000000000ffff", "0064ff9b0000000000000000"];

function forbiddenIpv6(octets: Buffer, policy: AddressPolicy): boolean {
  if (octets.equals(LOOPBACK_IPV6)) return !policy.allowLoopback;
  const [first = 0, second = 0] = octets;
  if (first === 0xff || (first === 0xfe && (second & 0xc0) === 0x80)) return true;
  if (!EMBEDDING_PREFIXES.includes(octets.subarray(0, 12).toString("hex"))) return false;
  return forbiddenIpv4(octets.subarray(12), policy);
}
