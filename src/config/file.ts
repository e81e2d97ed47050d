import { type Document, isMap, isScalar, LineCounter, type Node, parseDocument, visit } from "yaml";
import type { Given, GivenProblem } from "./environment.ts";
import { SETTINGS } from "./schema.ts";
import { isSetting, type Section } from "./setting.ts";

/** The configuration file: YAML 1.2, sections as mappings. */

export type FileContent = {
  given: readonly Given[];
  problems: readonly GivenProblem[];
  /** Where the value of a key, or a part of it, stands: `relay.yaml:12`. */
  whereOf: (key: string, path: readonly (string | number)[]) => string;
};

/** `name` is how the file is called in messages. A section without content counts as left out: all of its keys are commented out. */
export function readConfigFile(name: string, text: string): FileContent {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: "1.2", schema: "core" });
  const lineOf = (offset: number | undefined): string => (offset === undefined ? name : `${name}:${lines.linePos(offset).line}`);
  const whereOf = (key: string, path: readonly (string | number)[]): string =>
    lineOf(offsetOf(document, [...key.split("."), ...path]));
  const unreadable = [...document.errors, ...document.warnings].map((error) =>
    problemAt("", lineOf(error.pos[0]), `is not valid YAML: ${error.message}`),
  );
  // Without aliases a small file stays a small configuration, and every value stands where it is used.
  visit(document, {
    Alias: (_, alias) => {
      unreadable.push(problemAt("", lineOf(alias.range?.[0]), `YAML aliases (*${alias.source}) are not supported`));
    },
  });
  if (unreadable.length > 0) return { given: [], problems: unreadable, whereOf };
  const given: Given[] = [];
  const problems: GivenProblem[] = [];
  const walk = (node: Node | null, section: Section, prefix: string): void => {
    if (node === null || (isScalar(node) && node.value === null)) return;
    if (!isMap(node)) {
      const what = prefix === "" ? "must hold settings, as key: value" : "is a section: it must hold settings, as key: value";
      problems.push(problemAt(prefix.slice(0, -1), lineOf(node.range?.[0]), what));
      return;
    }
    for (const pair of node.items) {
      const keyNode = pair.key as Node | null;
      const keyName = isScalar(keyNode) ? String(keyNode.value) : "?";
      const entry = Object.hasOwn(section, keyName) ? section[keyName] : undefined;
      const where = lineOf(keyNode?.range?.[0]);
      const key = `${prefix}${keyName}`;
      if (entry === undefined) problems.push(problemAt(key, where, unknownKey(keyName, section, prefix)));
      else if (!isSetting(entry)) walk(pair.value as Node | null, entry, `${key}.`);
      else if (isEmpty(pair.value as Node | null))
        problems.push(problemAt(key, where, "has no value: comment the line out to leave it at its default"));
      else given.push({ key, written: (pair.value as Node).toJS(document), where });
    }
  };
  walk(document.contents, SETTINGS, "");
  return { given, problems, whereOf };
}

function isEmpty(node: Node | null): boolean {
  return node === null || (isScalar(node) && node.value === null);
}

function problemAt(key: string, where: string, message: string): GivenProblem {
  return { key, where, problem: { path: [], message } };
}

/** The offset of the deepest node that stands on `path`. */
function offsetOf(document: Document, path: readonly (string | number)[]): number | undefined {
  for (let length = path.length; length > 0; length -= 1) {
    const node = document.getIn(path.slice(0, length), true);
    if (typeof node === "object" && node !== null && "range" in node) return (node as Node).range?.[0];
  }
  return undefined;
}

/** Says what was probably meant: the same letters in another case, or one slip of the keyboard away. */
function unknownKey(name: string, section: Section, prefix: string): string {
  const known = Object.keys(section);
  const meant = known.find((candidate) => isNear(candidate.toLowerCase(), name.toLowerCase()));
  if (meant !== undefined) return `is unknown; is ${prefix}${meant} meant?`;
  return `is unknown; ${prefix === "" ? "known keys" : `keys of ${prefix.slice(0, -1)}`} are ${known.join(", ")}`;
}

/** Whether one of the other is made by one character more, less or other, or two neighbours swapped. */
function isNear(a: string, b: string): boolean {
  let start = 0;
  while (start < a.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const [left, right] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  return Math.max(left.length, right.length) <= 1 || (left.length === 2 && left === [...right].reverse().join(""));
}
