import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  type DomainAggregate,
  dayText,
  endOfDay,
  type Reporter,
  reportFilename,
  reportId,
  tlsReport,
  utcDay,
} from "../../../src/tlsrpt/report.ts";
import { reportMail } from "../../../src/tlsrpt/reportMail.ts";

const REPORTER: Reporter = {
  organization: "Company-X",
  contact: "sts-reporting@company-x.example",
  hostname: "relay.company-x.example",
};
const DAY = Date.UTC(2016, 3, 1);

/** The report of RFC 8460 Appendix B, as sessions. */
const APPENDIX_B: DomainAggregate = {
  domain: "company-y.example",
  day: DAY,
  policies: [
    {
      policy: {
        type: "sts",
        domain: "company-y.example",
        strings: ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"],
        mxHosts: ["*.mail.company-y.example"],
      },
      successful: 5326,
      failed: 303,
      failures: [
        {
          failure: { resultType: "certificate-expired" },
          ends: { localAddress: "2001:db8:abcd:12::1", host: "mx1.mail.company-y.example" },
          count: 100,
        },
        {
          failure: { resultType: "starttls-not-supported" },
          ends: { localAddress: "2001:db8:abcd:13::1", host: "mx2.mail.company-y.example", address: "203.0.113.56" },
          count: 200,
        },
        {
          failure: { resultType: "validation-failure", reason: "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED" },
          ends: { localAddress: "198.51.100.62", address: "203.0.113.58", host: "mx-backup.mail.company-y.example" },
          count: 3,
        },
      ],
    },
  ],
};

/** The JSON of Appendix B out of the RFC's own text: page breaks and the broken URI in it are mended. */
function appendixB(text: string): Record<string, unknown> {
  const from = text.indexOf('"organization-name": "Company-X"');
  const lines = text
    .slice(from, text.indexOf("Contributors", from))
    .split("\n")
    .filter((line) => !/^\f|^Margolis|^RFC 8460/.test(line));
  const json = `{${lines.join("\n")}`.replace(/"https:\/\/[^"]*"/, '"https://reports.company-x.example/"');
  return JSON.parse(json) as Record<string, unknown>;
}

const RFC_TEXT = join(import.meta.dirname, "..", "..", "..", "..", "shared", "rfc", "rfc8460.txt");

describe("the report (RFC 8460 §4.4)", () => {
  test("Appendix B, from the same sessions", () => {
    if (!existsSync(RFC_TEXT)) {
      console.log(`without ${RFC_TEXT}: the example of RFC 8460 Appendix B was not compared`);
      return;
    }
    const expected = appendixB(readFileSync(RFC_TEXT, "utf8"));
    const report = structuredClone(tlsReport(REPORTER, APPENDIX_B)) as Record<string, unknown>;
    assert.match(String(report["report-id"]), /^2016-04-01\.[0-9a-f]{16}@company-x\.example$/);
    // Ours: another id, no additional-information, addresses as RFC 5952 has them, mx-host as a list (§4.4's words; the example has a string).
    report["report-id"] = expected["report-id"];
    const mended = JSON.parse(
      JSON.stringify(expected)
        .replace('"additional-information":"https://reports.company-x.example/",', "")
        .replace(',"additional-information":"https://reports.company-x.example/"', "")
        .replaceAll("abcd:0012", "abcd:12")
        .replaceAll("abcd:0013", "abcd:13")
        .replace('"mx-host":"*.mail.company-y.example"', '"mx-host":["*.mail.company-y.example"]'),
    ) as unknown;
    assert.deepEqual(report, mended);
  });

  test("DANE and no policy: no mx-host; no policy: no policy-string", () => {
    const { policies } = tlsReport(REPORTER, {
      domain: "example.org",
      day: DAY,
      policies: [
        { policy: { type: "tlsa", domain: "mx.example.org", strings: ["3 1 1 ab"] }, successful: 1, failed: 0, failures: [] },
        { policy: { type: "no-policy-found", domain: "example.org" }, successful: 2, failed: 0, failures: [] },
      ],
    });
    assert.deepEqual(policies, [
      {
        policy: { "policy-type": "tlsa", "policy-string": ["3 1 1 ab"], "policy-domain": "mx.example.org" },
        summary: { "total-successful-session-count": 1, "total-failure-session-count": 0 },
        "failure-details": [],
      },
      {
        policy: { "policy-type": "no-policy-found", "policy-domain": "example.org" },
        summary: { "total-successful-session-count": 2, "total-failure-session-count": 0 },
        "failure-details": [],
      },
    ]);
  });

  test("days are UTC days", () => {
    assert.equal(utcDay(DAY), DAY);
    assert.equal(utcDay(DAY + 86_399_999), DAY);
    assert.equal(utcDay(DAY + 86_400_000), endOfDay(DAY));
    assert.equal(dayText(DAY), "2016-04-01");
  });

  test("the id is the same at every attempt, and another for another day, domain and relay", () => {
    const ids = [
      reportId(REPORTER, "a.example", DAY),
      reportId(REPORTER, "b.example", DAY),
      reportId(REPORTER, "a.example", endOfDay(DAY)),
      reportId({ ...REPORTER, hostname: "relay2.company-x.example" }, "a.example", DAY),
      reportId({ ...REPORTER, source: "pod-1 /state" }, "a.example", DAY),
      reportId({ ...REPORTER, source: "pod-2 /state" }, "a.example", DAY),
    ];
    assert.equal(new Set(ids).size, ids.length);
    assert.equal(reportId(REPORTER, "a.example", DAY), ids[0]);
  });

  test("the file's name (§5.1)", () => {
    const name = reportFilename(REPORTER, { domain: "example.net", day: DAY });
    assert.equal(name, "company-x.example!example.net!1459468800!1459555199.json.gz");
    // RFC 8460 §5.1: 1*(ALPHA / DIGIT)
    const unique = reportFilename({ ...REPORTER, source: "pod-1 /state" }, APPENDIX_B);
    assert.match(unique, /!\d+![0-9a-f]{16}\.json\.gz$/);
    assert.notEqual(unique, reportFilename({ ...REPORTER, source: "pod-2 /state" }, APPENDIX_B));
  });
});

