import { LRUCache } from "lru-cache";
import { Pace, type PaceLimits } from "../clock/pace.ts";
import type { Clock } from "../clock.ts";
import { type ConnectionRequest, type ConnectionResult, type ConnectionSight, openConnection } from "./connection.ts";
import { rehearsed } from "./rehearsal.ts";

/**
 * Connections of a survey: each mail host is connected to once, however many domains lead to it, and what it showed is judged for each of
 * them anew. Nobody gets many connections at a time, or at short intervals.
 */
export const SMTP_PACE: PaceLimits = { most: 2, gapMilliseconds: 1000 };
/** What is remembered of servers; a host with its certificates takes some 5,000 octets. */
const MAX_OCTETS = 128 * 2 ** 20;
const OCTETS_BESIDE_CERTIFICATES = 2000;

type Probe = { sights: readonly ConnectionSight[]; result: ConnectionResult };

export class SurveyConnections {
  readonly #pace: Pace;
  readonly #underway = new Map<string, Promise<Probe>>();
  readonly #made = new LRUCache<string, Probe>({ maxSize: MAX_OCTETS, sizeCalculation: octetsOf });
  #count = 0;

  constructor(clock: Clock, pace: PaceLimits = SMTP_PACE) {
    this.#pace = new Pace(pace, clock);
  }

  /** How many connections were made. */
  get count(): number {
    return this.#count;
  }

  readonly open = async (request: ConnectionRequest): Promise<ConnectionResult> => {
    const { sights, result } = await this.#probeOf(request);
    for (const sight of sights) request.onSight?.(sight);
    return judged(result, request);
  };

  #probeOf(request: ConnectionRequest): Promise<Probe> {
    const key = keyOf(request);
    const known = this.#made.get(key);
    if (known !== undefined) return Promise.resolve(known);
    const underway = this.#underway.get(key) ?? this.#pace.run(request.address, () => this.#probe(request));
    this.#underway.set(key, underway);
    return underway.then((probe) => {
      this.#made.set(key, probe);
      this.#underway.delete(key);
      return probe;
    });
  }

  async #probe(request: ConnectionRequest): Promise<Probe> {
    this.#count += 1;
    const sights: ConnectionSight[] = [];
    const { need } = request.tls;
    const onSight = (sight: ConnectionSight): void => {
      sights.push(sight);
    };
    // Nothing is sent that would need protection: no mail, no credentials. The verdict on the certificate is each domain's own.
    const tls = need === "authenticate" ? { need, verify: () => ({ kind: "accepted" }) as const } : request.tls;
    const result = await openConnection({ ...request, tls, onSight });
    if (result.kind === "failed") return { sights, result };
    await result.session.quit();
    return { sights, result: { kind: "ready", session: rehearsed(result.session) } };
  }
}

/** What makes a difference on the wire. That TLS is demanded does: it then is 1.2 at least. */
function keyOf({ address, port, localAddress = "", serverName = "", implicitTls, tls: { need } }: ConnectionRequest): string {
  const demand = need === "authenticate" ? "encrypt" : need;
  return [address, port, localAddress, serverName, implicitTls ? "implicit" : "starttls", demand].join("|");
}

/** The same connection under what this request demands. */
function judged(result: ConnectionResult, { tls }: ConnectionRequest): ConnectionResult {
  if (result.kind === "failed" || result.session.security.kind === "clear") return result;
  const { session } = result;
  const { security } = session;
  if (security.kind === "clear") return result;
  if (tls.need !== "authenticate")
    return { kind: "ready", session: { ...session, security: { ...security, authenticated: "not-verified" } } };
  const { chain } = security;
  const verdict = tls.verify(chain);
  if (verdict.kind === "refused") {
    const ends = session.ends === undefined ? {} : { ends: session.ends };
    return { kind: "failed", failure: { stage: "verify", text: verdict.reason, chain, ...ends } };
  }
  return { kind: "ready", session: { ...session, security: { ...security, authenticated: "verified" } } };
}

function octetsOf({ sights }: Probe): number {
  const chains = sights.flatMap((sight) => (sight.kind === "handshake" ? sight.chain : []));
  return chains.reduce((sum, { length }) => sum + length, OCTETS_BESIDE_CERTIFICATES);
}
