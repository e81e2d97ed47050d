import assert from "node:assert/strict";
import { test } from "node:test";
import { beginning, html, shortened } from "../../../src/admin/html.ts";

/** What comes from outside, and what stands in the page for it. */
const ESCAPED: readonly [text: string, markup: string][] = [
  ["mail.example.org", "mail.example.org"],
  ["<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"],
  [`"><img src=x onerror=alert(1)>`, "&quot;&gt;&lt;img src=x onerror=alert(1)&gt;"],
  ["' onfocus='alert(1)", "&#39; onfocus=&#39;alert(1)"],
  ["&lt;b&gt;", "&amp;lt;b&amp;gt;"],
  ["line\r\nSet-Cookie: a=b", "line\ufffd\ufffdSet-Cookie: a=b"],
  ["\u001b[2J\u0000\u007f\u0085", "\ufffd[2J\ufffd\ufffd\ufffd"],
  ["moc.elpmaxe\u202eexample", "moc.elpmaxe\ufffdexample"],
  ["zero\u200bwidth\u2066\ufeff", "zero\ufffdwidth\ufffd\ufffd"],
  ["soft\u00adhyphen \u{e0041}\u3164 tags", "soft\ufffdhyphen \ufffd\ufffd tags"],
  [`a${"\u0301".repeat(32)}b`, `a${"\u0301".repeat(4)}\ufffdb`],
  ["half \ud800 of one", "half \ufffd of one"],
  ["münchen 例え 😀", "münchen 例え 😀"],
];

for (const [text, markup] of ESCAPED) {
  test(`escapes ${JSON.stringify(text)}`, () => {
    assert.equal(html`<p title="${text}">${text}</p>`.markup, `<p title="${markup}">${markup}</p>`);
  });
}

test("what a template made stands as it is, once and in lists; nothing is nothing", () => {
  const inner = html`<b>${"<"}</b>`;
  assert.equal(html`${inner}${[inner, inner]}${undefined}${3}`.markup, "<b>&lt;</b><b>&lt;</b><b>&lt;</b>3");
});

test("an object that only looks like markup is not markup", () => {
  const forged = JSON.parse('{"markup":"<script>"}') as never;
  assert.throws(() => html`${forged}`, TypeError);
});

const CUT: readonly [text: string, limit: number, middle: string, end: string][] = [
  ["abcdef", 6, "abcdef", "abcdef"],
  ["abcdefg", 6, "abc…fg", "abcde…"],
  ["one two three four", 12, "one tw… four", "one two…"],
  ["😀😀😀😀", 3, "😀…😀", "😀😀…"],
];

for (const [text, limit, middle, end] of CUT) {
  test(`cuts ${text} to ${limit}`, () => {
    assert.equal(shortened(text, limit), middle);
    assert.equal(beginning(text, limit), end);
    assert.ok([...middle].length <= limit && [...end].length <= limit);
  });
}
