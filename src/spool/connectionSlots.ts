/**
 * Who may use a connection now, in order of arrival. Beside the pool's own queue, because to wait for one's turn, while the database answers, and to
 * wait for a database that does not take a connection are two things: the first may last.
 */
export class ConnectionSlots {
  readonly #waitMilliseconds: number;
  readonly #waiting = new Set<() => void>();
  #free: number;

  constructor(count: number, waitMilliseconds: number) {
    this.#free = count;
    this.#waitMilliseconds = waitMilliseconds;
  }

  /** Resolves when it is the caller's turn, which ends with `leave`; rejects when that takes too long. */
  enter(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const turn = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(turn);
        reject(new Error(`all connections were in use for ${this.#waitMilliseconds / 1000} s`));
      }, this.#waitMilliseconds);
      this.#waiting.add(turn);
    });
  }

  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free += 1;
    else {
      this.#waiting.delete(next);
      next();
    }
  }
}
