import { displayName } from "../dns/name.ts";
import { addressLiteralText } from "../smtp/addressLiteral.ts";
import { destinationOf, parseMailbox, parseMailDomain } from "../smtp/mailbox.ts";
import { parseNextHop, type RouteSetting } from "./route.ts";

/** What can be explained: a domain, an address, an address literal; or the next hop of a route, as `delivery.routes` writes it with its port. */
export type ExplainTarget =
  | { kind: "destination"; destination: string; recipient: string }
  | { kind: "nextHop"; destination: string; recipient: string; route: RouteSetting }
  | { kind: "error"; reason: string };

const PORT_BEHIND = /^(?:\[[^\]]+\]|[^@:[\]]+):[0-9]+$/;
const SUBMISSIONS_PORT = 465;

/** `routes`: where a next hop is one of them, TLS and credentials are as it says. */
export function explainTarget(text: string, routes: readonly RouteSetting[], defaultPort: number): ExplainTarget {
  if (PORT_BEHIND.test(text)) return nextHopTarget(text, routes, defaultPort);
  if (text.includes("@")) {
    const mailbox = parseMailbox(text);
    if ("kind" in mailbox) return { kind: "error", reason: mailbox.reason };
    return { kind: "destination", destination: destinationOf(mailbox), recipient: mailbox.text };
  }
  const domain = parseMailDomain(text.replace(/\.$/, ""));
  if (domain.kind === "error") return { kind: "error", reason: domain.reason };
  const destination = domain.kind === "literal" ? addressLiteralText(domain) : displayName(domain.name);
  return { kind: "destination", destination, recipient: `postmaster@${destination}` };
}

function nextHopTarget(text: string, routes: readonly RouteSetting[], defaultPort: number): ExplainTarget {
  const hop = parseNextHop(text, defaultPort);
  if (hop.kind === "error") return { kind: "error", reason: hop.reason };
  const known = routes.find(({ nextHop }) => nextHop.toLowerCase() === text.toLowerCase());
  const tls = hop.port === SUBMISSIONS_PORT ? "implicit" : "starttls";
  const destination = hop.kind === "address" ? text : displayName(hop.name);
  const route: RouteSetting = { ...(known ?? { nextHop: text, tls }), domain: destination };
  return { kind: "nextHop", destination, recipient: `postmaster@${destination}`, route };
}

/** The routes under which `target` is tried: its own before those of the configuration. */
export function routesFor(
  target: Exclude<ExplainTarget, { kind: "error" }>,
  routes: readonly RouteSetting[],
): readonly RouteSetting[] {
  return target.kind === "nextHop" ? [target.route] : routes;
}
