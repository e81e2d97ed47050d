import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { SigningKeyFiles } from "../../../src/delivery/signingKeyFiles.ts";
import { type ReadKeyFile, readSigningKeys, type SigningSetting } from "../../../src/dkim/signingKeys.ts";

function pem(): string {
  return generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

function settings(...domains: readonly string[]): SigningSetting[] {
  return domains.map((domain, i) => ({ domain, selector: `s${i}`, keyFile: `/keys/${i}` }));
}

function readerOf(files: Readonly<Record<string, string>>): ReadKeyFile {
  return (path) => {
    const text = files[path];
    if (text === undefined) return { kind: "missing" };
    return text === "locked" ? { kind: "unreadable", reason: "EACCES: permission denied" } : { kind: "text", text };
  };
}

function opened(files: Record<string, string>, entries: readonly SigningSetting[]) {
  const read = readSigningKeys(entries, readerOf(files));
  assert.ok(read.kind === "keys");
  const told: string[] = [];
  const watched = new SigningKeyFiles({
    ...{ settings: entries, keys: read.keys, readFile: (path) => readerOf(files)(path) },
    onRenewed: ({ key }) => told.push(`renewed ${key.selector}`),
    onTrouble: (reason) => told.push(reason),
  });
  return { watched, told };
}

test("a file that breaks keeps its last good key, and is told of once; the others are renewed", (t) => {
  const files = { "/keys/0": pem(), "/keys/1": pem() };
  const { watched, told } = opened(files, settings("example.org", ".example.org"));
  t.after(() => watched.stop());
  const before = watched.keys;
  watched.check();
  assert.equal(watched.keys, before, "the same list, so that signatures stay remembered");
  files["/keys/0"] = "locked";
  files["/keys/1"] = pem();
  watched.check();
  watched.check();
  assert.deepEqual(told, ["/keys/0: EACCES: permission denied", "renewed s1"]);
  assert.equal(watched.trouble, "/keys/0: EACCES: permission denied");
  assert.equal(watched.keys[0], before[0]);
  assert.notEqual(watched.keys[1], before[1]);
  files["/keys/0"] = pem();
  watched.check();
  assert.equal(watched.trouble, undefined);
  assert.deepEqual(told.slice(2), ["renewed s0"]);
  assert.notEqual(watched.keys[0], before[0]);
});

test("other entries take over, and what is the same stays", (t) => {
  const files = { "/keys/0": pem(), "/keys/1": pem() };
  const { watched } = opened(files, settings("example.org"));
  t.after(() => watched.stop());
  const before = watched.keys;
  const replace = (entries: readonly SigningSetting[]): void => {
    const read = readSigningKeys(entries, readerOf(files));
    assert.ok(read.kind === "keys");
    watched.replace(entries, read.keys);
  };
  replace(settings("example.org"));
  assert.equal(watched.keys, before);
  replace(settings("example.org", "example.net"));
  assert.deepEqual(
    watched.keys.map(({ domain }) => domain),
    ["example.org", "example.net"],
  );
  replace([]);
  assert.deepEqual(watched.keys, []);
});

const bad: readonly { name: string; entries: readonly SigningSetting[]; reason: RegExp }[] = [
  {
    name: "missing",
    entries: [{ domain: "a.example", selector: "s", keyFile: "/keys/9" }],
    reason: /^entry 0: \/keys\/9 does not exist$/,
  },
  {
    name: "no key",
    entries: [{ domain: "a.example", selector: "s", keyFile: "/keys/text" }],
    reason: /^entry 0: \/keys\/text: it holds no private key/,
  },
  {
    name: "two keys that would have the same record",
    entries: [
      { domain: "a.example", selector: "s", keyFile: "/keys/0" },
      { domain: ".a.example", selector: "s", keyFile: "/keys/1" },
    ],
    reason: /^entry 1: there is another key for s\._domainkey\.a\.example, which can be the name of one only$/,
  },
];
for (const { name, entries, reason } of bad) {
  test(`refused: ${name}`, () => {
    const read = readSigningKeys(entries, readerOf({ "/keys/0": pem(), "/keys/1": pem(), "/keys/text": "hello" }));
    assert.ok(read.kind === "unusable");
    assert.equal(read.reasons.length, 1);
    assert.match(read.reasons[0] ?? "", reason);
  });
}

test("the same key for a domain and those below it is one record", () => {
  const file = pem();
  const entries = ["a.example", ".a.example"].map((domain) => ({ domain, selector: "s", keyFile: "/keys/0" }));
  assert.equal(readSigningKeys(entries, readerOf({ "/keys/0": file })).kind, "keys");
});
