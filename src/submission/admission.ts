import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Clock } from "../clock.ts";
import { parseMailbox } from "../smtp/mailbox.ts";
import { networkOf } from "./authenticationThrottle.ts";
import type { Authenticator } from "./authenticator.ts";
import { type ClientCertificates, certificateStanding } from "./clientCertificate.ts";
import { ClientRates, perMinute, type RateLimits } from "./clientRates.ts";
import type { Rejection } from "./rejection.ts";
import { type ClientStanding, type Permission, relayPermission } from "./relayPermission.ts";
import { rewrittenSender, type SenderRewrite } from "./senderRewrite.ts";
import { peerAddress, TrustedNetworks } from "./trustedNetworks.ts";
import { maySendAs, type User } from "./usersFile.ts";

/** Who may do what and how much of it, for all connections of a listener together; what of it a reload changes is in AdmissionLimits. */
export type AdmissionLimits = RateLimits & {
  trustedNetworks: readonly string[];
  /** Load balancers that must say, by the PROXY protocol, whom they connect for. */
  proxyProtocolNetworks?: readonly string[];
  /** Of one IPv4 address or IPv6 /64; undefined: no limit. */
  maxConnectionsPerClient?: number | undefined;
  senderRewrites?: readonly SenderRewrite[];
};

export type AdmissionOptions = {
  clock: Clock;
  /** Undefined: there is no AUTH. */
  authenticator: Authenticator | undefined;
  /** Whether AUTH is taken outside TLS: never, or from clients on the same machine. */
  authWithoutTls: "never" | "loopback";
  /** Undefined: no certificates of clients are asked for. */
  clientCertificates: ClientCertificates | undefined;
};

/** One connection as it is now. */
export type Client = {
  address: string;
  origin: ClientStanding["origin"];
  tls: "active" | "offered" | "not-offered";
  user: User | undefined;
  certificate: "accepted" | "none";
};

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #rates = new ClientRates();
  readonly #connections = new Map<string, number>();
  readonly #loopback = networksOf("authWithoutTls", ["127.0.0.0/8", "::1/128"]);
  #limits: AdmissionLimits;
  #trusted: TrustedNetworks;
  #proxies: TrustedNetworks;

  /** Throws an Error when a network cannot be understood. */
  constructor(options: AdmissionOptions, limits: AdmissionLimits) {
    this.#options = options;
    this.#limits = limits;
    this.#trusted = networksOf("trustedNetworks", limits.trustedNetworks);
    this.#proxies = networksOf("proxyProtocolNetworks", limits.proxyProtocolNetworks ?? []);
  }

  get authenticator(): Authenticator | undefined {
    return this.#options.authenticator;
  }

  /** What a client is by the certificate that it showed in the handshake of this socket. */
  certificate(socket: Socket): Client["certificate"] {
    const { clientCertificates } = this.#options;
    return clientCertificates === undefined || !(socket instanceof TLSSocket)
      ? "none"
      : certificateStanding(socket, clientCertificates);
  }

  /** From now on; throws, with nothing changed, when a network cannot be understood. */
  limit(limits: AdmissionLimits): void {
    const trusted = networksOf("trustedNetworks", limits.trustedNetworks);
    const proxies = networksOf("proxyProtocolNetworks", limits.proxyProtocolNetworks ?? []);
    this.#trusted = trusted;
    this.#proxies = proxies;
    this.#limits = limits;
  }

  /** Whether a peer with this address must begin with a PROXY protocol header. */
  isLoadBalancer(address: string): boolean {
    return this.#proxies.contains(address);
  }

  /** Counts a connection until `closed` is called for it. */
  opened(address: string): void {
    const place = networkOf(peerAddress(address));
    this.#connections.set(place, (this.#connections.get(place) ?? 0) + 1);
  }

  closed(address: string): void {
    const place = networkOf(peerAddress(address));
    const open = (this.#connections.get(place) ?? 0) - 1;
    if (open > 0) this.#connections.set(place, open);
    else this.#connections.delete(place);
  }

  /** Why this client's connection, which is counted already, is one too many; undefined: it is not. */
  connectionRefusal(address: string): Rejection | undefined {
    const open = this.#connections.get(networkOf(peerAddress(address))) ?? 0;
    const { maxConnectionsPerClient } = this.#limits;
    if (maxConnectionsPerClient === undefined || open <= maxConnectionsPerClient) return undefined;
    return { reason: "too-many-connections", code: 421, status: "4.7.0", text: "too many connections from you, try again later" };
  }

  authentication({ address, origin, tls }: Client): ClientStanding["authentication"] {
    if (this.#options.authenticator === undefined) return "none";
    if (tls === "active") return "possible";
    const here = this.#options.authWithoutTls === "loopback" && origin === "direct";
    if (here && this.#loopback.contains(address)) return "possible";
    return tls === "offered" ? "behind-tls" : "none";
  }

  mayRelay(client: Client): Permission {
    const { address, origin, user, certificate } = client;
    return relayPermission({
      address,
      origin,
      network: this.#trusted.contains(address) ? "trusted" : "untrusted",
      identity: this.#current(user) !== undefined ? "user" : certificate === "accepted" ? "certificate" : "none",
      authentication: this.authentication(client),
    });
  }

  /** Why this envelope sender is not this client's; undefined: it is. A user that is gone has none. */
  senderRefusal({ user }: Client, sender: string): Rejection | undefined {
    const current = this.#current(user);
    if (user === undefined || (current !== undefined && maySendAs(current, sender))) return undefined;
    const text = `user ${user.name} may not send as <${sender}>`;
    return { reason: "sender-denied", code: 553, status: "5.7.1", text };
  }

  /** Counts a message or a recipient of this client; why there may be no more of them now. */
  rateRefusal(what: "messages" | "recipients", { user, address }: Client): Rejection | undefined {
    if (perMinute(what, this.#limits) === undefined) return undefined;
    const key = user === undefined ? `address ${networkOf(peerAddress(address))}` : `user ${user.name}`;
    if (this.#rates.take(what, key, this.#limits, this.#options.clock.monotonic()) === "taken") return undefined;
    return { reason: "rate-limited", code: 451, status: "4.7.1", text: `too many ${what} in a minute, try again later` };
  }

  /** The envelope sender that goes on; a refusal where it would be one that RFC 5321 §4.5.3.1.3 has no room for. */
  rewritten(sender: string): { kind: "sender"; sender: string } | { kind: "refused"; rejection: Rejection } {
    const rewritten = rewrittenSender(sender, this.#limits.senderRewrites ?? []);
    if (rewritten === sender || rewritten === "" || !("kind" in parseMailbox(rewritten)))
      return { kind: "sender", sender: rewritten };
    const text = `the sender would be rewritten to an address that is too long: <${sender}>`;
    return { kind: "refused", rejection: { reason: "bad-address", code: 553, status: "5.1.7", text } };
  }

  #current(user: User | undefined): User | undefined {
    return user === undefined ? undefined : this.#options.authenticator?.current(user);
  }
}

function networksOf(key: string, networks: readonly string[]): TrustedNetworks {
  const parsed = TrustedNetworks.parse(networks);
  if (!(parsed instanceof TrustedNetworks)) throw new Error(`submission.${key}: ${parsed.reason}`);
  return parsed;
}
