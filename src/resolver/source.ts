import type { Message } from "../dns/message.ts";
import type { DomainName } from "../dns/name.ts";

/**
 * Where unvalidated data comes from: a forwarder (one upstream recursor, DO=1 CD=1) or the recursor (iteration from the root).
 * A message may hold a whole alias chain or only its first hop; the validator asks again for what is not there.
 * `DS` is answered by the parent side of the cut.
 */
export interface Source {
  ask(name: DomainName, type: number, options?: AskOptions): Promise<SourceAnswer>;
}

export type AskOptions = {
  /**
   * Servers (`from` of earlier answers) whose answer to this question did not validate. Others are asked instead; the result is
   * `failed` when there is none. A source with a single upstream may ignore it: the validator bounds how often it asks again.
   */
  avoid?: ReadonlySet<string>;
};

/**
 * `failed`: nobody gave a usable answer in time (SERVFAIL, REFUSED, timeout, malformed, lame); never taken as absence.
 * `from` names the server that a message came from, for `avoid`.
 */
export type SourceAnswer = { kind: "message"; message: Message; from?: string } | { kind: "failed"; reason: string };
