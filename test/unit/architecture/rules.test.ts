import assert from "node:assert/strict";
import { test } from "node:test";
import { functionsOf } from "../../architecture/functions.ts";
import { importsOf } from "../../architecture/imports.ts";
import { cyclesOf, type SourceFile, violationsOf } from "../../architecture/rules.ts";
import { tokenize } from "../../architecture/tokens.ts";

function words(source: string): string {
  return tokenize(source)
    .map((token) => `${token.kind[0]}:${token.text}`)
    .join(" ");
}

test("tokens: comments, strings, templates and regular expressions are told from code", () => {
  assert.equal(words("a / b / c"), "w:a p:/ w:b p:/ w:c");
  assert.equal(words("x = /[/]}'{/g; // {"), "w:x p:= r:/[/]}'{/g p:;");
  assert.equal(words(`\`a \${ {b: \`c\`}.b } d\``), `t:\`a \${ p:{ w:b p:: t:\`c\` p:} p:. w:b t:} d\``);
  assert.equal(words('"it\\"s { /* no comment */" /* { */ 1'), 's:"it\\"s { /* no comment */" n:1');
  assert.equal(words("return /x/.test(y) ? 0x1f : 1e-3"), "w:return r:/x/ p:. w:test p:( w:y p:) p:? n:0x1f p:: n:1e-3");
  assert.deepEqual(
    tokenize("a\n/* \n */b`\n`c").map((token) => token.line),
    [1, 3, 3, 4],
  );
});

const FUNCTIONS: readonly { name: string; source: string; expected: readonly string[] }[] = [
  { name: "declaration", source: "function f(a: { b: string }): void {\n a;\n}", expected: ["f 3"] },
  { name: "return type with braces", source: "function f(a = { b: 1 }): { a: 1 } | [string, {}] {\n}", expected: ["f 2"] },
  {
    name: "type guard, generics",
    source: "function f<T extends X>(a: T): a is Map<string, () => T> {\n}",
    expected: ["f 2", "(arrow) 1"],
  },
  {
    name: "method and constructor",
    source: "class A {\n constructor(a: B) {\n }\n async m(): Promise<void> {\n }\n}",
    expected: ["constructor 2", "m 2"],
  },
  { name: "arrow with a body", source: "const f = (a: B): C => {\n b;\n};", expected: ["(arrow) 3"] },
  { name: "arrow with an expression", source: "const f = () =>\n g({\n a: 1,\n });\nconst h = 1;", expected: ["(arrow) 4"] },
  {
    name: "control is no function",
    source: "if (a) {\n}\nfor await (const a of b) {\n}\nswitch (x) {\n case f(a): {\n }\n}",
    expected: [],
  },
  { name: "ternary call is no function", source: "const x = a ? f(b) : { c: 1 };", expected: [] },
  { name: "returned function type", source: "function f(): (a: B) => void {\n a;\n}", expected: ["f 3", "(arrow) 1"] },
  { name: "brace in a string", source: 'function f() {\n return "}";\n}', expected: ["f 3"] },
  { name: "multi-line template at the end", source: "const f = () => `\n\n`;", expected: ["(arrow) 3"] },
];

for (const { name, source, expected } of FUNCTIONS) {
  test(`functions: ${name}`, () => {
    assert.deepEqual(
      functionsOf(source).map((span) => `${span.name} ${span.lines}`),
      expected,
    );
  });
}

test("imports: every form, with what comes through", () => {
  const source = [
    'import "a";',
    'import b from "b";',
    'import { type C, D as E } from "c";',
    'import type { F } from "f";',
    'import * as g from "g";',
    'import { type H, type I } from "h";',
    'const j = await import("j");',
    'export { k } from "k";',
    'export type { L } from "l";',
    'export * as m from "m";',
    'export * from "n";',
    "export { own }; const url = import.meta.url; const s = \"import x from 'y'\";",
  ].join("\n");
  assert.deepEqual(
    importsOf(source).map((found) => `${found.line} ${found.form} ${found.specifier} ${found.typeOnly} ${found.names.join("+")}`),
    [
      "1 import a false ",
      "2 import b false default",
      "3 import c false C+D",
      "4 import f true F",
      "5 import g false *",
      "6 import h true H+I",
      "7 dynamic j false *",
      "8 re-export k false k",
      "9 re-export l true L",
      "10 re-export m false *",
      "11 re-export n false *",
    ],
  );
});

