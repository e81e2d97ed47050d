import { Pace, type PaceLimits } from "../clock/pace.ts";
import type { Clock } from "../clock.ts";
import { serverKey } from "./serverSelection.ts";
import type { Transport } from "./transport.ts";

/** For surveys: what one name server gets at most. Authoritative servers are other people's; an upstream is there for us. */
export type DnsPace = { authoritative: PaceLimits; upstream: PaceLimits };

/** The same transport, within the limits of `pace` if there are any; the time that a query waits for its turn is not that of its server. */
export function pacedTransport(transport: Transport, pace: DnsPace | undefined, clock: Clock): Transport {
  if (pace === undefined) return transport;
  const lanes = { authoritative: new Pace(pace.authoritative, clock), upstream: new Pace(pace.upstream, clock) };
  return {
    exchange: (server, query, timeoutMilliseconds) =>
      lanes[query.recursionDesired ? "upstream" : "authoritative"].run(serverKey(server), () =>
        transport.exchange(server, query, timeoutMilliseconds),
      ),
  };
}
