import { posix } from "node:path";
import { functionsOf } from "./functions.ts";
import { type Import, importsOf } from "./imports.ts";
import { isText, type Token, tokenize } from "./tokens.ts";

/** A source file: its path below src/ with forward slashes, and its text. */
export type SourceFile = { path: string; text: string };

export const FILE_CEILING = 300;
export const FUNCTION_CEILING = 60;
export const ATTEMPT_CEILING = 120;

/** The pure ring, lowest first, as in design.md §1; `policy` combines what stands before it. */
const PURE_AREAS = ["dns", "dnssec", "x509", "smtp", "dkim", "dane", "mtasts", "policy", "tlsrpt", "diagnosis"] as const;
const BELOW_POLICY = PURE_AREAS.slice(0, PURE_AREAS.indexOf("policy"));
const EDGE_OF_DELIVERY = [...PURE_AREAS, "resolver/resolver", "spool", "clock", "log"];

/**
 * Who may import whom: an area is a folder or a file directly in src/; a target is an area, or one file of it as `area/file`.
 * `type:` in front: only its types.
 */
export const IMPORT_TABLE: Readonly<Record<string, readonly string[]>> = {
  clock: [],
  log: PURE_AREAS.map((area) => `type:${area}`),
  dns: [],
  dnssec: ["dns"],
  x509: ["dns/name"],
  smtp: ["dns/name"],
  dkim: ["smtp"],
  dane: ["dns", "dnssec/securityStatus", "x509"],
  mtasts: ["dns/name"],
  policy: BELOW_POLICY,
  tlsrpt: [...BELOW_POLICY, "policy"],
  diagnosis: PURE_AREAS,
  resolver: ["dns", "dnssec", "clock"],
  spool: ["smtp", "policy", "clock"],
  submission: ["smtp", "spool", "clock", "log"],
  delivery: EDGE_OF_DELIVERY,
  reporting: EDGE_OF_DELIVERY,
  rollover: [...PURE_AREAS, "resolver", "delivery/connection", "clock"],
  workers: ["clock", "log"],
  metrics: [
    ...PURE_AREAS,
    ...["resolver", "spool", "submission", "delivery", "reporting", "workers"].map((area) => `type:${area}`),
  ],
  admin: [
    ...PURE_AREAS,
    "spool/queueAdmin",
    "type:log",
    ...["resolver", "spool", "submission", "delivery", "reporting", "workers"].map((area) => `type:${area}`),
  ],
  config: [],
  relay: [
    ...PURE_AREAS,
    ...[
      "clock",
      "log",
      "resolver",
      "spool",
      "submission",
      "delivery",
      "reporting",
      "rollover",
      "workers",
      "metrics",
      "admin",
      "config",
    ],
  ],
  cli: [...PURE_AREAS, "spool/queueAdmin", "spool/repair", "rollover", "relay", "config", "clock", "log"],
  main: ["cli"],
};

const PURE_FILES = new Set(["spool/message"]);

/** What of Node and npm the pure ring may use: deterministic parsers and arithmetic. */
const PURE_PACKAGES = new Set(["node:crypto", "node:buffer", "dns-packet", "@peculiar/x509", "reflect-metadata"]);
/** The one deterministic function of node:url that SMTP's internationalised domains need (RFC 5891). */
const PURE_EXCEPTIONS: Readonly<Record<string, { specifier: string; names: readonly string[] }>> = {
  "smtp/mailbox": { specifier: "node:url", names: ["domainToASCII", "domainToUnicode"] },
};
const RANDOM_CRYPTO = /^(?:random|generate|getRandom|webcrypto|subtle|secureHeap|setEngine|setFips|\*$|default$)/;
const IMPURE_WORDS = new Set(
  "process setTimeout setInterval setImmediate queueMicrotask console globalThis global performance fetch require __dirname crypto".split(
    " ",
  ),
);
const FORBIDDEN_WORD = /^(?:utils?|helpers?|common|lib|types|managers?|services?)$/i;
const SILENCED = /@ts-(?:ignore|nocheck|expect-error)|biome-ignore|eslint-disable/;

function moduleOf(path: string): string {
  return path.replace(/\.ts$/, "");
}

function areaOf(path: string): string {
  return moduleOf(path).split("/")[0] ?? "";
}

export function isPure(path: string): boolean {
  return PURE_FILES.has(moduleOf(path)) || (PURE_AREAS as readonly string[]).includes(areaOf(path));
}