const MANY_LINES = "x();\n".repeat(61);
const BAD: readonly { name: string; files: Readonly<Record<string, string>>; expected: readonly RegExp[] }[] = [
  {
    name: "upwards import",
    files: { "dns/a.ts": 'import { b } from "../dnssec/b.ts";', "dnssec/b.ts": "" },
    expected: [/^dns\/a\.ts:1: dns must not import dnssec\/b\.ts$/],
  },
  {
    name: "only dns/name for smtp",
    files: { "smtp/a.ts": 'import { b } from "../dns/message.ts";', "dns/message.ts": "" },
    expected: [/smtp must not import dns\/message/],
  },
  {
    name: "only the interface for delivery",
    files: { "delivery/a.ts": 'import { b } from "../resolver/cache.ts";', "resolver/cache.ts": "" },
    expected: [/delivery must not import resolver\/cache/],
  },
  {
    name: "config is for relay and cli",
    files: { "spool/a.ts": 'import type { C } from "../config/schema.ts";', "config/schema.ts": "" },
    expected: [/spool must not import even a type of config\/schema/],
  },
  {
    name: "values of an edge module in admin",
    files: { "admin/a.ts": 'import { b } from "../spool/store.ts";', "spool/store.ts": "" },
    expected: [/admin must not import spool\/store/],
  },
  {
    name: "missing file",
    files: { "dns/a.ts": 'import { b } from "./b.ts";' },
    expected: [/imports \.\/b\.ts, which does not exist/],
  },
  { name: "without .ts", files: { "dns/a.ts": 'import { b } from "./b";', "dns/b.ts": "" }, expected: [/does not exist/] },
  {
    name: "pure message of the spool",
    files: { "spool/message.ts": 'import { b } from "./store.ts";', "spool/store.ts": "" },
    expected: [/must not import spool\/store/],
  },
  {
    name: "I/O in the pure ring",
    files: { "dane/a.ts": 'import { readFileSync } from "node:fs";' },
    expected: [/must not import node:fs/],
  },
  {
    name: "chance in the pure ring",
    files: { "dane/a.ts": 'import { createHash, randomInt } from "node:crypto";' },
    expected: [/must not import randomInt of node:crypto/],
  },
  {
    name: "clock in the pure ring",
    files: { "dane/a.ts": "const a = () => Date.now() + +new Date() + Number(Date());" },
    expected: [/Date\.now/, /new Date\(\)/, /use Date\(\)/],
  },
  {
    name: "timers and globals",
    files: { "policy/a.ts": "const f = () => { setTimeout(g, process.uptime()); console.log(Math.random(), globalThis.x); };" },
    expected: [/setTimeout/, /process/, /console/, /Math\.random/, /globalThis/],
  },
  {
    name: "state in the pure ring",
    files: { "x509/a.ts": "let count = 0;\nconst seen: Map<string, number> = new Map();" },
    expected: [/:1: .*let count/, /:2: .*an empty Map/],
  },
  {
    name: "cycle through a type",
    files: {
      "dns/a.ts": 'import type { B } from "./b.ts";',
      "dns/b.ts": 'import { c } from "./c.ts";',
      "dns/c.ts": 'import { a } from "./a.ts";',
    },
    expected: [/^cycle: dns\/a\.ts <-> dns\/b\.ts <-> dns\/c\.ts$/],
  },
  { name: "long file", files: { "dns/a.ts": "a;\n".repeat(301) }, expected: [/301 lines \(at most 300\)/] },
  { name: "long page", files: { "delivery/attempt.ts": "a;\n".repeat(121) }, expected: [/121 lines \(at most 120\)/] },
  {
    name: "long function",
    files: { "spool/a.ts": `export function f(): void {\n${MANY_LINES}}` },
    expected: [/spool\/a\.ts:1: f has 63 lines/],
  },
  {
    name: "long method with its return type",
    files: { "spool/a.ts": `class A {\n m(a: B): Promise<{ c: D }> {\n${MANY_LINES}}\n}` },
    expected: [/:2: m has 63 lines/],
  },
  {
    name: "names without a concept",
    files: { "dns/index.ts": "", "smtp/lib/a.ts": "", "spool/queueManager.ts": "", "dane/string-utils.ts": "" },
    expected: [/index/, /lib/, /queueManager/, /string-utils/],
  },
  { name: "unknown module", files: { "core/a.ts": "" }, expected: [/"core" is no module/] },
  { name: "barrel", files: { "dns/all.ts": 'export * from "./a.ts";', "dns/a.ts": "" }, expected: [/re-exports \.\/a\.ts/] },
  {
    name: "default exports, enums",
    files: { "spool/a.ts": "export default 1;\nexport { a as default };\nenum A { B }" },
    expected: [/:1: default export/, /:2: default export/, /:3: enum/],
  },
  {
    name: "leaving the process",
    files: { "cli/a.ts": "process.exit(1);", "relay.ts": "process.exitCode = 1;" },
    expected: [/cli\/a\.ts:1: only main/, /relay\.ts:1: only main/],
  },
  { name: "silenced checks", files: { "spool/a.ts": "// @ts-ignore\nx();" }, expected: [/a\.ts:1: silences a check/] },
];

