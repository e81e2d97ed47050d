import { type Html, type HtmlValue, html } from "./html.ts";

export type ColumnKind = "number" | "short" | "pick" | "name" | "words" | "brief";

/**
 * A table that narrow screens show as a list of cards: every cell carries its column's name, and the roles say what it is to assistive technology
 * also where the style sheet shows no table.
 */
export type DataTable = {
  /** Read aloud; the heading above says the same to the eye. */
  caption: string;
  columns: readonly string[];
  /**
   * How wide each column wants to be, words when not given: `short` is not broken into lines, `name` is not broken within what is usual. `brief`: words
   * that narrow screens cut to a few lines, another page has them whole; `pick`: a box to tick, not printed.
   */
  kinds?: readonly ColumnKind[];
  rows: readonly (readonly HtmlValue[])[];
};

export function dataTable({ caption, columns, kinds = [], rows }: DataTable): Html {
  const kind = (index: number): string => kinds[index] ?? "words";
  return html`<table role="table"><caption>${caption}</caption>
<thead role="rowgroup"><tr role="row">${columns.map((column, index) => html`<th role="columnheader" scope="col" class="${kind(index)}">${column}</th>`)}</tr></thead>
<tbody role="rowgroup">${rows.map(
    (
      cells,
    ) => html`<tr role="row">${cells.map((cell, index) => html`<td role="cell" class="${kind(index)}" data-label="${columns[index]}"><span>${cell}</span></td>`)}</tr>
`,
  )}</tbody></table>`;
}

/** Names and what they are. */
export function factList(facts: readonly (readonly [string, HtmlValue])[]): Html {
  return html`<dl class="facts">${facts.map(([term, value]) => html`<div><dt>${term}</dt><dd>${value}</dd></div>`)}</dl>`;
}
