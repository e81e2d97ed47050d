import { barPlot, escaped, stackedPlot } from "./plot.ts";
import { ROLLOVER_KINDS } from "./rollover.ts";
import type { RolloverSurvey } from "./rolloverSurvey.ts";
import type { Count, Group, SurveyResult } from "./survey.ts";
import { percent, share, windowText } from "./surveyText.ts";

/** A survey as one HTML file: plots as SVG, no scripts, nothing from elsewhere. */

const STYLE = `
  :root { color-scheme: light dark; --ink: #1f2933; --soft: #616e7c; --paper: #fff; --line: #d9dee3; --good: #2f855a; --half: #b7791f; --bad: #c53030; --none: #a0aec0; --bar: #3b6ea8; }
  @media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --soft: #9aa5b1; --paper: #16191d; --line: #323f4b; --good: #48bb78; --half: #ecc94b; --bad: #fc8181; --none: #52606d; --bar: #63a4e8; } }
  body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; } p { color: var(--soft); margin: .2rem 0 1rem; }
  .figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: 1rem; margin: 1.5rem 0; }
  .figures div { border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .9rem; } .figures b { display: block; font-size: 1.5rem; white-space: nowrap; } .figures small { font-size: .9rem; font-weight: normal; color: var(--soft); }
  table { border-collapse: collapse; width: 100%; font-size: .92rem; } th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
  td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; } .plot { overflow-x: auto; } svg { width: 100%; min-width: 40rem; height: auto; } svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
`;
const MAX_ROWS = 30;
const MAX_BARS = 12;

export function surveyHtml(result: SurveyResult, rollovers: RolloverSurvey | undefined, now: number): string {
  const { domains, deployment, states } = result;
  const deployed = deployment.whole + deployment.partly;
  const day = new Date(now).toISOString().slice(0, 10);
  const figures: readonly (readonly [string, number, string])[] = [
    ["domains", domains, ""],
    ["with TLSA records", deployed, percent(deployed, domains)],
    ["correct", states.correct, percent(states.correct, deployed)],
    ["behind unsigned MX", states.halfdane, percent(states.halfdane, deployed)],
    ["incorrect", states.incorrect, percent(states.incorrect, deployed)],
  ];
  const sections = [
    section("By TLD", "Domains with TLSA records, and how they stand.", groupPlot(result.byTld) + groupTable(result.byTld)),
    section(
      "Why incorrect",
      "Domains, by what it comes down to.",
      countPlot(result.causes) + countTable(result.classes, "in detail"),
    ),
    section("Mail hosts with TLSA records", "Those of most domains first.", hostTable(result)),
    section(
      "By who manages",
      `A service is outsourced when ${result.providerThreshold} domains or more of this survey share its second-level domain.`,
      groupPlot(result.byEntity) + groupTable(result.byEntity),
    ),
    section("TLSA records", "Usage, selector, matching type; hosts.", countPlot(result.parameters)),
    section("Certificates under DANE-EE", "Who issued them; hosts.", countPlot(result.issuers)),
    ...(rollovers === undefined ? [] : [rolloverSection(rollovers)]),
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>DANE survey, ${day}</title><style>${STYLE}</style></head>
<body><h1>DANE survey of ${domains} domains</h1><p>${day}, by dane-relay scan</p>
<div class="figures">${figures.map(([label, count, part]) => `<div><b>${count} <small>${part}</small></b>${escaped(label)}</div>`).join("")}</div>
${sections.join("\n")}
</body></html>
`;
}

function section(title: string, words: string, content: string): string {
  return `<section><h2>${escaped(title)}</h2><p>${escaped(words)}</p>${content}</section>`;
}

const PARTS = [
  { key: "correct", label: "correct", colour: "var(--good)" },
  { key: "halfdane", label: "behind unsigned MX", colour: "var(--half)" },
  { key: "incorrect", label: "incorrect", colour: "var(--bad)" },
  { key: "unknown", label: "not known", colour: "var(--none)" },
] as const;

function groupPlot(groups: readonly Group[]): string {
  const shown = groups.filter(({ deployed }) => deployed > 0).slice(0, MAX_BARS);
  const rows = shown.map(({ name, deployed, states }) => ({
    label: name,
    values: [states.correct, states.halfdane, states.incorrect, deployed - states.correct - states.halfdane - states.incorrect],
  }));
  return stackedPlot(rows, PARTS);
}

function countPlot(counts: readonly Count[]): string {
  const bars = counts.slice(0, MAX_BARS).map(({ name, count }) => ({ label: name, value: count }));
  return barPlot(bars);
}

type Cell = { text: string; align: "left" | "right" };
const left = (text: string): Cell => ({ text, align: "left" });
const right = (text: string): Cell => ({ text, align: "right" });

function table(head: readonly Cell[], rows: readonly (readonly Cell[])[]): string {
  if (rows.length === 0) return "<p>none</p>";
  const line = (tag: "th" | "td", cells: readonly Cell[]): string =>
    `<tr>${cells.map(({ text, align }) => `<${tag}${align === "right" ? ' class="n"' : ""}>${escaped(text)}</${tag}>`).join("")}</tr>`;
  const more = rows.length > MAX_ROWS ? `<p>and ${rows.length - MAX_ROWS} more</p>` : "";
  const body = rows.slice(0, MAX_ROWS).map((row) => line("td", row));
  return `<table>${line("th", head)}${body.join("")}</table>${more}`;
}

function groupTable(groups: readonly Group[]): string {
  const head = [left(""), right("domains"), right("with TLSA records"), right("incorrect")];
  const rows = groups.map(({ name, domains, deployed, states }) => [
    left(name),
    right(String(domains)),
    right(share(deployed, domains)),
    right(share(states.incorrect, deployed)),
  ]);
  return table(head, rows);
}

function countTable(counts: readonly Count[], title: string): string {
  return table(
    [left(title), right("domains")],
    counts.map(({ name, count }) => [left(name), right(String(count))]),
  );
}

function hostTable({ byHost }: SurveyResult): string {
  const rows = byHost.map(({ host, domains, state, cause, class: name }) => [
    left(host),
    right(String(domains)),
    left(cause === undefined ? state : `${state}: ${name ?? cause}`),
  ]);
  return table([left("host"), right("domains"), left("state")], rows);
}

function rolloverSection({ hosts, totals, failures, atRisk }: RolloverSurvey): string {
  const plot = countPlot(ROLLOVER_KINDS.map((kind) => ({ name: kind, count: totals[kind] })));
  const failed = table(
    [left("host"), left("rollover"), left("senders failed (UTC)")],
    failures.map(({ host, kind, windows }) => [left(host), left(kind), left(windowText(windows))]),
  );
  const risks = table(
    [left("host"), left("will break at its next renewal")],
    atRisk.map(({ host, explanation }) => [left(host), left(explanation)]),
  );
  return section("Rollovers", `In the history of ${hosts} hosts.`, plot + failed + risks);
}