function mayImport(from: string, to: string, typeOnly: boolean): boolean {
  if (areaOf(from) === areaOf(to)) return !PURE_FILES.has(moduleOf(from)) || PURE_FILES.has(moduleOf(to)) || typeOnly;
  const allowed = IMPORT_TABLE[areaOf(from)] ?? [];
  return allowed.some((entry) => {
    const target = entry.replace(/^type:/, "");
    if (entry.startsWith("type:") && !typeOnly) return false;
    return target === areaOf(to) || target === moduleOf(to);
  });
}

/** The path below src/ that a relative specifier means. */
function resolvedPath(file: SourceFile, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(file.path), specifier));
}

function importViolations(file: SourceFile, paths: ReadonlySet<string>): string[] {
  const violations: string[] = [];
  for (const found of importsOf(file.text)) {
    const at = `${file.path}:${found.line}`;
    if (found.form === "re-export")
      violations.push(`${at}: re-exports ${found.specifier} (no barrels: import from the file itself)`);
    if (!found.specifier.startsWith(".")) {
      if (isPure(file.path)) violations.push(...pureImportViolations(file, found, at));
      continue;
    }
    const target = resolvedPath(file, found.specifier);
    if (!paths.has(target)) violations.push(`${at}: imports ${found.specifier}, which does not exist below src/`);
    else if (!mayImport(file.path, target, found.typeOnly)) {
      violations.push(`${at}: ${areaOf(file.path)} must not import ${found.typeOnly ? "even a type of " : ""}${target}`);
    }
  }
  return violations;
}

function pureImportViolations(file: SourceFile, found: Import, at: string): string[] {
  const exception = PURE_EXCEPTIONS[moduleOf(file.path)];
  if (exception?.specifier === found.specifier && found.names.every((name) => exception.names.includes(name))) return [];
  if (!PURE_PACKAGES.has(found.specifier)) return [`${at}: the pure ring must not import ${found.specifier}`];
  if (found.specifier !== "node:crypto" || found.typeOnly) return [];
  return found.names
    .filter((name) => RANDOM_CRYPTO.test(name))
    .map((name) => `${at}: the pure ring must not import ${name} of node:crypto`);
}

/** `const x = new Map()` and `let x` outside every function: state that outlives a call. Declared as a read-only type, an empty one is none. */
function stateViolation(tokens: readonly Token[], i: number): string | undefined {
  if (isText(tokens[i], "let", "var") && tokens[i + 1]?.kind === "word") return `${tokens[i]?.text} ${tokens[i + 1]?.text}`;
  const collection = isText(tokens[i + 1], "Map", "Set", "WeakMap", "WeakSet", "LRUCache");
  if (!isText(tokens[i], "new") || !collection) return undefined;
  const declared = tokens.slice(tokens.slice(0, i).findLastIndex((token) => isText(token, "const")) + 2, i);
  const readOnly =
    isText(declared[0], ":") && !declared.some((token) => isText(token, "Map", "Set", "WeakMap", "WeakSet", "LRUCache"));
  if (readOnly) return undefined;
  const open = tokens.findIndex((token, j) => j > i && isText(token, "("));
  return isText(tokens[open + 1], ")") ? `an empty ${tokens[i + 1]?.text}` : undefined;
}

function impureUse(tokens: readonly Token[], i: number): string | undefined {
  const token = tokens[i];
  if (token?.kind !== "word" || isText(tokens[i - 1], ".", "?.")) return undefined;
  const isKey = isText(tokens[i + 1], ":") && isText(tokens[i - 1], "{", ",", ";", "(", "readonly");
  if (IMPURE_WORDS.has(token.text) && !isKey) return token.text;
  if (token.text === "Math" && isText(tokens[i + 2], "random")) return "Math.random";
  if (token.text !== "Date") return undefined;
  if (isText(tokens[i + 1], ".") && isText(tokens[i + 2], "now")) return "Date.now";
  const called = isText(tokens[i + 1], "(");
  if (isText(tokens[i - 1], "new")) return !called || isText(tokens[i + 2], ")") ? "new Date()" : undefined;
  return called ? "Date()" : undefined;
}

