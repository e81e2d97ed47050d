/** How many spans of time are told apart. */
const MAX_SPANS = 32;

type Span = { entries: number; oldest: number };

/**
 * When the entries of a group were accepted, in little memory however many they are: what is left of the oldest one is known again after it left.
 * Times are milliseconds since the epoch. Up to 32 different times are exact; beyond that they are kept in spans of time whose width grows with the
 * time between the oldest and the newest, and then `oldest` may be too early by one span, a sixteenth of that time at most.
 */
export type TimesSnapshot = { width: number; spans: readonly (readonly [number, Span])[] };

export class AcceptanceTimes {
  #width = 1;
  #spans = new Map<number, Span>();

  static of({ width, spans }: TimesSnapshot): AcceptanceTimes {
    const times = new AcceptanceTimes();
    times.#width = width;
    times.#spans = new Map(spans);
    return times;
  }

  snapshot(): TimesSnapshot {
    return { width: this.#width, spans: [...this.#spans] };
  }

  add(at: number): void {
    this.#put(Math.floor(at / this.#width), 1, at);
    while (this.#spans.size > MAX_SPANS) this.#widen();
  }

  /** One that was added. */
  remove(at: number): void {
    const number = Math.floor(at / this.#width);
    const span = this.#spans.get(number);
    if (span === undefined) return;
    span.entries -= 1;
    if (span.entries === 0) this.#spans.delete(number);
  }

  oldest(): number | undefined {
    let found: number | undefined;
    for (const { oldest } of this.#spans.values()) if (found === undefined || oldest < found) found = oldest;
    return found;
  }

  #put(number: number, entries: number, oldest: number): void {
    const known = this.#spans.get(number);
    if (known === undefined) {
      this.#spans.set(number, { entries, oldest });
      return;
    }
    known.entries += entries;
    known.oldest = Math.min(known.oldest, oldest);
  }

  #widen(): void {
    const spans = this.#spans;
    this.#width *= 2;
    this.#spans = new Map();
    for (const { entries, oldest } of spans.values()) this.#put(Math.floor(oldest / this.#width), entries, oldest);
  }
}