describe("the report as a mail (RFC 8460 §5.3)", () => {
  const mail = reportMail({
    reporter: REPORTER,
    report: { domain: "example.net", day: DAY },
    gzip: Buffer.from("not really gzip ".repeat(20)),
    to: "reports@example.net",
    now: Date.UTC(2016, 3, 2, 1, 2, 3),
    id: "ID1",
  });
  const field = (name: string): string | undefined =>
    mail.header
      .find((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
      ?.slice(name.length + 1)
      .trim();

  test("its header", () => {
    assert.equal(field("TLS-Report-Domain"), "example.net");
    assert.equal(field("TLS-Report-Submitter"), "company-x.example");
    assert.equal(field("From"), "<sts-reporting@company-x.example>");
    assert.equal(field("To"), "<reports@example.net>");
    assert.equal(field("Date"), "Sat, 02 Apr 2016 01:02:03 +0000");
    // RFC 8689: relays on the way are told what §3 demands of us.
    assert.equal(field("TLS-Required"), "No");
    assert.match(
      (field("Subject") ?? "").replaceAll("\r\n", ""),
      /^Report Domain: example\.net Submitter: company-x\.example Report-ID: <2016-04-01\.[0-9a-f]{16}@company-x\.example>$/,
    );
    assert.match(
      (field("Content-Type") ?? "").replaceAll("\r\n", ""),
      /^multipart\/report; report-type="tlsrpt"; boundary="[^"]+"$/,
    );
  });

  test("its two parts", () => {
    const boundary = /boundary="([^"]+)"/.exec(field("Content-Type") ?? "")?.[1] ?? "";
    const [before, text = "", report = "", after] = mail.body.toString("latin1").split(`--${boundary}`);
    assert.equal(before, "");
    assert.equal(after, "--\r\n");
    assert.match(text, /^\r\nContent-Type: text\/plain; charset=us-ascii\r\n/);
    const [head = "", base64 = ""] = report.split("\r\n\r\n");
    assert.match(head, /^\r\nContent-Type: application\/tlsrpt\+gzip\r\nContent-Transfer-Encoding: base64\r\n/);
    assert.match(
      head,
      /Content-Disposition: attachment;\r\n filename="company-x\.example!example\.net!1459468800!1459555199\.json\.gz"$/,
    );
    assert.equal(Buffer.from(base64, "base64").toString(), "not really gzip ".repeat(20));
    assert.ok(
      mail.body
        .toString("latin1")
        .split("\r\n")
        .every((line) => line.length <= 78),
    );
  });
});
