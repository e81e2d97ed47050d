import type { Popularity } from "./managingEntity.ts";
import type { RolloverSurvey } from "./rolloverSurvey.ts";
import { entityOf, type SurveyResult, standingOf } from "./survey.ts";
import type { SurveyRow } from "./surveyRow.ts";

/** A survey for programs: JSON lines, or CSV. Times are ISO 8601. */

export type ExportContext = { popularity: Popularity; threshold: number };

/** One domain: the row, how it stands, and who manages it. */
export function rowJson({ at, ...row }: SurveyRow, { popularity, threshold }: ExportContext): object {
  const standing = standingOf(row);
  return { ...row, at: iso(at), standing, management: entityOf({ at, ...row }, popularity, threshold) };
}

/** The last line: `summary` in place of `domain`. */
export function summaryJson(result: SurveyResult, rollovers: RolloverSurvey | undefined): object {
  if (rollovers === undefined) return { summary: result };
  const failures = rollovers.failures.map(({ at, introducedAt, windows, ...one }) => ({
    ...one,
    at: iso(at),
    ...(introducedAt === undefined ? {} : { introducedAt: iso(introducedAt) }),
    windows: windows.map(({ from, to, senders }) => ({ from: iso(from), to: iso(to), senders })),
  }));
  return { summary: result, rollovers: { ...rollovers, failures } };
}

function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

export const CSV_HEAD =
  "domain,at,verdict,tls,dane,mx_dnssec,deployment,state,cause,class,hosts,mail,names,mta_sts,tlsrpt,findings";

/** RFC 4180: quoted where needed; no formula for a spreadsheet in it. Without a line end. */
export function rowCsv(row: SurveyRow, { popularity, threshold }: ExportContext): string {
  const { deployment, state, cause = "", class: name = "" } = standingOf(row);
  const { mail, names } = entityOf(row, popularity, threshold);
  const hosts = row.hosts.map(({ host, state: one }) => `${host}=${one}`).join(" ");
  const findings = [...new Set(row.findings.map((finding) => finding.class))].join(" ");
  const { domain, at, verdict, tls, dane, dnssec, sts, tlsrpt } = row;
  const fields = [domain, iso(at), verdict, tls, dane, dnssec, deployment, state, cause, name];
  return [...fields, hosts, mail, names, sts, tlsrpt, findings].map(csvField).join(",");
}

function csvField(text: string): string {
  const harmless = /^[=+@\t\r-]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
