import { constants, type X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { connect, createSecureContext, type SecureContext, type SecureVersion, type TLSSocket } from "node:tls";

/**
 * The client's TLS handshake. Node's own verification is switched off: what authenticates a server here is DANE or PKIX as the policy
 * says, judged by the caller from the chain as the server sent it.
 *
 * Sessions are never resumed. A resumed one shows no certificate, so it may only be used under the policy that verified it; and it saves
 * little: 0.67 ms of our time instead of 0.75. Connections are used again instead, which saves the handshake whole (connectionPool.ts).
 */
export type Handshake =
  | { kind: "secured"; socket: TLSSocket; protocol: string; cipher: string; group?: string; chain: readonly Buffer[] }
  | { kind: "failed"; text: string };

/** How much TLS has to be: demanded TLS has to be good (RFC 7671 §3, RFC 9325 §3.1.1: 1.2), opportunistic TLS only better than none. */
export type HandshakeDemand = "demanded" | "opportunistic";

/** No RFC has a time for it; a server that takes longer is not going to be quick with the mail. */
const HANDSHAKE_SECONDS = 60;

/** Smallest Diffie-Hellman prime, in bits, where the alternative is clear text. */
const OPPORTUNISTIC_DH_BITS = 512;

/** RFC 7671 §3, RFC 9325 §3.1.1. */
const DEMANDED_VERSION: SecureVersion = "TLSv1.2";
const OPPORTUNISTIC_VERSION: SecureVersion = "TLSv1";

const contexts = new Map<string, SecureContext>();

function contextFor(demand: HandshakeDemand, opportunisticVersion: SecureVersion): SecureContext {
  const minVersion = demand === "demanded" ? DEMANDED_VERSION : opportunisticVersion;
  const known = contexts.get(`${demand} ${minVersion}`);
  if (known !== undefined) return known;
  // RFC 7672 §8.2: OpenSSL's default suites all come with a certificate, so anybody can be talked to.
  // `ca: []`: Node's own verification is not used, so its 150 roots need not be loaded.
  const context =
    demand === "demanded"
      ? createSecureContext({ ca: [], minVersion, secureOptions: constants.SSL_OP_NO_RENEGOTIATION })
      : createSecureContext({
          ca: [],
          minVersion,
          ciphers: "DEFAULT:@SECLEVEL=0",
          secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_LEGACY_SERVER_CONNECT,
        });
  contexts.set(`${demand} ${minVersion}`, context);
  return context;
}

/**
 * The certificates as the server sent them, leaf first, as DER. `getPeerCertificate(true)` is not this: it drops what does not chain and
 * adds what it finds locally. OpenSSL bounds the list at 100 KiB.
 */
function chainAsSent(socket: TLSSocket): Buffer[] {
  const chain: Buffer[] = [];
  let certificate: X509Certificate | undefined = socket.getPeerX509Certificate();
  while (certificate !== undefined) {
    chain.push(certificate.raw);
    certificate = certificate.issuerCertificate;
  }
  return chain;
}

function keyExchangeGroup(socket: TLSSocket): string | undefined {
  const info = socket.getEphemeralKeyInfo();
  if (info === null || !("type" in info) || info.type === undefined) return undefined;
  if ("name" in info && info.name !== undefined) return info.name;
  return `${info.type}-${info.size}`;
}

function describe(socket: TLSSocket): Handshake {
  const chain = chainAsSent(socket);
  if (chain.length === 0) return { kind: "failed", text: "the server presented no certificate" };
  const group = keyExchangeGroup(socket);
  return {
    kind: "secured",
    socket,
    protocol: socket.getProtocol() ?? "unknown",
    cipher: socket.getCipher().name,
    chain,
    ...(group === undefined ? {} : { group }),
  };
}

function failureText(error: NodeJS.ErrnoException & { reason?: string }): string {
  const detail = error.reason ?? (error.code === "ECONNRESET" ? "the server closed the connection" : error.message);
  return `TLS handshake failed: ${detail}`;
}

/** Turns a connected socket into TLS. Nothing is sent inside; a failure closes the socket. */
export function tlsHandshake(
  socket: Socket,
  options: { demand: HandshakeDemand; opportunisticVersion?: SecureVersion; serverName?: string; ceilingSeconds?: number },
): Promise<Handshake> {
  const seconds = Math.min(HANDSHAKE_SECONDS, options.ceilingSeconds ?? HANDSHAKE_SECONDS);
  return new Promise((resolve) => {
    const secured = connect({
      socket,
      secureContext: contextFor(options.demand, options.opportunisticVersion ?? OPPORTUNISTIC_VERSION),
      // The caller judges the chain; here nobody is trusted or refused.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ...(options.demand === "opportunistic" ? { minDHSize: OPPORTUNISTIC_DH_BITS } : {}),
      // RFC 7672 §8.1: SNI is the TLSA base domain.
      ...(options.serverName === undefined ? {} : { servername: options.serverName }),
    });
    const end = (result: Handshake): void => {
      clearTimeout(deadline);
      if (result.kind === "failed") secured.destroy();
      resolve(result);
    };
    const deadline = setTimeout(
      () => end({ kind: "failed", text: `TLS handshake not done within ${seconds} s` }),
      seconds * 1000,
    );
    secured.once("secureConnect", () => end(describe(secured)));
    // Stays attached, so that an error between handshake and first use finds a listener.
    secured.on("error", (error) => end({ kind: "failed", text: failureText(error) }));
    secured.once("close", () => end({ kind: "failed", text: "TLS handshake failed: the server closed the connection" }));
  });
}
