import type { Envelope, RecipientRequest } from "./message.ts";

/**
 * The place of new mail in the queue, fair between senders: a list of a hundred thousand messages does not keep the single message behind it
 * waiting. A claim takes the oldest due first, so a place is a due time, always in the past, and the store needs nothing but its order:
 *
 *   a sender who sent nothing lately    a day before its time: next
 *   each message after it               a minute further behind, as long as the sender does not pause: behind the single messages of others
 *   at the end of that day              its own time, as a recipient that is due again
 *
 * So nobody waits for a list, a list waits for what others send within a day at most, what one sender sends stays in order, and nothing waits
 * that could go now. Senders are told apart by address, and by domain, at a sixtieth of the weight, for a list gives each message an address of
 * its own (VERP). Notices, which have no sender, are told apart by whom they are for. What is known is in memory: a restart forgives.
 */
export const HEAD_START_MILLISECONDS = 24 * 3_600_000;

/** What one message puts the next of the same address, or the same domain, behind, and how far it can come to. */
const BY_ADDRESS = { step: 60_000, most: 18 * 3_600_000 } as const;
const BY_DOMAIN = { step: 1_000, most: 6 * 3_600_000 } as const;
const DEFAULT_REMEMBERED = 20_000;

export class SenderTurns {
  readonly #addresses: NextTurns;
  readonly #domains: NextTurns;

  constructor(maxRemembered: number = DEFAULT_REMEMBERED) {
    this.#addresses = new NextTurns({ ...BY_ADDRESS, maxRemembered });
    this.#domains = new NextTurns({ ...BY_DOMAIN, maxRemembered });
  }

  /** The due time of new mail of `envelope` at one destination, in milliseconds since the epoch; counts as sent. */
  place({ sender, acceptedAt }: Pick<Envelope, "sender" | "acceptedAt">, { address }: Pick<RecipientRequest, "address">): number {
    const who = sender === "" ? `<> ${address}` : sender;
    const domain = who.slice(who.lastIndexOf("@") + 1).toLowerCase();
    const behind =
      this.#addresses.take(who, acceptedAt) + this.#domains.take(sender === "" ? `<> ${domain}` : domain, acceptedAt);
    return acceptedAt - HEAD_START_MILLISECONDS + behind;
  }
}

type Bounds = { step: number; most: number; maxRemembered: number };

class NextTurns {
  readonly #bounds: Bounds;
  /** In the order in which they were used last. */
  readonly #next = new Map<string, number>();

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  /** Milliseconds behind `now` that the turn of `key` has come to. */
  take(key: string, now: number): number {
    const { step, most, maxRemembered } = this.#bounds;
    const turn = Math.min(Math.max(this.#next.get(key) ?? now, now), now + most);
    this.#next.delete(key);
    this.#next.set(key, turn + step);
    const [oldest] = this.#next.keys();
    if (this.#next.size > maxRemembered && oldest !== undefined) this.#next.delete(oldest);
    return turn - now;
  }
}
