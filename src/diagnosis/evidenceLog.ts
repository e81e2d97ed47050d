import type { Message } from "../dns/message.ts";
import type { DomainName } from "../dns/name.ts";
import type { Evidence, Needed, Trust } from "../dnssec/evidence.ts";

/**
 * The evidence that look-ups were judged by: the last message for each question, and what was proved about each name on the way down from a
 * trust anchor. Bounded; what was neither heard nor asked for the longest is forgotten first.
 */
const MAX_ENTRIES = 20_000;

export class EvidenceLog {
  readonly #messages = new Map<string, Message>();
  readonly #trust = new Map<DomainName, Trust>();

  /** As the validator tells it. */
  readonly hear = (needed: Exclude<Needed, { kind: "pause" }>, evidence: Evidence): void => {
    if (needed.kind === "message") {
      if (evidence.kind === "message") remember(this.#messages, `${needed.type} ${needed.name}`, evidence.message);
    } else if (evidence.kind === "trust") remember(this.#trust, needed.name, evidence.trust);
  };

  message(name: DomainName, type: number): Message | undefined {
    return recalled(this.#messages, `${type} ${name}`);
  }

  trust(name: DomainName): Trust | undefined {
    return recalled(this.#trust, name);
  }

  messages(): readonly Message[] {
    return [...this.#messages.values()];
  }
}

/** In a survey the evidence of a provider's zone is needed long after its answers came into the cache. */
function recalled<K, V>(map: Map<K, V>, key: K): V | undefined {
  const value = map.get(key);
  if (value !== undefined) remember(map, key, value);
  return value;
}

function remember<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > MAX_ENTRIES && oldest !== undefined) map.delete(oldest);
}
