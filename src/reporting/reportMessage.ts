import { RelaxedBodyHash } from "../dkim/canonicalForm.ts";
import { coveredFields } from "../dkim/coveredFields.ts";
import { dkimSignature } from "../dkim/signature.ts";
import type { DkimKey } from "../dkim/signingKey.ts";
import type { MessageId, NewMessage } from "../spool/message.ts";
import type { ReportUri } from "../tlsrpt/record.ts";
import type { DomainAggregate, Reporter } from "../tlsrpt/report.ts";
import { reportMail, SIGNED_FIELDS } from "../tlsrpt/reportMail.ts";

export type ReportMessageRequest = {
  reporter: Reporter;
  report: Pick<DomainAggregate, "domain" | "day">;
  /** The report's JSON, gzipped. */
  gzip: Buffer;
  to: Extract<ReportUri, { scheme: "mailto" }>;
  /** Milliseconds since the epoch. */
  now: number;
  id: MessageId;
  dkim: DkimKey;
};

/**
 * A signed report for our own queue. It is marked: delivered without the demands of TLS policies, and its sessions are in no report (RFC
 * 8460 §3). The null sender keeps it from ever being answered.
 */
export function reportMessage(request: ReportMessageRequest): { message: NewMessage; content: Buffer } {
  const { reporter, report, gzip, to, now, id, dkim } = request;
  const mail = reportMail({ reporter, report, gzip, to: to.address, now, id });
  const hash = new RelaxedBodyHash();
  hash.update(mail.body);
  const covered = coveredFields(
    mail.header,
    SIGNED_FIELDS.map((name) => ({ name, sealed: "always" })),
  );
  const signature = dkimSignature(dkim, { covered, bodyHash: hash.digest(), signedAt: now });
  const content = Buffer.concat([Buffer.from(`${[signature, ...mail.header].join("\r\n")}\r\n\r\n`), mail.body]);
  const message: NewMessage = {
    envelope: {
      id,
      sender: "",
      acceptedAt: now,
      smtpUtf8: false,
      eightBitMime: false,
      requireTls: false,
      tlsRequiredNo: true,
      purpose: "tls-report",
      size: content.length,
    },
    recipients: [{ address: to.address, destination: to.destination, notify: ["NEVER"] }],
  };
  return { message, content };
}
