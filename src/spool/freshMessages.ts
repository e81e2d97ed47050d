import type { Envelope } from "./message.ts";
import type { MessageRow } from "./storeOperation.ts";

/**
 * Messages that were committed a moment ago, by their number in the database: most are claimed at once, and then need not be read back. It
 * decides nothing: what is not here is read from the database, which is what a restart has. A message's row never changes, but its number may be
 * given to another message once it has left; so each commit replaces what was known under its number.
 */
export type StoredMessage = { envelope: Envelope; content?: Uint8Array };

/** Of contents; what was kept longest goes first. */
const DEFAULT_MAX_OCTETS = 16 * 1024 * 1024;
/** What an entry takes beside its content, roughly: bounds the number of small ones too. */
const ENTRY_OCTETS = 1024;

export class FreshMessages {
  readonly #maxOctets: number;
  readonly #kept = new Map<number, StoredMessage>();
  #octets = 0;

  constructor(maxOctets: number = DEFAULT_MAX_OCTETS) {
    this.#maxOctets = maxOctets;
  }

  /** What its estimate of its own memory is, at most the bound. */
  get octets(): number {
    return this.#octets;
  }

  /** After the COMMIT that stored it. Its content changes owner: nobody else may use it from now on. */
  keep(sequence: number, { envelope, content }: Pick<MessageRow, "envelope" | "content">): void {
    this.take(sequence);
    const message: StoredMessage = content === undefined ? { envelope } : { envelope, content };
    if (weight(message) > this.#maxOctets) return;
    this.#kept.set(sequence, message);
    this.#octets += weight(message);
    for (const oldest of this.#kept.keys()) {
      if (this.#octets <= this.#maxOctets) return;
      this.take(oldest);
    }
  }

  /** Hands it over, once: the memory of its content then belongs to whoever asked. */
  take(sequence: number): StoredMessage | undefined {
    const message = this.#kept.get(sequence);
    if (message === undefined) return undefined;
    this.#kept.delete(sequence);
    this.#octets -= weight(message);
    return message;
  }
}

function weight({ content }: StoredMessage): number {
  return ENTRY_OCTETS + (content?.length ?? 0);
}
