import { type FailureWindow, ROLLOVER_KINDS } from "./rollover.ts";
import type { RolloverSurvey } from "./rolloverSurvey.ts";
import type { Count, Group, SurveyResult } from "./survey.ts";

/** The tables of a survey as text. */

const MAX_LINES = 20;

/** Ends with a line end. */
export function surveyText(result: SurveyResult, rollovers: RolloverSurvey | undefined): string {
  const { domains, deployment, states } = result;
  const deployed = deployment.whole + deployment.partly;
  const blocks = [
    [
      `${domains} domains`,
      `  TLSA records           ${share(deployed, domains)} (${deployment.partly} of them not for all their hosts)`,
      `  correct                ${share(states.correct, deployed)} of these`,
      `  behind unsigned MX     ${share(states.halfdane, deployed)}`,
      `  incorrect              ${share(states.incorrect, deployed)}`,
      `  not known              ${share(deployed - states.correct - states.halfdane - states.incorrect, deployed)}`,
      `  signed MX records      ${share(countOf(result.dnssec, "secure"), domains)}`,
      `  MTA-STS enforce        ${share(countOf(result.sts, "enforce"), domains)}, testing ${countOf(result.sts, "testing")}`,
      `  TLS reports wanted     ${share(result.tlsrpt, domains)}`,
    ],
    counted("why incorrect, domains", result.causes, states.incorrect),
    counted("in detail, domains", result.classes, states.incorrect),
    grouped("by TLD", result.byTld),
    hostTable(result),
    grouped(`by who manages (a provider: ${result.providerThreshold} domains or more)`, result.byEntity),
    counted("TLSA usage, selector, matching type, hosts", result.parameters, sum(result.parameters)),
    counted("certificates under DANE-EE, hosts", result.issuers, sum(result.issuers)),
    ...(rollovers === undefined ? [] : [rolloverLines(rollovers)]),
  ];
  return `${blocks.map((lines) => lines.join("\n")).join("\n\n")}\n`;
}

export function countOf(counts: readonly Count[], name: string): number {
  return counts.find((one) => one.name === name)?.count ?? 0;
}

export function sum(counts: readonly Count[]): number {
  return counts.reduce((all, { count }) => all + count, 0);
}

/** "12 (3.4 %)" */
export function share(part: number, whole: number): string {
  return whole === 0 ? `${part}` : `${part} (${percent(part, whole)})`;
}

/** "3.4 %"; nothing of nothing is no part. */
export function percent(part: number, whole: number): string {
  return whole === 0 ? "" : `${((100 * part) / whole).toFixed(1)} %`;
}

function counted(title: string, counts: readonly Count[], whole: number): readonly string[] {
  const lines = counts.slice(0, MAX_LINES).map(({ name, count }) => `  ${name.padEnd(28)} ${share(count, whole)}`);
  return [title, ...(lines.length === 0 ? ["  none"] : lines), ...more(counts)];
}

function more(all: readonly unknown[]): readonly string[] {
  return all.length > MAX_LINES ? [`  and ${all.length - MAX_LINES} more`] : [];
}

function grouped(title: string, all: readonly Group[]): readonly string[] {
  const lines = all
    .slice(0, MAX_LINES)
    .map(({ name, domains, deployed, states }) =>
      [
        `  ${name.padEnd(34)}`,
        String(domains).padStart(8),
        share(deployed, domains).padStart(16),
        share(states.incorrect, deployed).padStart(16),
      ].join(" "),
    );
  const head = `  ${"".padEnd(34)} ${"domains".padStart(8)} ${"with TLSA".padStart(16)} ${"incorrect".padStart(16)}`;
  return [title, head, ...lines, ...more(all)];
}

function hostTable({ byHost }: SurveyResult): readonly string[] {
  const lines = byHost
    .slice(0, MAX_LINES)
    .map(({ host, domains, state, class: name, cause }) =>
      `  ${host.padEnd(34)} ${String(domains).padStart(8)}  ${state}${cause === undefined ? "" : `: ${name ?? cause}`}`.trimEnd(),
    );
  return ["mail hosts with TLSA records", ...(lines.length === 0 ? ["  none"] : lines), ...more(byHost)];
}

function rolloverLines({ hosts, totals, failures, atRisk }: RolloverSurvey): readonly string[] {
  const all = ROLLOVER_KINDS.reduce((total, kind) => total + totals[kind], 0);
  return [
    `rollovers in the history of ${hosts} hosts`,
    ...ROLLOVER_KINDS.map((kind) => `  ${kind.padEnd(28)} ${share(totals[kind], all)}`),
    ...failures.slice(0, MAX_LINES).map(({ host, kind, windows }) => `  ${host}: ${kind}, senders failed ${windowText(windows)}`),
    ...more(failures),
    ...(atRisk.length === 0 ? [] : ["these will break at their next renewal"]),
    ...atRisk.slice(0, MAX_LINES).map(({ host, explanation }) => `  ${host}: ${explanation}`),
    ...more(atRisk),
  ];
}

/** "2027-01-31 12:00", UTC. */
function minute(milliseconds: number): string {
  return new Date(milliseconds).toISOString().slice(0, 16).replace("T", " ");
}

/** From the first to the last moment at which some sender failed. */
export function windowText(windows: readonly FailureWindow[]): string {
  const from = Math.min(...windows.map((window) => window.from));
  const to = Math.max(...windows.map((window) => window.to));
  return `${minute(from)} to ${minute(to)}`;
}
