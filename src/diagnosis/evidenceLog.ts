import type { Message } from "../dns/message.ts";
import type { DomainName } from "../dns/name.ts";
import type { Evidence, Needed, Trust } from "../dnssec/evidence.ts";

/**
 * The evidence that look-ups were judged by: the last message for each question, and what was proved about each name on the way down from a
 * trust anchor. Bounded; what was neither heard nor asked for the longest is forgotten first.
 */
const MAX_ENTRIES = 8000;

export class EvidenceLog {
  readonly #messages = new Recollection<string, Message>();
  readonly #trust = new Recollection<DomainName, Trust>();

  /** As the validator tells it. */
  readonly hear = (needed: Exclude<Needed, { kind: "pause" }>, evidence: Evidence): void => {
    if (needed.kind === "message") {
      if (evidence.kind === "message") this.#messages.set(`${needed.type} ${needed.name}`, evidence.message);
    } else if (evidence.kind === "trust") this.#trust.set(needed.name, evidence.trust);
  };

  message(name: DomainName, type: number): Message | undefined {
    return this.#messages.get(`${type} ${name}`);
  }

  trust(name: DomainName): Trust | undefined {
    return this.#trust.get(name);
  }

  messages(): Iterable<Message> {
    return this.#messages.values();
  }
}

/**
 * Two generations: what is asked for moves into the younger one, and when that is full the older one goes. In a survey the evidence of a
 * provider's zone is needed long after its answers came into the cache.
 */
class Recollection<K, V> {
  #young = new Map<K, V>();
  #old = new Map<K, V>();

  get(key: K): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const value = this.#old.get(key);
    if (value !== undefined) this.set(key, value);
    return value;
  }

  set(key: K, value: V): void {
    this.#old.delete(key);
    this.#young.set(key, value);
    if (this.#young.size < MAX_ENTRIES / 2) return;
    this.#old = this.#young;
    this.#young = new Map();
  }

  *values(): Generator<V> {
    yield* this.#young.values();
    yield* this.#old.values();
  }
}
