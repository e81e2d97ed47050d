import { isIP } from "node:net";

/** resolv.conf(5): the machine's own name servers. */
export const RESOLV_CONF = "/etc/resolv.conf";

/** The addresses of `nameserver` lines, in order and once each; what is no address is passed over, as the C library does. */
export function nameserversOf(text: string): readonly string[] {
  const found = text.split("\n").map((line) => /^nameserver[ \t]+(\S+)/.exec(line)?.[1] ?? "");
  return [...new Set(found.filter((address) => isIP(address) !== 0))];
}
