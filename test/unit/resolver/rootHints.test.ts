import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { IANA_ROOT_SERVERS, parseRootHints } from "../../../src/resolver/rootHints.ts";

const GOOD = `; a comment
.                  3600000      NS    A.ROOT-SERVERS.NET.
A.ROOT-SERVERS.NET. 3600000     A     198.41.0.4
A.ROOT-SERVERS.NET. 3600000     AAAA  2001:503:ba3e::2:30
. IN NS b.root.test.
b.root.test. IN A 127.13.0.1
`;

test("root hints are read from zone-file text", () => {
  assert.deepEqual(parseRootHints(GOOD), [
    { name: "a.root-servers.net.", addresses: ["198.41.0.4", "2001:503:ba3e::2:30"] },
    { name: "b.root.test.", addresses: ["127.13.0.1"] },
  ]);
});

const bad: readonly [string, string, RegExp][] = [
  ["nothing", "", /no NS record/],
  ["a server without address", ". NS a.test.\n", /no address of a\.test/],
  ["NS of another zone", ". NS a.test.\na.test. A 127.13.0.1\nnet. NS a.test.\n", /not the root/],
  ["another type", ". NS a.test.\na.test. A 127.13.0.1\n. DNSKEY 257 3 8 AwEAAQ==\n", /DNSKEY record/],
  ["an address that is none", ". NS a.test.\na.test. A 127.13.0\n", /line 2/],
];
for (const [title, text, reason] of bad) {
  test(`root hints with ${title} are refused`, () => {
    const result = parseRootHints(text);
    assert.ok("kind" in result);
    assert.match(result.reason, reason);
  });
}

test("the built-in hints are 13 servers with an address of each family, and those of the system's file where there is one", () => {
  assert.equal(IANA_ROOT_SERVERS.length, 13);
  assert.ok(IANA_ROOT_SERVERS.every(({ addresses }) => addresses.length === 2));
  const file = "/usr/share/dns/root.hints";
  if (!existsSync(file)) return console.error(`ran without ${file} (Debian package dns-root-data)`);
  assert.deepEqual(parseRootHints(readFileSync(file, "utf8")), IANA_ROOT_SERVERS);
});