function purityViolations(file: SourceFile): string[] {
  if (!isPure(file.path)) return [];
  const tokens = tokenize(file.text);
  const violations: string[] = [];
  let depth = 0;
  tokens.forEach((token, i) => {
    if (isText(token, "{", "(", "[")) depth += 1;
    if (isText(token, "}", ")", "]")) depth -= 1;
    const use = impureUse(tokens, i);
    if (use !== undefined) violations.push(`${file.path}:${token.line}: the pure ring must not use ${use}`);
    const state = depth === 0 ? stateViolation(tokens, i) : undefined;
    if (state !== undefined) violations.push(`${file.path}:${token.line}: the pure ring keeps no state: ${state}`);
  });
  return violations;
}

function formViolations(file: SourceFile): string[] {
  const violations: string[] = [];
  const tokens = tokenize(file.text);
  tokens.forEach((token, i) => {
    const at = `${file.path}:${token.line}`;
    if (isText(token, "export") && isText(tokens[i + 1], "default")) violations.push(`${at}: default export`);
    if (isText(token, "as") && isText(tokens[i + 1], "default")) violations.push(`${at}: default export`);
    if (isText(token, "enum") && tokens[i + 1]?.kind === "word" && isText(tokens[i + 2], "{")) violations.push(`${at}: enum`);
    const exits = isText(token, "process") && isText(tokens[i + 2], "exit", "exitCode", "abort", "kill");
    if (exits && moduleOf(file.path) !== "main") violations.push(`${at}: only main.ts ends the process`);
  });
  file.text.split("\n").forEach((line, i) => {
    if (SILENCED.test(line)) violations.push(`${file.path}:${i + 1}: silences a check`);
  });
  if (areaOf(file.path) !== "main" && IMPORT_TABLE[areaOf(file.path)] === undefined) {
    violations.push(`${file.path}: "${areaOf(file.path)}" is no module of design.md §1`);
  }
  const name = moduleOf(file.path)
    .split("/")
    .find((part) => part === "index" || part.split(/(?=[A-Z])|[-_.]/).some((word) => FORBIDDEN_WORD.test(word)));
  if (name !== undefined) violations.push(`${file.path}: "${name}" names no concept`);
  return violations;
}

function sizeViolations(file: SourceFile): string[] {
  const violations: string[] = [];
  const lines = file.text.replace(/\n$/, "").split("\n").length;
  const ceiling = moduleOf(file.path) === "delivery/attempt" ? ATTEMPT_CEILING : FILE_CEILING;
  if (lines > ceiling) violations.push(`${file.path}: ${lines} lines (at most ${ceiling})`);
  for (const span of functionsOf(file.text)) {
    if (span.lines > FUNCTION_CEILING) {
      violations.push(`${file.path}:${span.line}: ${span.name} has ${span.lines} lines (at most ${FUNCTION_CEILING})`);
    }
  }
  return violations;
}

/** Everything in `files` (all of src/) that breaks design.md §1, as `path:line: what`. Cycles count imports of types too. */
export function violationsOf(files: readonly SourceFile[]): readonly string[] {
  const paths = new Set(files.map((file) => file.path));
  const edges = new Map(files.map((file) => [file.path, targetsOf(file, paths)]));
  return [
    ...files.flatMap((file) => [
      ...importViolations(file, paths),
      ...purityViolations(file),
      ...formViolations(file),
      ...sizeViolations(file),
    ]),
    ...cyclesOf(edges).map((cycle) => `cycle: ${cycle.join(" <-> ")}`),
  ];
}

function targetsOf(file: SourceFile, paths: ReadonlySet<string>): string[] {
  const relative = importsOf(file.text).filter((found) => found.specifier.startsWith("."));
  return relative.map((found) => resolvedPath(file, found.specifier)).filter((target) => paths.has(target));
}

/** Strongly connected components of more than one file, and files that import themselves (Tarjan). */
export function cyclesOf(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const open: string[] = [];
  const cycles: string[][] = [];
  const visit = (node: string): number => {
    order.set(node, order.size);
    open.push(node);
    let low = order.get(node) ?? 0;
    for (const target of edges.get(node) ?? []) {
      if (!order.has(target)) low = Math.min(low, visit(target));
      else if (open.includes(target)) low = Math.min(low, order.get(target) ?? low);
    }
    lowest.set(node, low);
    if (low === order.get(node)) {
      const component = open.splice(open.indexOf(node));
      const selfImport = component.length === 1 && (edges.get(node) ?? []).includes(node);
      if (component.length > 1 || selfImport) cycles.push(component.sort());
    }
    return low;
  };
  for (const node of edges.keys()) if (!order.has(node)) visit(node);
  return cycles;
}
