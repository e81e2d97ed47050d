/**
 * When each destination has something due, in memory: a binary heap over destinations, not over messages, so that its size follows the
 * number of destinations that have mail waiting.
 *
 * A due time here is a lower bound: it may be earlier than the truth (then a claim finds nothing and corrects it), never later.
 * Parked: due, but passed over at the last claim; kept out of the heap so that the next claim does not dig through it.
 */
type Entry = { destination: string; due: number; position: number };

const PARKED = -1;

/** All that is parked is looked at again after this time; between, only a few at each claim, for there may be ten thousand. */
const RECHECK_MILLISECONDS = 100;
const RECHECK_FEW = 64;

/** How many works of a destination may be claimed now; 0 passes it over. */
export type Room = (destination: string) => number;

export class DueIndex {
  readonly #entries = new Map<string, Entry>();
  readonly #heap: Entry[] = [];
  readonly #parked = new Set<Entry>();
  readonly #recheckMilliseconds: number;
  #recheckedAt = Number.NEGATIVE_INFINITY;

  constructor(recheckMilliseconds = RECHECK_MILLISECONDS) {
    this.#recheckMilliseconds = recheckMilliseconds;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Something of `destination` is due at `due`: the earlier of this and what is known counts. */
  offer(destination: string, due: number): void {
    const entry = this.#entries.get(destination);
    if (entry === undefined || due < entry.due) this.set(destination, due);
  }

  /** The earliest due time of `destination` is exactly this; undefined: nothing of it waits. */
  set(destination: string, due: number | undefined): void {
    const entry = this.#entries.get(destination);
    if (due === undefined) {
      if (entry === undefined) return;
      this.#entries.delete(destination);
      this.#detach(entry);
      return;
    }
    if (entry === undefined) {
      const added = { destination, due, position: PARKED };
      this.#entries.set(destination, added);
      this.#attach(added);
      return;
    }
    entry.due = due;
    if (entry.position === PARKED) {
      this.#parked.delete(entry);
      this.#attach(entry);
    } else {
      this.#restore(entry.position);
    }
  }

  /** Up to `limit` destinations that have something due at `now` and room, the one waiting longest first. */
  pick(now: number, limit: number, room: Room): readonly { destination: string; room: number }[] {
    this.#recheck(now, room);
    const picked: { destination: string; room: number }[] = [];
    const back: Entry[] = [];
    for (let first = this.#heap[0]; first !== undefined && first.due <= now && picked.length < limit; first = this.#heap[0]) {
      this.#detach(first);
      const free = room(first.destination);
      if (free <= 0) {
        this.#parked.add(first);
        continue;
      }
      picked.push({ destination: first.destination, room: free });
      back.push(first);
    }
    for (const entry of back) this.#attach(entry);
    return picked;
  }

  /** Everything that is due after `after` is due `by` milliseconds earlier. */
  bringForward(after: number, by: number): void {
    for (const { destination, due } of [...this.#entries.values()]) if (due > after) this.set(destination, due - by);
  }

  /** There may be room for `destination` again: the next claim looks at it. */
  unpark(destination: string): void {
    const entry = this.#entries.get(destination);
    if (entry !== undefined && this.#parked.delete(entry)) this.#attach(entry);
  }

  #recheck(now: number, room: Room): void {
    const due = Math.abs(now - this.#recheckedAt) >= this.#recheckMilliseconds;
    if (due) this.#recheckedAt = now;
    let left = due ? this.#parked.size : Math.min(this.#parked.size, RECHECK_FEW);
    for (const entry of this.#parked) {
      if (left === 0) return;
      left -= 1;
      // Out and in again: to the end, behind those that are looked at next time.
      this.#parked.delete(entry);
      if (room(entry.destination) > 0) this.#attach(entry);
      else this.#parked.add(entry);
    }
  }

  /** The earliest due time; undefined when nothing waits. Destinations in `exclude` do not count. */
  nextDue(exclude?: Pick<ReadonlySet<string>, "has">): number | undefined {
    let earliest: number | undefined;
    const consider = (entry: Entry): void => {
      if (exclude?.has(entry.destination) === true) return;
      if (earliest === undefined || entry.due < earliest) earliest = entry.due;
    };
    for (const entry of this.#parked) consider(entry);
    const first = this.#heap[0];
    if (first === undefined) return earliest;
    if (exclude?.has(first.destination) !== true) consider(first);
    else for (const entry of this.#heap) consider(entry);
    return earliest;
  }

  #attach(entry: Entry): void {
    entry.position = this.#heap.length;
    this.#heap.push(entry);
    this.#restore(entry.position);
  }

  #detach(entry: Entry): void {
    if (entry.position === PARKED) {
      this.#parked.delete(entry);
      return;
    }
    const { position } = entry;
    const last = this.#heap.pop();
    entry.position = PARKED;
    if (last === undefined || last === entry) return;
    this.#place(last, position);
    this.#restore(position);
  }

  #place(entry: Entry, position: number): void {
    this.#heap[position] = entry;
    entry.position = position;
  }

  /** Moves the entry at `position` up or down to where the heap order holds again. */
  #restore(position: number): void {
    const entry = this.#heap[position];
    if (entry === undefined) return;
    let at = position;
    for (let parent = this.#parentAbove(at, entry); parent !== undefined; parent = this.#parentAbove(at, entry)) {
      const above = parent.position;
      this.#place(parent, at);
      at = above;
    }
    for (let child = this.#childBelow(at, entry); child !== undefined; child = this.#childBelow(at, entry)) {
      const below = child.position;
      this.#place(child, at);
      at = below;
    }
    this.#place(entry, at);
  }

  #parentAbove(at: number, entry: Entry): Entry | undefined {
    const parent = at === 0 ? undefined : this.#heap[(at - 1) >> 1];
    return parent !== undefined && parent.due > entry.due ? parent : undefined;
  }

  #childBelow(at: number, entry: Entry): Entry | undefined {
    const left = this.#heap[2 * at + 1];
    const right = this.#heap[2 * at + 2];
    const smaller = left !== undefined && right !== undefined && right.due < left.due ? right : left;
    return smaller !== undefined && smaller.due < entry.due ? smaller : undefined;
  }
}
