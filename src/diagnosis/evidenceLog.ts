import type { Message } from "../dns/message.ts";
import type { DomainName } from "../dns/name.ts";
import type { Evidence, Needed, Trust } from "../dnssec/evidence.ts";

/**
 * The evidence that look-ups were judged by: the last message for each question, and what was proved about each name on the way down from a
 * trust anchor. Bounded; what was heard first is forgotten first.
 */
const MAX_ENTRIES = 20_000;

export class EvidenceLog {
  readonly #messages = new Map<string, { message: Message; from?: string }>();
  readonly #failures = new Map<string, string>();
  readonly #trust = new Map<DomainName, Trust>();

  /** As the validator tells it. */
  readonly hear = (needed: Exclude<Needed, { kind: "pause" }>, evidence: Evidence): void => {
    if (needed.kind === "message") {
      const key = `${needed.type} ${needed.name}`;
      if (evidence.kind === "message") {
        const { message, from } = evidence;
        remember(this.#messages, key, { message, ...(from === undefined ? {} : { from }) });
      } else if (evidence.kind === "failed") remember(this.#failures, key, evidence.reason);
    } else if (evidence.kind === "trust") remember(this.#trust, needed.name, evidence.trust);
  };

  message(name: DomainName, type: number): Message | undefined {
    return this.#messages.get(`${type} ${name}`)?.message;
  }

  /** Why there was no answer to a question. */
  failure(name: DomainName, type: number): string | undefined {
    return this.#failures.get(`${type} ${name}`);
  }

  trust(name: DomainName): Trust | undefined {
    return this.#trust.get(name);
  }

  messages(): readonly Message[] {
    return [...this.#messages.values()].map(({ message }) => message);
  }
}

function remember<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > MAX_ENTRIES && oldest !== undefined) map.delete(oldest);
}
