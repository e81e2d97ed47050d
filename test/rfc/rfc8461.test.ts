import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

/** rfc8461.tsv: complete against the text of RFC 8461 where that is there, and each line that binds senders borne out by code and test. */
const ROOT = join(import.meta.dirname, "../..");
const RFC_FILE = join(ROOT, "../shared/rfc/rfc8461.txt");
const WORD = /\b(?:MUST NOT|MUST|SHOULD NOT|SHOULD|SHALL NOT|SHALL)\b/g;

const [HEAD, ...ROWS] = readFileSync(join(import.meta.dirname, "rfc8461.tsv"), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"));
const REQUIREMENTS = ROWS.map((line) => {
  const [section = "", number = "", word = "", binds = "", text = "", code = "", shown = ""] = line.split("\t");
  const [testFile = "", ...name] = shown.split(": ");
  return {
    id: `§${section} (${number}) ${word}`,
    section,
    number: Number(number),
    binds,
    text,
    code,
    testFile,
    testName: name.join(": "),
  };
});

function fileText(path: string): string {
  const file = join(ROOT, path);
  assert.ok(existsSync(file), `no such file: ${path}`);
  return readFileSync(file, "utf8");
}

test("the head of the table", () => assert.equal(HEAD, "section\tnumber\tword\tbinds\ttext\tcode\ttest"));

describe("what binds a sender has code and test", () => {
  for (const { id, section, binds, text, code, testFile, testName } of REQUIREMENTS)
    test(`${id}: ${text}`, () => {
      if (binds !== "sender") {
        assert.deepEqual([binds, code, testFile], ["domain", "-", "-"]);
        return;
      }
      const cited = new RegExp(`RFC 8461 (?:§[\\d.]+, )*§${section.replaceAll(".", "\\.")}(?![\\d]|\\.\\d)`);
      assert.match(fileText(code), cited, `${code} does not cite RFC 8461 §${section}`);
      assert.match(testFile, /^test\/.*\.test\.ts$/);
      assert.ok(testName !== "" && fileText(testFile).includes(testName), `${testFile} has no test ${testName}`);
    });
});

/** Sections 2 to 10 as running text. */
function sectionsOf(rfc: string): ReadonlyMap<string, string> {
  const found = new Map<string, string[]>();
  let current: string[] | undefined;
  for (const line of rfc.replaceAll(/\n+Margolis, et al\. .*\n+\f?\n*RFC 8461 .*\n+/g, "\n").split("\n")) {
    const heading = /^(\d+(?:\.\d+)*)\. {2}\S/.exec(line)?.[1];
    if (heading === undefined) current?.push(line.trim());
    else {
      current = /^(?:[2-9]|10)(?:\.|$)/.test(heading) ? [] : undefined;
      if (current !== undefined) found.set(heading, current);
    }
  }
  return new Map(
    [...found].map(([section, lines]) => [
      section,
      lines
        .join(" ")
        .replaceAll(/\s+/g, " ")
        .replaceAll(/(\w)- (?=\w)/g, "$1-"),
    ]),
  );
}

test("the table is complete, in the order of the RFC", () => {
  if (!existsSync(RFC_FILE)) {
    console.warn(`WITHOUT the text of RFC 8461: ${RFC_FILE} is not there, so the table was not compared with it`);
    return;
  }
  const sections = sectionsOf(readFileSync(RFC_FILE, "utf8"));
  assert.deepEqual(
    REQUIREMENTS.map(({ id }) => id),
    [...sections].flatMap(([section, text]) => [...text.matchAll(WORD)].map(([word], i) => `§${section} (${i + 1}) ${word}`)),
  );
  for (const { id, section, number, text } of REQUIREMENTS) {
    const whole = sections.get(section) ?? "";
    const at = whole.indexOf(text);
    const place = [...whole.matchAll(WORD)][number - 1]?.index ?? -1;
    assert.ok(at >= 0 && place >= at && place < at + text.length, `${id} quotes another one: ${text}`);
  }
});
