/** `--at`: a moment as distance from now, such as +14d, or as a date; milliseconds since the epoch. Undefined: neither. */
export function momentOf(text: string, now: number): number | undefined {
  const distance = /^([+-])(\d{1,6})([smhdw])$/.exec(text);
  if (distance !== null) {
    const [, sign, count, unit] = distance;
    const milliseconds = Number(count) * (UNITS.get(unit ?? "") ?? Number.NaN);
    return sign === "-" ? now - milliseconds : now + milliseconds;
  }
  const date = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d))?$/.test(text) ? Date.parse(text) : Number.NaN;
  // Date.parse takes 2027-02-30 for the 2nd of March.
  const impossible =
    Number.isNaN(date) || !new Date(`${text.slice(0, 10)}T00:00:00Z`).toISOString().startsWith(text.slice(0, 10));
  return impossible ? undefined : date;
}

const SECOND = 1000;
const UNITS: ReadonlyMap<string, number> = new Map([
  ["s", SECOND],
  ["m", 60 * SECOND],
  ["h", 3600 * SECOND],
  ["d", 86_400 * SECOND],
  ["w", 7 * 86_400 * SECOND],
]);
