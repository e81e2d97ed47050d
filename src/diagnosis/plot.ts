/** Horizontal bars as SVG, for reports that bring everything with them. Colours are CSS values. */

const WIDTH = 960;
const LABEL_WIDTH = 260;
const VALUE_WIDTH = 80;
const ROW_HEIGHT = 26;
const BAR_HEIGHT = 16;
const MAX_LABEL = 36;

export type Bar = { label: string; value: number };
export type StackedRow = { label: string; values: readonly number[] };
export type Part = { label: string; colour: string };

export function barPlot(bars: readonly Bar[]): string {
  const rows = bars.map(({ label, value }) => ({ label, values: [value] }));
  return plot(rows, [{ label: "", colour: "var(--bar)" }], "");
}

/** Each row is a whole, its parts beside each other; a legend above. */
export function stackedPlot(rows: readonly StackedRow[], parts: readonly Part[]): string {
  let x = LABEL_WIDTH;
  const legend = parts.map(({ label, colour }) => {
    const at = x;
    x += 40 + 8 * label.length;
    return `<rect x="${at}" y="6" width="12" height="12" fill="${colour}"/><text x="${at + 18}" y="17">${escaped(label)}</text>`;
  });
  return plot(rows, parts, legend.join(""));
}

function plot(rows: readonly StackedRow[], parts: readonly Part[], legend: string): string {
  if (rows.length === 0) return "";
  const top = legend === "" ? 0 : ROW_HEIGHT;
  const greatest = Math.max(1, ...rows.map(({ values }) => total(values)));
  const scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / greatest;
  const lines = rows.map((row, i) => rowOf(row, top + i * ROW_HEIGHT, scale, parts));
  const height = top + rows.length * ROW_HEIGHT;
  // Wider than a narrow screen: its words stay readable, and the plot can be moved.
  return `<div class="plot"><svg viewBox="0 0 ${WIDTH} ${height}" role="img">${legend}${lines.join("")}</svg></div>`;
}

function rowOf({ label, values }: StackedRow, y: number, scale: number, parts: readonly Part[]): string {
  const shown = label.length > MAX_LABEL ? `${label.slice(0, MAX_LABEL - 1)}\u2026` : label;
  const middle = y + ROW_HEIGHT / 2 + 5;
  let x = LABEL_WIDTH;
  const rects = values.map((value, i) => {
    const width = value * scale;
    const part = parts[i];
    const rect =
      value === 0 || part === undefined
        ? ""
        : `<rect x="${x.toFixed(1)}" y="${y + (ROW_HEIGHT - BAR_HEIGHT) / 2}" width="${Math.max(1, width).toFixed(1)}" height="${BAR_HEIGHT}" fill="${part.colour}"><title>${escaped(`${label}: ${value} ${part.label}`.trim())}</title></rect>`;
    x += width;
    return rect;
  });
  const name = `<text x="${LABEL_WIDTH - 10}" y="${middle}" text-anchor="end">${escaped(shown)}</text>`;
  return `${name}${rects.join("")}<text x="${(x + 8).toFixed(1)}" y="${middle}">${total(values)}</text>`;
}

/** For text and for attributes in double quotes. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
