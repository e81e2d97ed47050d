import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MAX_RECORD_OCTETS, MAX_REPORT_URIS, readTlsrptRecords } from "../../../src/tlsrpt/record.ts";

/** The TXT RRset: each record is its strings. */
function read(...records: readonly (string | readonly string[])[]) {
  return readTlsrptRecords(records.map((record) => [record].flat().map((text) => Buffer.from(text, "latin1"))));
}

function uris(...records: readonly (string | readonly string[])[]): readonly string[] | string {
  const record = read(...records);
  return record.kind === "record" ? record.uris.map(({ text }) => text) : record.kind;
}

const M = "mailto:reports@example.com";
const H = "https://reporting.example.com/v1/tlsrpt";

const good: readonly { name: string; records: readonly (string | readonly string[])[]; uris: readonly string[] }[] = [
  { name: "RFC 8460 §3.1.1", records: [`v=TLSRPTv1;rua=${M}`], uris: [M] },
  { name: "RFC 8460 §3.1.2, with a delimiter at the end", records: [`v=TLSRPTv1; rua=${H};`], uris: [H] },
  { name: "white space around every delimiter", records: [`v=TLSRPTv1 \t; \t rua=${M} \t, \t${H} ; `], uris: [M, H] },
  { name: "several strings of one record", records: [["v=TLSRPT", "v1;rua=mail", "to:reports@example.com"]], uris: [M] },
  { name: "other TXT records beside it", records: ["v=spf1 -all", `v=TLSRPTv1;rua=${M}`, "v=TLSRPTv2;rua=x"], uris: [M] },
  { name: "unknown fields are ignored", records: [`v=TLSRPTv1;ext-1=a:b;rua=${M};x.y_z=!,`], uris: [M] },
  { name: "of a field that is there twice the first counts", records: [`v=TLSRPTv1;rua=${M};rua=${H}`], uris: [M] },
  { name: "unknown schemes are passed over", records: [`v=TLSRPTv1;rua=ftp://example.com/,${H}`], uris: [H] },
  { name: "a URI twice is one", records: [`v=TLSRPTv1;rua=${M},${M}`], uris: [M] },
  { name: "schemes are case-insensitive", records: ["v=TLSRPTv1;rua=MAILTO:a@example.com"], uris: ["MAILTO:a@example.com"] },
  {
    name: "no more than the limit",
    records: [`v=TLSRPTv1;rua=${Array.from({ length: 9 }, (_, i) => `mailto:r${i}@example.com`).join(",")}`],
    uris: Array.from({ length: MAX_REPORT_URIS }, (_, i) => `mailto:r${i}@example.com`),
  },
];

const bad: readonly { name: string; records: readonly (string | readonly string[])[]; kind: "absent" | "unusable" }[] = [
  { name: "nothing", records: [], kind: "absent" },
  { name: "no semicolon behind the version", records: ["v=TLSRPTv1 rua=mailto:a@example.com"], kind: "absent" },
  { name: "a version in other letters (case-sensitive)", records: [`v=tlsrptv1;rua=${M}`], kind: "absent" },
  { name: "white space in front of it", records: [` v=TLSRPTv1;rua=${M}`], kind: "absent" },
  { name: "two of them", records: [`v=TLSRPTv1;rua=${M}`, `v=TLSRPTv1;rua=${H}`], kind: "unusable" },
  { name: "no rua", records: ["v=TLSRPTv1;"], kind: "unusable" },
  { name: "RUA in other letters (case-sensitive)", records: [`v=TLSRPTv1;RUA=${M}`], kind: "unusable" },
  { name: "an empty rua", records: ["v=TLSRPTv1;rua="], kind: "unusable" },
  { name: "an empty field in the middle", records: [`v=TLSRPTv1;;rua=${M}`], kind: "unusable" },
  { name: "a field without a value", records: [`v=TLSRPTv1;x=;rua=${M}`], kind: "unusable" },
  { name: "an equals sign in a value", records: [`v=TLSRPTv1;x=a=b;rua=${M}`], kind: "unusable" },
  { name: "a field name of 33 characters", records: [`v=TLSRPTv1;${"x".repeat(33)}=1;rua=${M}`], kind: "unusable" },
  { name: "an exclamation point in a URI", records: [`v=TLSRPTv1;rua=${M}!10m`], kind: "unusable" },
  { name: "white space in a URI", records: ["v=TLSRPTv1;rua=mailto:a b@example.com"], kind: "unusable" },
  { name: "octets beyond ASCII", records: ["v=TLSRPTv1;rua=mailto:\xe4@example.com"], kind: "unusable" },
  { name: "http without s", records: ["v=TLSRPTv1;rua=http://example.com/"], kind: "unusable" },
  { name: "user information in a URL", records: ["v=TLSRPTv1;rua=https://a:b@example.com/"], kind: "unusable" },
  { name: "a user name in a URL", records: ["v=TLSRPTv1;rua=https://a@example.com/"], kind: "unusable" },
  { name: "no mailbox", records: ["v=TLSRPTv1;rua=mailto:example.com"], kind: "unusable" },
  { name: "two mailboxes in one URI", records: ["v=TLSRPTv1;rua=mailto:a@example.com%2Cb@example.com"], kind: "unusable" },
  { name: "a mailbox at an address", records: ["v=TLSRPTv1;rua=mailto:a@[192.0.2.1]"], kind: "unusable" },
  { name: "a broken escape", records: ["v=TLSRPTv1;rua=mailto:a%4@example.com"], kind: "unusable" },
  { name: "a line break by escape", records: ["v=TLSRPTv1;rua=mailto:a%0d%0aBcc:b@example.com"], kind: "unusable" },
  { name: "a record that is too long", records: [[`v=TLSRPTv1;rua=${M};x=${"y".repeat(MAX_RECORD_OCTETS)}`]], kind: "unusable" },
];

describe("the TXT record of TLSRPT (RFC 8460 §3)", () => {
  for (const { name, records, uris: expected } of good) test(name, () => assert.deepEqual(uris(...records), expected));
  for (const { name, records, kind } of bad) test(`${kind}: ${name}`, () => assert.equal(read(...records).kind, kind));

  test("what a mailto names is decoded, its header fields are dropped", () => {
    const record = read("v=TLSRPTv1;rua=mailto:%72ua%2Btls@EXAMPLE.com?subject=x&bcc=y@example.net");
    assert.deepEqual(record.kind === "record" && record.uris[0], {
      scheme: "mailto",
      text: "mailto:%72ua%2Btls@EXAMPLE.com?subject=x&bcc=y@example.net",
      address: "rua+tls@EXAMPLE.com",
      destination: "example.com",
    });
  });

  test("reading takes linear time", () => {
    const spaces = " ".repeat(MAX_RECORD_OCTETS - 100);
    const began = process.cpuUsage().user;
    for (let i = 0; i < 100; i += 1) read(`v=TLSRPTv1;rua=${M},${spaces}x;${spaces}`);
    assert.ok(process.cpuUsage().user - began < 5_000_000);
  });
});
