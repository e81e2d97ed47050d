import { createHash } from "node:crypto";
import type { AppliedPolicy, Failure, ResultType, SessionEnds } from "./result.ts";

/** The report about one reporting domain and one UTC day (RFC 8460 §4), as an object that is the JSON of §4.4. */
export type TlsReport = {
  "organization-name": string;
  "date-range": { "start-datetime": string; "end-datetime": string };
  "contact-info": string;
  "report-id": string;
  policies: readonly ReportedPolicy[];
};

export type ReportedPolicy = {
  policy: {
    "policy-type": AppliedPolicy["type"];
    "policy-string"?: readonly string[];
    "policy-domain": string;
    "mx-host"?: readonly string[];
  };
  summary: { "total-successful-session-count": number; "total-failure-session-count": number };
  "failure-details": readonly FailureDetails[];
};

export type FailureDetails = {
  "result-type": ResultType;
  "sending-mta-ip"?: string;
  "receiving-mx-hostname"?: string;
  "receiving-mx-helo"?: string;
  "receiving-ip"?: string;
  "failed-session-count": number;
  "failure-reason-code"?: string;
};

/** Sessions of one policy on one day. The counts of `failures` add up to `failed`. */
export type PolicyAggregate = {
  policy: AppliedPolicy;
  successful: number;
  failed: number;
  failures: readonly { failure: Failure; ends: SessionEnds; count: number }[];
};

/** All sessions of one reporting domain on one day, given by its first millisecond. */
export type DomainAggregate = { domain: string; day: number; policies: readonly PolicyAggregate[] };

/** Who reports. `contact`: an address, whose domain is the submitter (RFC 8460 §5.3). `hostname`: tells several relays of one organization apart. */
export type Reporter = {
  organization: string;
  contact: string;
  hostname: string;
  /** Tells several processes with one host name apart, each of which reports what it has seen itself. */
  source?: string;
};

const DAY_MILLISECONDS = 86_400_000;
/** Hex digits of a report id. */
const ID_DIGITS = 16;

/** The first millisecond of the UTC day that `milliseconds` is in. RFC 8460 §4.1: reports are for 00:00-24:00 UTC. */
export function utcDay(milliseconds: number): number {
  return Math.floor(milliseconds / DAY_MILLISECONDS) * DAY_MILLISECONDS;
}

/** The first millisecond after the day. */
export function endOfDay(day: number): number {
  return day + DAY_MILLISECONDS;
}

/** `2026-11-21`. */
export function dayText(day: number): string {
  return new Date(day).toISOString().slice(0, "2026-11-21".length);
}

/** RFC 8460 §5.3: the domain of `contact-info`, which TLS-Report-Submitter and the file name repeat. */
export function submitterOf(reporter: Reporter): string {
  return reporter.contact.slice(reporter.contact.lastIndexOf("@") + 1);
}

/**
 * The same for every attempt to deliver the same report, so that a receiver knows a duplicate (RFC 8460 §5.3), and another one for every
 * other day, domain and process: several that count for themselves report each its part, and a receiver adds up what has different ids. Of the form id-left "@" id-right (RFC 5322 §3.6.4).
 */
export function reportId(reporter: Reporter, domain: string, day: number): string {
  return `${dayText(day)}.${distinct(reporter, domain)}@${submitterOf(reporter)}`;
}

function distinct({ hostname, source }: Reporter, domain: string): string {
  const text = `${hostname}\n${domain}${source === undefined ? "" : `\n${source}`}`;
  return createHash("sha256").update(text).digest("hex").slice(0, ID_DIGITS);
}

/** RFC 3339 §5.6, to the second. */
function dateTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d{3}Z$/, "Z");
}

export function tlsReport(reporter: Reporter, { domain, day, policies }: DomainAggregate): TlsReport {
  return {
    "organization-name": reporter.organization,
    // RFC 8460 Appendix B: the last second of the day, not the first of the next.
    "date-range": { "start-datetime": dateTime(day), "end-datetime": dateTime(endOfDay(day) - 1000) },
    "contact-info": reporter.contact,
    "report-id": reportId(reporter, domain, day),
    policies: policies.map(reportedPolicy),
  };
}

function reportedPolicy({ policy, successful, failed, failures }: PolicyAggregate): ReportedPolicy {
  return {
    policy: {
      "policy-type": policy.type,
      ...(policy.type === "no-policy-found" ? {} : { "policy-string": policy.strings }),
      "policy-domain": policy.domain,
      // RFC 8460 §4.4: only where the policy is of MTA-STS.
      ...(policy.type === "sts" ? { "mx-host": policy.mxHosts } : {}),
    },
    summary: { "total-successful-session-count": successful, "total-failure-session-count": failed },
    "failure-details": failures.map(failureDetails),
  };
}

function failureDetails({ failure, ends, count }: PolicyAggregate["failures"][number]): FailureDetails {
  const { localAddress, host, helo, address } = ends;
  return {
    "result-type": failure.resultType,
    ...(localAddress === undefined ? {} : { "sending-mta-ip": localAddress }),
    ...(host === undefined ? {} : { "receiving-mx-hostname": host }),
    ...(helo === undefined ? {} : { "receiving-mx-helo": helo }),
    ...(address === undefined ? {} : { "receiving-ip": address }),
    "failed-session-count": count,
    ...(failure.reason === undefined ? {} : { "failure-reason-code": failure.reason }),
  };
}

/** RFC 8460 §5.1: the name of the compressed file. Its timestamps are the report's date range in seconds. */
export function reportFilename(reporter: Reporter, { domain, day }: Pick<DomainAggregate, "domain" | "day">): string {
  const begin = day / 1000;
  // RFC 8460 §5.1: the unique-id, where there may be several reports of one day and domain.
  const unique = reporter.source === undefined ? "" : `!${distinct(reporter, domain)}`;
  return `${submitterOf(reporter)}!${domain}!${begin}!${endOfDay(day) / 1000 - 1}${unique}.json.gz`;
}
