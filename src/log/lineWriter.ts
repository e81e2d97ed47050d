import { write } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";

/** Of lines that wait for a slow reader. */
const MAX_WAITING_CHARACTERS = 16 * 1024 * 1024;
/** After a write the next lines gather for so long: a write for each line would cost more than the line. */
const GATHERING_MILLISECONDS = 10;
const FULL_PIPE_MILLISECONDS = 20;
const TROUBLE_MILLISECONDS = 1000;
const FLUSH_MILLISECONDS = 2000;
const FLUSH_POLL_MILLISECONDS = 5;

/**
 * Lines to a file descriptor without making anybody wait for its reader, in order, one write at a time. A log must not stop the mail: what
 * cannot be written now (disk full, reader slow) waits, up to a bound; beyond it, and once the reader is gone, lines are dropped.
 */
export class LineWriter {
  readonly #descriptor: number;
  #lines: string[] = [];
  #waitingCharacters = 0;
  /** What is being written, or has to be tried again. */
  #current: Buffer = Buffer.alloc(0);
  #state: "idle" | "writing" | "pausing" | "closed" = "idle";

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  write(line: string): void {
    if (this.#state === "closed" || this.#waitingCharacters + line.length > MAX_WAITING_CHARACTERS) return;
    this.#lines.push(line);
    this.#waitingCharacters += line.length;
    if (this.#state === "idle") this.#next();
  }

  /** Resolves when everything is written, or when that takes too long. */
  async flush(): Promise<void> {
    for (let waited = 0; waited < FLUSH_MILLISECONDS; waited += FLUSH_POLL_MILLISECONDS) {
      if (this.#state === "idle" || this.#state === "closed") return;
      await wait(FLUSH_POLL_MILLISECONDS);
    }
  }

  #next(): void {
    if (this.#current.length === 0) {
      this.#current = Buffer.from(this.#lines.join(""));
      this.#lines = [];
      this.#waitingCharacters = 0;
    }
    if (this.#current.length === 0) {
      this.#state = "idle";
      return;
    }
    this.#state = "writing";
    write(this.#descriptor, this.#current, (error, written) => this.#wrote(error, written));
  }

  #wrote(error: NodeJS.ErrnoException | null, written: number): void {
    if (error === null) {
      this.#current = this.#current.subarray(written);
      if (this.#current.length > 0) this.#next();
      else this.#pause(GATHERING_MILLISECONDS);
    } else if (error.code === "EPIPE" || error.code === "EBADF") {
      this.#state = "closed";
      this.#lines = [];
    } else {
      // EAGAIN of a pipe that is full, ENOSPC of a disk: both may pass.
      this.#pause(error.code === "EAGAIN" ? FULL_PIPE_MILLISECONDS : TROUBLE_MILLISECONDS);
    }
  }

  #pause(milliseconds: number): void {
    this.#state = "pausing";
    setTimeout(() => this.#next(), milliseconds).unref();
  }
}
