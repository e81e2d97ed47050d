import type { Message } from "../dns/message.ts";
import type { DomainName } from "../dns/name.ts";

/**
 * Where unvalidated data comes from: a forwarder (one upstream recursor, DO=1 CD=1) or the recursor (iteration from the root).
 * A message may hold a whole alias chain or only its first hop; the validator asks again for what is not there.
 * `DS` is answered by the parent side of the cut.
 */
export interface Source {
  ask(name: DomainName, type: number): Promise<SourceAnswer>;
}

/** `failed`: nobody gave a usable answer in time (SERVFAIL, REFUSED, timeout, malformed, lame); never taken as absence. */
export type SourceAnswer = { kind: "message"; message: Message } | { kind: "failed"; reason: string };
