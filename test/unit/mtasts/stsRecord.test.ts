import assert from "node:assert/strict";
import { test } from "node:test";
import { readStsRecords } from "../../../src/mtasts/stsRecord.ts";

/** Each row: the TXT records of the name (several strings of one record in a list), and what they say. */
type Row = [shows: string, records: readonly (string | readonly string[])[], expected: string];

const ROWS: readonly Row[] = [
  ["RFC 8461 §3.1, the example", ["v=STSv1; id=20160831085700Z;"], "20160831085700Z"],
  ["no delimiter at the end", ["v=STSv1; id=1"], "1"],
  ["no white space at all", ["v=STSv1;id=1;"], "1"],
  ["white space of every kind around delimiters", ["v=STSv1 \t;\t id=1\t ;  "], "1"],
  ["strings are joined without spaces", [["v=STS", "v1; id=2016", "0831;"]], "20160831"],
  ["an id of 32 characters", [`v=STSv1; id=${"a".repeat(32)}`], "a".repeat(32)],
  ["fields in another order, extensions", ["v=STSv1; ext=1; x-y_z.0=(~:!); id=abc"], "abc"],
  ["the first id counts", ["v=STSv1; id=one; id=two"], "one"],
  ["other TXT records beside it", ["v=spf1 -all", "v=STSv1; id=1;", "hello", "v=STSv2; id=2;"], "1"],
  ["no record", [], "absent"],
  ["other records only", ["v=spf1 -all", "google-site-verification=1"], "absent"],
  ["the version alone, without a delimiter", ["v=STSv1"], "absent"],
  ["another version", ["v=STSv10; id=1"], "absent"],
  ["the version in lower case", ["v=stsv1; id=1"], "absent"],
  ["the version in upper case", ["V=STSv1; id=1"], "absent"],
  ["a space before it", [" v=STSv1; id=1"], "absent"],
  ["spaces around the equals sign", ["v = STSv1; id=1"], "absent"],
  ["the id before the version", ["id=1; v=STSv1;"], "absent"],
  ["two records", ["v=STSv1; id=1;", "v=STSv1; id=1;"], "unusable"],
  ["two records, one of them malformed", ["v=STSv1; id=1;", "v=STSv1; nothing"], "unusable"],
  ["no field", ["v=STSv1;"], "unusable"],
  ["no id", ["v=STSv1; ext=1"], "unusable"],
  ["the name of the id in upper case is another field", ["v=STSv1; ID=1"], "unusable"],
  ["an empty id", ["v=STSv1; id=;"], "unusable"],
  ["an id of 33 characters", [`v=STSv1; id=${"a".repeat(33)}`], "unusable"],
  ["an id with a hyphen", ["v=STSv1; id=2016-08-31"], "unusable"],
  ["a malformed id before a good one", ["v=STSv1; id=a-b; id=ab"], "unusable"],
  ["a space in the id", ["v=STSv1; id=a b"], "unusable"],
  ["spaces around the id's equals sign", ["v=STSv1; id = 1"], "unusable"],
  ["an empty field", ["v=STSv1;; id=1"], "unusable"],
  ["two delimiters at the end", ["v=STSv1; id=1;;"], "unusable"],
  ["white space at the end without a delimiter", ["v=STSv1; id=1 "], "unusable"],
  ["a field without a value", ["v=STSv1; id=1; ext="], "unusable"],
  ["a field that is a word", ["v=STSv1; id=1; ext"], "unusable"],
  ["an equals sign in a value", ["v=STSv1; id=1; ext=a=b"], "unusable"],
  ["a field name of 33 characters", [`v=STSv1; id=1; ${"a".repeat(33)}=1`], "unusable"],
  ["a field name that begins with a hyphen", ["v=STSv1; id=1; -a=1"], "unusable"],
  ["an octet beyond ASCII", ["v=STSv1; id=1; ext=\u00e9"], "unusable"],
  ["a line end", ["v=STSv1; id=1;\n"], "unusable"],
  ["a NUL", ["v=STSv1; id=1\0"], "unusable"],
];

for (const [shows, records, expected] of ROWS) {
  test(`${shows}: ${expected}`, () => {
    const encoded = records.map((strings) => [strings].flat().map((text) => Buffer.from(text)));
    const read = readStsRecords(encoded);
    assert.equal(read.kind === "record" ? read.id : read.kind, expected);
  });
}

test("what an attacker may send is read in linear time, and quoted in part", () => {
  const hostile = [`v=STSv1; id=1${" ".repeat(60_000)}x`, `v=STSv1${" ".repeat(60_000)}`, `v=STSv1;${" ;".repeat(30_000)}`];
  const kinds = hostile.map((text) => readStsRecords([[Buffer.from(text)]]));
  assert.deepEqual(
    kinds.map(({ kind }) => kind),
    ["unusable", "absent", "unusable"],
  );
  assert.ok(kinds.every((read) => !("reason" in read) || read.reason.length < 200));
});
