import { DANE_EE, presentTlsa } from "../dane/tlsa.ts";
import type { UsableDemand } from "../policy/stsPolicy.ts";
import type { DaneAuthenticate } from "../policy/tlsPolicy.ts";
import type { ConnectionRequest, TlsNeed } from "./connection.ts";

/** What of a connection to a host decides whose session it may use. */
type PooledConnection = {
  host: string;
  address: string;
  tls: UsableDemand;
  request: Omit<ConnectionRequest, "tls" | "address" | "serverName">;
};

/**
 * Sessions are shared only between deliveries to the same host, address and port under the same demand and TLSA set, and the same reference names
 * where names are looked at. Under DANE-EE alone they are not (RFC 7672 §3.1.1): there all domains of one host share its sessions.
 */
export function poolKey(connection: PooledConnection, need: TlsNeed["need"]): string {
  const { tls, request } = connection;
  const policy = tlsaPolicyOf(tls);
  const tlsa =
    policy === undefined ? [] : [policy.base, ...policy.records.map(presentTlsa).sort(), ...[...namesLookedAt(policy)].sort()];
  const demand = tls.kind === "authenticateByPkix" ? ["pkix", tls.identifier, ...tlsa] : tlsa;
  const channel = request.implicitTls ? "implicit" : "starttls";
  const user = request.auth?.user ?? "";
  return [connection.host, connection.address, request.port, channel, request.localAddress ?? "", user, need, ...demand].join(
    "|",
  );
}

/** The TLSA records that the server has to match. */
export function tlsaPolicyOf(tls: UsableDemand): DaneAuthenticate | undefined {
  if (tls.kind === "authenticateByPkix") return tls.dane;
  return tls.kind === "authenticate" ? tls.policy : undefined;
}

function namesLookedAt({ records, identifiers }: DaneAuthenticate): DaneAuthenticate["identifiers"] {
  return records.every(({ usage }) => usage === DANE_EE) ? [] : identifiers;
}
