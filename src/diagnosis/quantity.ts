/** Spans, dates and counts in words. */
const SECOND = 1000;
const UNITS = [
  ["d", 86_400],
  ["h", 3600],
  ["m", 60],
  ["s", 1],
] as const;

/** `45s`, `12m`, `3h 5m`, `2d 4h`: the two largest units. */
export function spanText(milliseconds: number): string {
  let seconds = Math.max(0, Math.round(milliseconds / SECOND));
  const first = UNITS.findIndex(([, size]) => seconds >= size);
  if (first === -1) return "0s";
  const parts: string[] = [];
  for (const [unit, size] of UNITS.slice(first, first + 2)) {
    const count = Math.floor(seconds / size);
    seconds -= count * size;
    if (count > 0) parts.push(`${count}${unit}`);
  }
  return parts.join(" ");
}

/** To the second; milliseconds since the epoch. */
export function dateText(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

export function counted(count: number, noun: string): string {
  return `${count} ${count === 1 ? noun : noun.replace(/y$/, "ie").concat("s")}`;
}
