import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

/** requirements.tsv: complete against the text of RFC 7672 where that is there, and each line borne out by the code and the test it names. */
type Requirement = {
  section: string;
  number: number;
  word: string;
  binds: string;
  text: string;
  code: string;
  testFile: string;
  testName: string;
};

const ROOT = join(import.meta.dirname, "../..");
const RFC_FILE = join(ROOT, "../shared/rfc/rfc7672.txt");
const WORD = /\b(?:MUST NOT|MUST|SHOULD NOT|SHOULD)\b/g;
const OTHERS = ["publisher", "server", "name server"];

function requirements(): readonly Requirement[] {
  const lines = readFileSync(join(import.meta.dirname, "requirements.tsv"), "utf8").split("\n");
  const [head, ...rows] = lines.filter((line) => line !== "" && !line.startsWith("#"));
  assert.equal(head, "section\tnumber\tword\tbinds\ttext\tcode\ttest");
  return rows.map((line) => {
    const cells = line.split("\t");
    assert.equal(cells.length, 7, line);
    const [section = "", number = "", word = "", binds = "", text = "", code = "", shown = ""] = cells;
    const [testFile = "", ...name] = shown.split(": ");
    return { section, number: Number(number), word, binds, text, code, testFile, testName: name.join(": ") };
  });
}

const REQUIREMENTS = requirements();
const OF_CLIENTS = REQUIREMENTS.filter(({ binds }) => binds === "client");
const idOf = ({ section, number }: Requirement): string => `§${section} (${number})`;

function fileText(path: string): string {
  const file = join(ROOT, path);
  assert.ok(existsSync(file), `no such file: ${path}`);
  return readFileSync(file, "utf8");
}

describe("what binds a client has code and test", () => {
  for (const requirement of OF_CLIENTS) {
    const { section, text, code, testFile, testName } = requirement;
    test(`${idOf(requirement)}: ${text}`, () => {
      // In a list too: RFC 7672 §3.1.1, §3.2.1.
      const cited = new RegExp(`RFC 7672 (?:§[\\d.]+, )*§${section.replaceAll(".", "\\.")}(?![\\d]|\\.\\d)`);
      assert.match(fileText(code), cited, `${code} does not cite RFC 7672 §${section}`);
      assert.match(testFile, /^test\/.*\.test\.ts$/);
      assert.ok(testName.startsWith(`${idOf(requirement)}: `), testName);
      assert.ok(fileText(testFile).includes(testName), `${testFile} has no test ${testName}`);
    });
  }
});

test("what binds others names neither", () => {
  for (const { binds, code, testFile } of REQUIREMENTS) {
    if (binds === "client") continue;
    assert.ok(OTHERS.includes(binds), binds);
    assert.deepEqual([code, testFile], ["-", "-"]);
  }
});

test("each test of rfc7672.test.ts is of a requirement that binds a client", () => {
  const known = new Set(OF_CLIENTS.map(idOf));
  const named = fileText("test/rfc/rfc7672.test.ts").matchAll(/["`](§[\d.]+ \(\d+\)): /g);
  const ids = new Set([...named].map(([, id]) => id ?? ""));
  assert.deepEqual(
    [...ids].filter((id) => !known.has(id)),
    [],
  );
  assert.equal(ids.size, known.size);
});

/** Sections 2 to 9 as running text: without page breaks, line ends and the hyphens of broken words. */
function sectionsOf(rfc: string): ReadonlyMap<string, string> {
  const lines = rfc
    .replaceAll(/\n+Dukhovni & Hardaker .*\n+\f?\n*RFC 7672 .*\n+/g, "\n")
    .replaceAll("\f", "")
    .split("\n");
  const found = new Map<string, string[]>();
  let current: string[] | undefined;
  for (const line of lines) {
    const heading = /^(\d+(?:\.\d+)*)\. {2}\S/.exec(line)?.[1];
    if (heading === undefined) current?.push(line.trim());
    else if (/^[2-9](?:\.|$)/.test(heading)) {
      current = [];
      found.set(heading, current);
    } else current = undefined;
  }
  return new Map(
    [...found].map(([section, text]) => [
      section,
      text
        .join(" ")
        .replaceAll(/\s+/g, " ")
        .replaceAll(/(\w)- (?=\w)/g, "$1-"),
    ]),
  );
}

test("the table is complete, in the order of the RFC", () => {
  if (!existsSync(RFC_FILE)) {
    console.warn(`WITHOUT the text of RFC 7672: ${RFC_FILE} is not there, so the table was not compared with it`);
    return;
  }
  const sections = sectionsOf(readFileSync(RFC_FILE, "utf8"));
  const expected = [...sections].flatMap(([section, text]) =>
    [...text.matchAll(WORD)].map(([word], index) => `§${section} (${index + 1}) ${word}`),
  );

  assert.deepEqual(
    REQUIREMENTS.map((requirement) => `${idOf(requirement)} ${requirement.word}`),
    expected,
  );
  for (const requirement of REQUIREMENTS) {
    const { section, number, text } = requirement;
    const whole = sections.get(section) ?? "";
    const at = whole.indexOf(text);
    assert.ok(at >= 0, `${idOf(requirement)} is not in the RFC: ${text}`);
    const words = [...whole.matchAll(WORD)];
    const place = words[number - 1]?.index ?? -1;
    assert.ok(place >= at && place < at + text.length, `${idOf(requirement)} quotes another one: ${text}`);
  }
});
