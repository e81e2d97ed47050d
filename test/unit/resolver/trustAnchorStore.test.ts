import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { name, ROOT } from "../../../src/dns/name.ts";
import { loadTrustAnchors, parseTrustAnchors } from "../../../src/resolver/trustAnchorStore.ts";

const KEY = "AwEAAaetidLzsKWUt4swWR8yu0wPHPiUi8LU";
const DIGEST = "e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d";

describe("trust anchors", () => {
  test("built in are the root's two key-signing keys", async () => {
    const read = await loadTrustAnchors();
    assert.ok(read.kind === "anchors");
    const root = read.anchors.get(ROOT);
    assert.deepEqual([...read.anchors.keys()], ["."]);
    assert.deepEqual(
      root?.ds.map(({ keyTag, algorithm, digestType, digest }) => [keyTag, algorithm, digestType, digest.length]),
      [
        [20326, 8, 2, 32],
        [38696, 8, 2, 32],
      ],
    );
  });

  test("DS and DNSKEY of several names", () => {
    const read = parseTrustAnchors(
      `example. DS 1 13 2 ${DIGEST}\nexample. IN DNSKEY 257 3 13 ${KEY}\nother.test. 3600 IN DS 2 8 2 ${DIGEST} ; note`,
    );
    assert.ok(read.kind === "anchors");
    const counts = [...read.anchors].map(([zone, { ds, keys }]) => [zone, ds.length, keys.length]);
    assert.deepEqual(counts, [
      [name("example."), 1, 1],
      [name("other.test."), 1, 0],
    ]);
  });

  const refused: readonly (readonly [string, string, RegExp])[] = [
    ["nothing", "; only a comment\n", /no trust anchor/],
    ["an address", "example. A 192.0.2.1", /neither DS nor DNSKEY/],
    ["a key that is no zone key", `example. DNSKEY 1 3 13 ${KEY}`, /not a zone key/],
    ["a revoked key", `example. DNSKEY 385 3 13 ${KEY}`, /revoked/],
    ["a digest that is none", "example. DS 1 13 2 xyz", /line 1/],
  ];
  for (const [what, text, reason] of refused) {
    test(`${what} is an error`, () => {
      const read = parseTrustAnchors(text);
      assert.match(read.kind === "error" ? read.reason : "accepted", reason);
    });
  }

  test("a file is what is trusted, and nothing beside it; an absent one is an error that names it", async () => {
    const directory = await mkdtemp(join(tmpdir(), "anchors-"));
    const file = join(directory, "anchors.zone");
    await writeFile(file, `example. DS 1 13 2 ${DIGEST}\n`);
    const read = await loadTrustAnchors(file);
    const absent = await loadTrustAnchors(join(directory, "absent"));
    await rm(directory, { recursive: true });
    assert.deepEqual(read.kind === "anchors" ? [...read.anchors.keys()] : read, ["example."]);
    assert.match(absent.kind === "error" ? absent.reason : "read", /absent cannot be read/);
  });
});
