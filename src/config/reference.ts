import { stringify } from "yaml";
import { variableName } from "./environment.ts";
import type { InForce } from "./load.ts";
import { KEYED_SETTINGS, SETTINGS } from "./schema.ts";
import { isSetting, type Section, type Setting } from "./setting.ts";
import { masked } from "./value.ts";

/** Texts made from the table of settings: the example file, the reference, and the configuration in force. */

const EXAMPLE_WIDTH = 110;

const EXAMPLE_HEAD = [
  "dane-relay: every setting, with its default behind the mark #. To change one, remove the mark and write another value.",
  "Each can be set from the environment as well, which wins: submission.maxMessageBytes is",
  "DANE_RELAY_SUBMISSION_MAX_MESSAGE_BYTES; lists are comma separated, lists of mappings are JSON.",
  "This file is made from the table of settings: `dane-relay config example` prints it. Check yours with `dane-relay config check`.",
];

/** A value in one line of YAML. */
function inline(written: unknown): string {
  if (typeof written === "string") return stringify(written, { lineWidth: 0 }).trimEnd();
  return stringify(written, {
    collectionStyle: "flow",
    lineWidth: 0,
    flowCollectionPadding: false,
    // In flow style addresses and globs without quotes are legal here and trouble elsewhere.
    defaultStringType: "QUOTE_DOUBLE",
    defaultKeyType: "PLAIN",
  }).trimEnd();
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** What holds where nothing is written, in words or as written. */
function fallbackText({ fallback }: Setting<unknown>): string {
  return fallback.kind === "written" ? inline(fallback.written) : fallback.meaning;
}

function exampleOf(name: string, setting: Setting<unknown>, indent: string): string[] {
  const { fallback, example, doc } = setting;
  const lines = wrapped(doc, EXAMPLE_WIDTH - indent.length - 2);
  if (fallback.kind !== "written") lines.push(`Not set: ${fallback.meaning}.`);
  const shown = fallback.kind === "written" ? fallback.written : example;
  if (fallback.kind === "written" && example !== undefined) lines.push(...writtenExample(name, example));
  return ["", ...lines.map((line) => `${indent}# ${line}`), `${indent}#${name}: ${inline(shown)}`];
}

/** Entries that are mappings get a line each. */
function writtenExample(name: string, example: unknown): string[] {
  const entries: unknown[] = Array.isArray(example) ? example : [];
  if (!entries.some((entry) => typeof entry === "object")) return [`Example: ${name}: ${inline(example)}`];
  return ["Example:", `  ${name}:`, ...entries.map((entry) => `    - ${inline(entry)}`)];
}

function sectionLines(section: Section, indent: string): string[] {
  return Object.entries(section).flatMap(([name, entry]) =>
    isSetting(entry) ? exampleOf(name, entry, indent) : ["", `${indent}${name}:`, ...sectionLines(entry, `${indent}  `)],
  );
}

/** `config/relay.yaml`: every key with its doc, commented out at its default. */
export function exampleFile(): string {
  return `${[...EXAMPLE_HEAD.map((line) => `# ${line}`), ...sectionLines(SETTINGS, "")].join("\n")}\n`;
}

/** The reference as a Markdown table. */
export function referenceTable(): string {
  const cell = (text: string): string => text.replaceAll("|", "\\|");
  const rows = KEYED_SETTINGS.map(({ key, setting }) => {
    const fallback = setting.fallback.kind === "written" ? `\`${cell(fallbackText(setting))}\`` : cell(fallbackText(setting));
    return `| \`${key}\` | ${cell(setting.type.words)} | ${fallback} | ${cell(setting.doc)} |`;
  });
  return ["| key | value | default | meaning |", "|---|---|---|---|", ...rows].join("\n").concat("\n");
}

/** The configuration in force as YAML that would be read back as the same, each value with where it comes from. */
export function effectiveFile(inForce: readonly InForce[]): string {
  const lines: string[] = [];
  let open: readonly string[] = [];
  for (const { key, written, value, where } of inForce) {
    const steps = key.split(".");
    const sections = steps.slice(0, -1);
    sections.forEach((name, depth) => {
      if (sections.slice(0, depth + 1).join(".") !== open.slice(0, depth + 1).join("."))
        lines.push(`${"  ".repeat(depth)}${name}:`);
    });
    open = sections;
    const indent = "  ".repeat(sections.length);
    const name = steps.at(-1) ?? key;
    // Numbers and truth values from the environment are text as written; what the parser made of them is the same without quotes.
    const plain = typeof value === "number" || typeof value === "boolean" ? value : masked(written);
    lines.push(value === undefined ? `${indent}#${name}: # ${unsetText(key)}` : `${indent}${name}: ${inline(plain)} # ${where}`);
  }
  return `${lines.join("\n")}\n`;
}

function unsetText(key: string): string {
  const keyed = KEYED_SETTINGS.find((candidate) => candidate.key === key);
  return keyed === undefined ? "not set" : `not set: ${fallbackText(keyed.setting)} (${variableName(key)})`;
}
