import { dateTime } from "../smtp/dsn.ts";
import { type DomainAggregate, dayText, type Reporter, reportFilename, reportId, submitterOf } from "./report.ts";

/** A report as a mail (RFC 8460 §5.3): header fields in order, folded, without line ends; and the body with CRLF line ends. */
export type ReportMail = { header: readonly string[]; body: Buffer };

export type ReportMailRequest = {
  reporter: Reporter;
  report: Pick<DomainAggregate, "domain" | "day">;
  /** The report's JSON, gzipped. */
  gzip: Buffer;
  /** The address behind `mailto:`. */
  to: string;
  /** Milliseconds since the epoch. */
  now: number;
  /** Left side of the Message-ID; also makes the boundary. */
  id: string;
};

const BASE64_LINE = /.{1,76}/g;

/** Fields that the signature covers (RFC 6376 §5.4.1; RFC 8460 §5.3: the two of TLSRPT SHOULD be among them). */
export const SIGNED_FIELDS = [
  "From",
  "To",
  "Subject",
  "Date",
  "Message-ID",
  "MIME-Version",
  "Content-Type",
  "TLS-Report-Domain",
  "TLS-Report-Submitter",
  "TLS-Required",
] as const;

/** The message, unsigned. */
export function reportMail({ reporter, report, gzip, to, now, id }: ReportMailRequest): ReportMail {
  const submitter = submitterOf(reporter);
  const boundary = `tlsrpt-${id}`;
  const header = [
    `Date: ${dateTime(now)}`,
    `From: <${reporter.contact}>`,
    `To: <${to}>`,
    // RFC 8460 §5.3, tlsrpt-subject.
    `Subject: Report Domain: ${report.domain}\r\n Submitter: ${submitter}\r\n Report-ID: <${reportId(reporter, report.domain, report.day)}>`,
    `Message-ID: <${id}@${submitter}>`,
    `TLS-Report-Domain: ${report.domain}`,
    `TLS-Report-Submitter: ${submitter}`,
    // RFC 8689 §3: tells relays further on what RFC 8460 §3 demands of us: deliver it despite failures of TLS.
    "TLS-Required: No",
    // RFC 3834 §5: made by a machine, not as an answer.
    "Auto-Submitted: auto-generated",
    "MIME-Version: 1.0",
    `Content-Type: multipart/report; report-type="tlsrpt";\r\n boundary="${boundary}"`,
  ];
  const lines = [
    `--${boundary}`,
    "Content-Type: text/plain; charset=us-ascii",
    "Content-Transfer-Encoding: 7bit",
    "",
    `This is an aggregate TLS report from ${submitter}`,
    `about sessions with the mail hosts of ${report.domain}`,
    `on ${dayText(report.day)} (UTC). It is for machines to read: see RFC 8460.`,
    "",
    `--${boundary}`,
    "Content-Type: application/tlsrpt+gzip",
    "Content-Transfer-Encoding: base64",
    `Content-Disposition: attachment;\r\n filename="${reportFilename(reporter, report)}"`,
    "",
    ...(gzip.toString("base64").match(BASE64_LINE) ?? []),
    "",
    `--${boundary}--`,
    "",
  ];
  return { header, body: Buffer.from(lines.join("\r\n")) };
}
