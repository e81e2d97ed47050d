import assert from "node:assert/strict";
import { test } from "node:test";
import { chainDrawing, chainPicture } from "../../../src/admin/chainPicture.ts";
import type { ChainLink } from "../../../src/diagnosis/chainLink.ts";
import type { SignatureFact } from "../../../src/diagnosis/signatureFact.ts";
import { name } from "../../../src/dns/name.ts";

const NOW = Date.UTC(2026, 10, 22);
const DAY = 86_400;

function signature(
  keyTag: number,
  from: number,
  to: number,
  verdict: SignatureFact["verdict"] = { kind: "holds" },
): SignatureFact {
  const seconds = NOW / 1000;
  return { keyTag, algorithm: 13, signer: name("lab"), inception: seconds + from * DAY, expiration: seconds + to * DAY, verdict };
}

function link(zone: string, more: Partial<ChainLink>): ChainLink {
  const nothing = { ds: [], dsSignatures: [], denial: [], keys: [], keySignatures: [] };
  return { zone: name(zone), status: "secure", ...nothing, ...more };
}

const KEYS = [{ keyTag: 7, algorithm: 13, role: "entry", rdata: Buffer.alloc(0) }] as const;
const DS = [{ keyTag: 7, algorithm: 13, digestType: 2, key: "present" }] as const;
const ROOT = link(".", { keys: KEYS, keySignatures: [signature(7, -1, 30)] });
const LONG = "a-name-that-is-much-longer-than-any-box-of-this-drawing.with-more-labels.example";

const CHAINS: readonly { what: string; chain: readonly ChainLink[]; looks: readonly string[]; said: readonly RegExp[] }[] = [
  {
    what: "secure",
    chain: [
      ROOT,
      link("example", { ds: DS, dsSignatures: [signature(7, -2, 9)], keys: KEYS, keySignatures: [signature(7, -1, 30)] }),
    ],
    looks: ["secure", "secure"],
    said: [
      /DS 7 ECDSAP256SHA256/,
      /DS signed 2026-11-20 to 2026-12-01/,
      /DNSKEY signed 2026-11-21 to 2026-12-22/,
      /entry \(KSK\)/,
    ],
  },
  {
    what: "insecure",
    chain: [ROOT, link("example", { status: "insecure", denial: [{ record: "NSEC3", owner: name("abc"), says: [] }] })],
    looks: ["secure", "insecure"],
    said: [/no DS record/, /NSEC3 abc proves it/],
  },
  {
    what: "expired",
    chain: [
      ROOT,
      link("example", {
        status: "bogus",
        ds: DS,
        keys: KEYS,
        keySignatures: [signature(7, -60, -30)],
        reasons: [{ text: "it expired 30 days ago" }] as never,
      }),
    ],
    looks: ["secure", "broken"],
    said: [/it expired 30 days ago/, /signed until 2026-10-23: expired/],
  },
  {
    what: "without the key",
    chain: [ROOT, link("example", { status: "bogus", ds: [{ ...DS[0], key: "missing" }] })],
    looks: ["secure", "broken"],
    said: [/no such key/],
  },
  {
    what: "a hostile name, many keys",
    chain: [ROOT, link(LONG, { keys: Array.from({ length: 40 }, () => KEYS[0]), ds: Array.from({ length: 40 }, () => DS[0]) })],
    looks: ["secure", "secure"],
    said: [/and 36 more/],
  },
];

for (const { what, chain, looks, said } of CHAINS) {
  test(`the drawing of a chain that is ${what}`, () => {
    const { boxes, arrows, width, height } = chainDrawing(chain, NOW);
    assert.deepEqual(
      boxes.map(({ look }) => look),
      looks,
    );
    assert.equal(arrows.length, chain.length - 1);
    for (const [index, box] of boxes.entries()) {
      const next = boxes[index + 1];
      assert.ok(box.y >= 0 && box.y + box.height <= height, "within the picture");
      if (next !== undefined)
        assert.ok(arrows[index]?.y === box.y + box.height && next.y - (box.y + box.height) >= 30, "an arrow between");
      // 13 pixel text is 7.5 pixels a character at most.
      for (const line of box.lines) assert.ok(line.length * 7.5 <= width - 28, `${line} fits`);
    }
    const { markup } = chainPicture(chain, "mx.example", NOW);
    for (const pattern of said) assert.match(markup, pattern);
    assert.doesNotMatch(markup, /NaN|undefined| style=/);
  });
}

test("no chain says so", () => {
  assert.match(chainPicture([], "mx.example", NOW).markup, /No chain of trust was walked/);
});
