import { BlockList, isIP } from "node:net";
import { LRUCache } from "lru-cache";

/** Who may relay without authentication: the networks of `submission.trustedNetworks`. */
export type TrustedNetworksError = { kind: "error"; reason: string };

const MAPPED_IPV4 = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i;

/** The address as its peer would write it: an IPv4 peer of a dual-stack socket shows as ::ffff:192.0.2.1 (RFC 4291 §2.5.5.2); no zone index. */
export function peerAddress(address: string): string {
  if (!address.includes(":")) return address;
  const withoutZone = address.replace(/%.*$/, "");
  return MAPPED_IPV4.exec(withoutZone)?.[1] ?? withoutZone;
}

/** Addresses that are remembered with their answer: clients come again, and are asked about at each of their commands. */
const MAX_REMEMBERED = 1000;

export class TrustedNetworks {
  readonly #blocks: BlockList;
  readonly #answers = new LRUCache<string, boolean>({ max: MAX_REMEMBERED });

  private constructor(blocks: BlockList) {
    this.#blocks = blocks;
  }

  /** Parses addresses and networks (`192.0.2.0/24`, `2001:db8::/32`, `::1`); the first that is wrong ends it. */
  static parse(networks: readonly string[]): TrustedNetworks | TrustedNetworksError {
    const blocks = new BlockList();
    for (const network of networks) {
      const reason = addNetwork(blocks, network);
      if (reason !== undefined) return { kind: "error", reason: `${JSON.stringify(network)} ${reason}` };
    }
    return new TrustedNetworks(blocks);
  }

  /** What is not an address is in no network. */
  contains(address: string): boolean {
    const known = this.#answers.get(address);
    if (known !== undefined) return known;
    const peer = peerAddress(address);
    const family = isIP(peer);
    const answer = family !== 0 && this.#blocks.check(peer, family === 4 ? "ipv4" : "ipv6");
    this.#answers.set(address, answer);
    return answer;
  }
}

function addNetwork(blocks: BlockList, network: string): string | undefined {
  const [addressText = "", lengthText, ...rest] = network.split("/");
  const address = peerAddress(addressText);
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return "is not an IP address or network";
  const type = family === 4 ? "ipv4" : "ipv6";
  if (lengthText === undefined) {
    blocks.addAddress(address, type);
    return undefined;
  }
  // ::ffff:192.0.2.0/120 is 192.0.2.0/24.
  const offset = address === addressText ? 0 : 96;
  const length = /^\d{1,3}$/.test(lengthText) ? Number(lengthText) - offset : Number.NaN;
  const longest = family === 4 ? 32 : 128;
  if (!(length >= 0 && length <= longest)) return `has a prefix length outside 0 to ${longest}`;
  blocks.addSubnet(address, length, type);
  return undefined;
}