function filesOf(table: Readonly<Record<string, string>>): SourceFile[] {
  return Object.entries(table).map(([path, text]) => ({ path, text }));
}

for (const { name, files, expected } of BAD) {
  test(`rules, broken: ${name}`, () => {
    const violations = violationsOf(filesOf(files));
    assert.equal(violations.length, expected.length, violations.join("\n"));
    expected.forEach((pattern, i) => {
      assert.match(violations[i] ?? "", pattern);
    });
  });
}

test("rules, kept: what the house allows", () => {
  const files = {
    "main.ts": 'import { serve } from "./cli/serve.ts";\nprocess.exitCode = serve();',
    "cli/serve.ts": 'import { startRelay } from "../relay.ts";\nimport { load } from "../config/load.ts";',
    "relay.ts": 'import { load } from "./config/load.ts";\nimport { attempt } from "./delivery/attempt.ts";',
    "config/load.ts": 'import { readFileSync } from "node:fs";',
    "delivery/attempt.ts":
      'import type { Resolver } from "../resolver/resolver.ts";\nimport type { Work } from "../spool/message.ts";',
    "resolver/resolver.ts": 'import type { Name } from "../dns/name.ts";\nsetTimeout(() => Date.now(), 1);',
    "spool/message.ts": 'import type { Outcome } from "../policy/disposition.ts";',
    "policy/disposition.ts":
      "const TABLE = new Map([[1, 2]]);\nconst f = (now: number, process: string) => new Date(now).valueOf();",
    "dns/name.ts": "const NONE: ReadonlyMap<A, B> = new Map();\nconst f = () => { const seen = new Set(); return seen; };",
    "spool/dueIndex.ts": "",
    "smtp/mailbox.ts": 'import { domainToASCII } from "node:url";\nimport { createHash } from "node:crypto";',
    "metrics/instruments.ts": 'import { A } from "../policy/disposition.ts";\nimport type { B } from "../spool/message.ts";',
  };
  assert.deepEqual(violationsOf(filesOf(files)), []);
});

test("cycles: components, not paths", () => {
  const edges = new Map([
    ["a", ["b", "c"]],
    ["b", ["d"]],
    ["c", ["d"]],
    ["d", ["b"]],
    ["e", ["e", "a"]],
  ]);
  assert.deepEqual(cyclesOf(edges), [["b", "d"], ["e"]]);
});
