import assert from "node:assert/strict";
import { test } from "node:test";
import { actionRequest, changeText, filterFieldsOf, ownPath } from "../../../src/admin/pageForm.ts";

const NOW = 1_700_000_000_000;

const PATHS: readonly [text: string, path: string][] = [
  ["/", "/"],
  ["/queue", "/queue"],
  ["/queue?domain=example.org&after=1%2FA%2Fb", "/queue?domain=example.org&after=1%2FA%2Fb"],
  ["/queue/0ABC", "/queue/0ABC"],
  ["/explain?domain=a", "/explain?domain=a"],
  ["//evil.example", "/"],
  ["/\\evil.example", "/"],
  ["https://evil.example/", "/"],
  ["/queue/../login", "/"],
  ["/queue?a\r\nSet-Cookie: x=y", "/"],
  ["/queue?a b", "/"],
  ["/queue#x", "/"],
  ["/queueevil", "/"],
  ["/logout", "/"],
  ["javascript:alert(1)", "/"],
  [`/queue?${"a".repeat(5000)}`, "/"],
  ["", "/"],
];
for (const [text, path] of PATHS) {
  test(`a form that wants to go to ${JSON.stringify(text.slice(0, 60))} goes to ${path}`, () =>
    assert.equal(ownPath(text), path));
}

const REQUESTS: readonly [form: string, expected: object | RegExp][] = [
  [
    "action=hold&id=A1&id=A1&id=B2&back=/queue",
    { action: "hold", filter: { ids: ["A1", "B2"] }, confirmed: "no", back: "/queue" },
  ],
  ["action=delete&id=A1&confirmed=yes", { action: "delete", filter: { ids: ["A1"] }, confirmed: "yes", back: "/" }],
  ["action=retry&scope=all", { action: "retry", filter: {}, confirmed: "no", back: "/" }],
  [
    "action=retry&scope=filter&domain=EXAMPLE.org&state=",
    { action: "retry", filter: { domain: "example.org" }, confirmed: "no", back: "/" },
  ],
  [
    "action=retry&scope=filter&sender=%3C%3E&olderThanSeconds=60",
    { action: "retry", filter: { sender: "", acceptedBefore: NOW - 60_000 }, confirmed: "no", back: "/" },
  ],
  [
    "action=hold&scope=filter&ids=A1,B2&domain=a.example",
    { action: "hold", filter: { ids: ["A1", "B2"], domain: "a.example" }, confirmed: "no", back: "/" },
  ],
  ["action=hold&scope=filter&ids=..%2F", /queue ids/],
  ["action=hold&scope=filter&acceptedBefore=8640000000000001", /milliseconds since the epoch/],
  ["action=retry", /no message was chosen/],
  ["action=retry&scope=filter", /the filter is empty/],
  ["action=retry&scope=filter&domain=", /the filter is empty/],
  ["action=retry&scope=filter&state=nowhere", /state is one of/],
  ["action=retry&scope=filter&olderThanSeconds=soon", /number of seconds/],
  ["action=retry&id=..%2F", /queue ids/],
  ["action=burn&id=A1", /action is one of/],
  ["id=A1", /action is one of/],
];
for (const [form, expected] of REQUESTS) {
  test(`the form ${form}`, () => {
    const read = actionRequest(new URLSearchParams(form), NOW);
    if (expected instanceof RegExp) assert.match(read.kind === "wrong" ? read.message : JSON.stringify(read), expected);
    else assert.deepEqual(read, { kind: "read", value: expected });
  });
}

for (const form of [
  "scope=all",
  "scope=filter&sender=%3C%3E&olderThanSeconds=60",
  "scope=filter&domain=.example.org&state=held&reason=a%26b",
  "id=A1&id=B2",
  "scope=filter&ids=A1,B2&domain=a.example&acceptedBefore=8640000000000000",
]) {
  test(`what is asked back is what was asked for: ${form}`, () => {
    const asked = actionRequest(new URLSearchParams(`action=delete&${form}`), NOW);
    assert.ok(asked.kind === "read");
    const fields = filterFieldsOf(asked.value.filter).map(([name, value]): [string, string] => [name, value]);
    const again = actionRequest(new URLSearchParams([["action", "delete"], ...fields]), NOW + 1_000_000);
    assert.deepEqual(again.kind === "read" ? again.value.filter : again, asked.value.filter);
  });
}

test("what came of an action, in words", () => {
  assert.equal(changeText("delete", { changed: 1, unchanged: 0, busy: 0, unknown: [] }), "1 entry deleted.");
  assert.equal(
    changeText("retry", { changed: 3, unchanged: 1, busy: 2, unknown: ["A"] }),
    "3 entries due now; 1 held, and stay so until released; 2 left alone, since an attempt is under way: try again in a moment; 1 message not in the queue any more.",
  );
  assert.equal(changeText("hold", { changed: 0, unchanged: 0, busy: 0, unknown: [] }), "Nothing in the queue matched.");
});
