/** How far a scan is: a bar on a terminal, a line now and then elsewhere. Times in milliseconds. */
export type ProgressStyle = "bar" | "lines";

const BAR_MILLISECONDS = 200;
const LINE_MILLISECONDS = 30_000;
const BAR_CHARACTERS = 30;

export class ScanProgress {
  readonly #style: ProgressStyle;
  readonly #write: (text: string) => void;
  readonly #now: () => number;
  #began: { at: number; done: number } | undefined;
  #shownAt = Number.NEGATIVE_INFINITY;

  /** `now`: a clock that never goes back. */
  constructor(style: ProgressStyle, write: (text: string) => void, now: () => number) {
    this.#style = style;
    this.#write = write;
    this.#now = now;
  }

  readonly show = (done: number, all: number): void => {
    const now = this.#now();
    this.#began ??= { at: now, done };
    const every = this.#style === "bar" ? BAR_MILLISECONDS : LINE_MILLISECONDS;
    if (now - this.#shownAt < every && done < all) return;
    this.#shownAt = now;
    const line = progressText(done, all, { milliseconds: now - this.#began.at, done: done - this.#began.done });
    this.#write(this.#style === "bar" ? `\r${bar(done, all)} ${line}\u001b[K${done === all ? "\n" : ""}` : `${line}\n`);
  };
}

function bar(done: number, all: number): string {
  const full = all === 0 ? BAR_CHARACTERS : Math.floor((BAR_CHARACTERS * done) / all);
  return `[${"#".repeat(full)}${".".repeat(BAR_CHARACTERS - full)}]`;
}

/** `since`: what was done since this process began, and how long it took. */
export function progressText(done: number, all: number, since: { milliseconds: number; done: number }): string {
  const percent = all === 0 ? 100 : Math.floor((100 * done) / all);
  const text = `${done} of ${all} domains (${percent} %)`;
  if (since.done === 0 || since.milliseconds === 0 || done === all) return text;
  const perSecond = (1000 * since.done) / since.milliseconds;
  const minutes = Math.ceil((all - done) / perSecond / 60);
  return `${text}, ${perSecond.toFixed(1)} a second, ${minutes} min left`;
}
