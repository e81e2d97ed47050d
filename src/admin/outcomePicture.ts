import { type Html, html } from "./html.ts";
import {
  GROUP_WORDS,
  minuteOf,
  noOutcomes,
  OUTCOME_GROUPS,
  type OutcomeCounts,
  type OutcomeGroup,
  type OutcomeMinute,
} from "./outcomeSeries.ts";
import { dataTable } from "./pageTable.ts";

/** DANE outcomes over time: stacked columns with axes and a legend, and the same as a table for who cannot see the picture. */
export type Column = { startMinute: number; counts: OutcomeCounts; total: number };
export type Frame = { width: number; height: number; left: number; right: number; top: number; bottom: number };
export type Bar = { group: OutcomeGroup; x: number; y: number; width: number; height: number };

const HOURS = 6;
const MINUTES = HOURS * 60;
const TICKS = 4;
/** Of a column's place. */
const GAP = 0.2;

/** Whole columns of `perColumn` minutes; the last one holds `now`. */
export function outcomeColumns(minutes: readonly OutcomeMinute[], now: number, perColumn: number): readonly Column[] {
  const last = Math.floor(minuteOf(now) / perColumn);
  const count = MINUTES / perColumn;
  const columns = Array.from({ length: count }, (_, index): Column => {
    const startMinute = (last - count + 1 + index) * perColumn;
    return { startMinute, counts: noOutcomes(), total: 0 };
  });
  for (const { minute, counts } of minutes) {
    const column = columns[Math.floor(minute / perColumn) - (last - count + 1)];
    if (column === undefined) continue;
    for (const group of OUTCOME_GROUPS) {
      column.counts[group] += counts[group];
      column.total += counts[group];
    }
  }
  return columns;
}

/** The least of 4, 8, 20, 40, 80, 200... that is not below `largest`: its quarters are whole numbers. */
export function axisTop(largest: number): number {
  for (let power = 1; ; power *= 10) {
    const top = [4, 8, 20].map((step) => step * power).find((candidate) => candidate >= largest);
    if (top !== undefined) return top;
  }
}

/** One rectangle for each group that a column has, the first group at the bottom. */
export function stackedBars(columns: readonly Column[], frame: Frame): readonly Bar[] {
  const top = axisTop(Math.max(0, ...columns.map(({ total }) => total)));
  const plotHeight = frame.height - frame.top - frame.bottom;
  const place = (frame.width - frame.left - frame.right) / columns.length;
  return columns.flatMap(({ counts }, index) => {
    let below = frame.height - frame.bottom;
    return OUTCOME_GROUPS.flatMap((group): Bar[] => {
      if (counts[group] === 0) return [];
      const height = (counts[group] / top) * plotHeight;
      below -= height;
      return [{ group, x: frame.left + (index + GAP / 2) * place, y: below, width: place * (1 - GAP), height }];
    });
  });
}

const WIDE: Frame = { width: 1040, height: 230, left: 48, right: 8, top: 12, bottom: 28 };
const NARROW: Frame = { width: 350, height: 220, left: 40, right: 6, top: 12, bottom: 28 };
const WIDE_MINUTES = 5;
const NARROW_MINUTES = 15;

/** With its heading's id as `labelledBy`. */
export function outcomePicture(minutes: readonly OutcomeMinute[], now: number): Html {
  const total = outcomeColumns(minutes, now, 60).reduce((sum, column) => sum + column.total, 0);
  const nothing = total === 0 ? html`<p class="quiet">No delivery was attempted in the last ${HOURS} hours.</p>` : html``;
  return html`<figure class="chart">
${nothing}
${drawn("wide", WIDE, outcomeColumns(minutes, now, WIDE_MINUTES), WIDE_MINUTES)}
${drawn("narrow", NARROW, outcomeColumns(minutes, now, NARROW_MINUTES), NARROW_MINUTES)}
<figcaption><ul class="legend">${OUTCOME_GROUPS.map(
    (group) =>
      html`<li><svg class="swatch" viewBox="0 0 14 14" aria-hidden="true"><rect class="${group}" width="14" height="14"/></svg> ${GROUP_WORDS[group]}</li>`,
  )}</ul></figcaption>
</figure>
<details><summary>The same as a table, by the hour</summary>${hourTable(outcomeColumns(minutes, now, 60))}</details>`;
}

function drawn(form: "wide" | "narrow", frame: Frame, columns: readonly Column[], perColumn: number): Html {
  const { width, height, left, right, bottom, top } = frame;
  const largest = axisTop(Math.max(0, ...columns.map(({ total }) => total)));
  const base = height - bottom;
  const lines = Array.from({ length: TICKS + 1 }, (_, tick) => {
    const y = base - ((base - top) * tick) / TICKS;
    const value = (largest * tick) / TICKS;
    return html`<line class="grid" x1="${left}" x2="${width - right}" y1="${round(y)}" y2="${round(y)}"/><text class="tick" x="${left - 6}" y="${round(y + 4)}" text-anchor="end">${value}</text>`;
  });
  const place = (width - left - right) / columns.length;
  const hours = columns.flatMap(({ startMinute }, index) =>
    startMinute % 60 === 0
      ? [
          html`<text class="tick" x="${round(left + index * place)}" y="${base + 18}" text-anchor="middle">${hourText(startMinute)}</text>`,
        ]
      : [],
  );
  const said = OUTCOME_GROUPS.map(
    (group) => `${columns.reduce((sum, { counts }) => sum + counts[group], 0)} ${GROUP_WORDS[group]}`,
  );
  return html`<svg class="${form}" viewBox="0 0 ${width} ${height}" role="img" aria-label="Delivery attempts of the last ${HOURS} hours in columns of ${perColumn} minutes. ${said.join("; ")}.">
${lines}
${stackedBars(columns, frame).map(({ group, x, y, ...bar }) => html`<rect class="${group}" x="${round(x)}" y="${round(y)}" width="${round(bar.width)}" height="${round(bar.height)}"/>`)}
${hours}
</svg>`;
}

function hourTable(columns: readonly Column[]): Html {
  return dataTable({
    caption: "Delivery attempts by hour (UTC) and outcome of DANE",
    columns: ["hour", ...OUTCOME_GROUPS.map((group) => GROUP_WORDS[group])],
    kinds: ["short", ...OUTCOME_GROUPS.map(() => "number" as const)],
    rows: columns.map(({ startMinute, counts }) => [hourText(startMinute), ...OUTCOME_GROUPS.map((group) => counts[group])]),
  });
}

function hourText(minute: number): string {
  return new Date(minute * 60_000).toISOString().slice(11, 16);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
