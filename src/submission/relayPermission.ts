import type { Rejection } from "./rejection.ts";

/**
 * Who may relay: the one place where it is decided. An authenticated user; a client with an accepted certificate; an address of
 * `submission.trustedNetworks` that is the client's own. Nobody else, whatever else is configured.
 */
export type ClientStanding = {
  address: string;
  /** direct: `address` is the peer's. proxied: a load balancer that we trust said it. unknown: the load balancer did not know, or did not say. */
  origin: "direct" | "proxied" | "unknown";
  /** Whether `address` is in trustedNetworks. */
  network: "trusted" | "untrusted";
  /** What the client has shown of itself on this connection. */
  identity: "none" | "user" | "certificate";
  /** Whether there are users, and where the client could log in: now, or behind STARTTLS only. */
  authentication: "none" | "possible" | "behind-tls";
};

export type Permission = { kind: "allowed" } | { kind: "denied"; rejection: Rejection };

export function relayPermission({ address, origin, network, identity, authentication }: ClientStanding): Permission {
  if (identity !== "none") return { kind: "allowed" };
  // Of an unknown origin the address is the load balancer's: to trust it would be to trust everybody behind it.
  if (network === "trusted" && origin !== "unknown") return { kind: "allowed" };
  switch (authentication) {
    case "none": {
      const text = `relaying denied: ${address} is not in submission.trustedNetworks`;
      return { kind: "denied", rejection: { reason: "relay-denied", code: 550, status: "5.7.1", text } };
    }
    // RFC 4954 §6, RFC 3207 §4.
    case "possible":
      return authenticationRequired("authentication required");
    case "behind-tls":
      return authenticationRequired("authentication required, for which STARTTLS comes first");
    default:
      return authentication satisfies never;
  }
}

function authenticationRequired(text: string): Permission {
  return { kind: "denied", rejection: { reason: "auth-required", code: 530, status: "5.7.0", text } };
}
