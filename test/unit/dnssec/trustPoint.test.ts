import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DNSKEY_FLAG, decodeDs, keyTagOf } from "../../../src/dns/dnssecRdata.ts";
import { isMalformed, type ResourceRecord } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { type RRset, rrsetsOf } from "../../../src/dns/rrset.ts";
import { algorithmTable } from "../../../src/dnssec/algorithm.ts";
import type { TrustAnchor } from "../../../src/dnssec/evidence.ts";
import {
  ADD_HOLD_DOWN_SECONDS,
  anchorsInForce,
  identityOf,
  MAX_FOLLOWED_KEYS,
  observe,
  REMOVE_HOLD_DOWN_SECONDS,
  type TrustPoint,
} from "../../../src/dnssec/trustPoint.ts";
import { dnskeyRecord, dsRecord, type SigningKey, signingKey, signRrset } from "../../fake/signer.ts";

/** The life of keys as a resolver sees it (RFC 5011 §4): each table is what was published on which day, and what is then believed. */

const ZONE = name("example.");
const DAY = 86_400;
const BEGIN = 1_800_000_000;
const algorithms = algorithmTable({ sha1: "insecure" });

/** Keys by letter: capitals as published, small letters with their REVOKE bit set; `z` has no SEP flag, `y` is not of DNSSEC. */
function keyOf(letter: string): SigningKey {
  if (letter === "y") return signingKey({ algorithm: 15, seed: "y", protocol: 2 });
  if (letter === "z") return signingKey({ algorithm: 15, seed: "z", flags: DNSKEY_FLAG.zone });
  if (letter === letter.toUpperCase()) return signingKey({ algorithm: 15, seed: letter });
  const flags = DNSKEY_FLAG.zone | DNSKEY_FLAG.secureEntryPoint | DNSKEY_FLAG.revoke;
  return signingKey({ algorithm: 15, seed: letter.toUpperCase(), flags });
}

function published(keys: string, signers: string, now: number, ttl = 3600): RRset {
  const records: ResourceRecord[] = [...keys].map((letter) => dnskeyRecord(ZONE, keyOf(letter), ttl));
  const window = { inception: now - DAY, expiration: now + 10 * DAY };
  const signatures = [...signers].map((letter) => signRrset(records, keyOf(letter), ZONE, window));
  const [rrset] = rrsetsOf([...records, ...signatures]);
  assert.ok(rrset);
  return rrset;
}

function configuredDs(letters: string): TrustAnchor {
  const ds = [...letters].map((letter) => decodeDs(dsRecord(ZONE, keyOf(letter)).rdata));
  return { ds: ds.flatMap((one) => (isMalformed(one) ? [] : [one])), keys: [] };
}

function pointOf(configured: TrustAnchor): TrustPoint {
  return { zone: ZONE, configured, keys: [] };
}

/** `A:valid B:addPend`, in alphabetical order. */
function statesOf(point: TrustPoint): string {
  const letterOf = (key: string) => [..."ABCDEz"].find((letter) => identityOf(keyOf(letter).dnskey) === key) ?? "?";
  return point.keys
    .map((one) => `${letterOf(one.key)}:${one.state}`)
    .sort()
    .join(" ");
}

/** The letters of the keys that are trusted: as a key, or as the digest of one. */
function trusted(point: TrustPoint): string {
  const anchor = anchorsInForce([point], algorithms).get(ZONE);
  const isTrusted = (letter: string): boolean => {
    const { dnskey } = keyOf(letter);
    const tag = keyTagOf(dnskey);
    return anchor?.keys.some((one) => one.equals(dnskey)) === true || anchor?.ds.some((one) => one.keyTag === tag) === true;
  };
  return [..."ABCDEz"].filter(isTrusted).join("");
}

/** On `day`, `keys` are published, signed by `signers`; then the states are, and trusted are. */
type Step = readonly [day: number, keys: string, signers: string, states: string, trusted: string];

const LIVES: Readonly<Record<string, { configured: TrustAnchor; steps: readonly Step[] }>> = {
  "normal rollover: B waits its 30 days, A is revoked, forgotten, and never comes back": {
    configured: configuredDs("A"),
    steps: [
      [0, "A", "A", "A:valid", "A"],
      [1, "AB", "A", "A:valid B:addPend", "A"],
      [30, "AB", "A", "A:valid B:addPend", "A"],
      [31, "AB", "A", "A:valid B:valid", "AB"],
      [40, "AB", "B", "A:valid B:valid", "AB"],
      [50, "aB", "aB", "A:revoked B:valid", "B"],
      [79, "aB", "B", "A:revoked B:valid", "B"],
      [108, "B", "B", "A:revoked B:valid", "B"],
      [109, "B", "B", "A:removed B:valid", "B"],
      [110, "AB", "AB", "A:removed B:valid", "B"],
      [150, "AB", "A", "A:removed B:valid", "B"],
    ],
  },
  "the time is over only when the key is seen after it (§2.2)": {
    configured: configuredDs("A"),
    steps: [
      [0, "AB", "A", "A:valid B:addPend", "A"],
      [90, "A", "A", "A:valid", "A"],
      [91, "AB", "A", "A:valid B:addPend", "A"],
      [120, "AB", "A", "A:valid B:addPend", "A"],
      [121, "AB", "A", "A:valid B:valid", "AB"],
    ],
  },
  "a hold-down that is interrupted begins anew": {
    configured: configuredDs("A"),
    steps: [
      [0, "AB", "A", "A:valid B:addPend", "A"],
      [29, "A", "A", "A:valid", "A"],
      [30, "AB", "A", "A:valid B:addPend", "A"],
      [59, "AB", "A", "A:valid B:addPend", "A"],
      [60, "AB", "A", "A:valid B:valid", "AB"],
    ],
  },
  "an RRset that no anchor has signed interrupts nothing, adds nothing and takes nothing away": {
    configured: configuredDs("A"),
    steps: [
      [0, "AB", "A", "A:valid B:addPend", "A"],
      [10, "C", "C", "A:valid B:addPend", "A"],
      [10, "AC", "C", "A:valid B:addPend", "A"],
      [10, "AB", "B", "A:valid B:addPend", "A"],
      [10, "A", "", "A:valid B:addPend", "A"],
      [30, "AB", "B", "A:valid B:addPend", "A"],
      [30, "AB", "AB", "A:valid B:valid", "AB"],
    ],
  },
  "a revocation counts only with the key's own signature": {
    configured: configuredDs("AB"),
    steps: [
      [0, "AB", "AB", "A:valid B:valid", "AB"],
      [1, "aB", "B", "A:missing B:valid", "AB"],
      [2, "aB", "aB", "A:revoked B:valid", "B"],
    ],
  },
  "and needs no other: but an RRset that only a revoked key has signed says nothing else": {
    configured: configuredDs("AB"),
    steps: [
      [0, "AB", "AB", "A:valid B:valid", "AB"],
      [1, "aC", "a", "A:revoked B:valid", "B"],
    ],
  },
  "a configured key is revoked though it was never seen before": {
    configured: configuredDs("AB"),
    steps: [
      [0, "aB", "aB", "A:revoked B:valid", "B"],
      [1, "AB", "A", "A:revoked B:valid", "B"],
      [2, "AB", "AB", "A:revoked B:valid", "B"],
    ],
  },
  "a configured key that is not published yet is trusted all the same, and waits for nothing": {
    configured: configuredDs("AB"),
    steps: [
      [0, "A", "A", "A:valid", "AB"],
      [5, "AB", "B", "A:valid B:valid", "AB"],
    ],
  },
  "a missing key stays an anchor, and comes back": {
    configured: configuredDs("AB"),
    steps: [
      [0, "AB", "A", "A:valid B:valid", "AB"],
      [1, "A", "A", "A:valid B:missing", "AB"],
      [400, "A", "A", "A:valid B:missing", "AB"],
      [401, "AB", "B", "A:valid B:valid", "AB"],
      [402, "A", "A", "A:valid B:missing", "AB"],
      [403, "Ab", "Ab", "A:valid B:revoked", "A"],
    ],
  },
  "one stolen key (B): its thief cannot remove A, and what it added is dropped with it (§2.2)": {
    configured: configuredDs("AB"),
    steps: [
      [0, "AB", "A", "A:valid B:valid", "AB"],
      [1, "BC", "B", "A:missing B:valid C:addPend", "AB"],
      [20, "BC", "B", "A:missing B:valid C:addPend", "AB"],
      // The owner revokes B. The thief's C is even published still, signed by A: its time begins anew.
      [25, "AbC", "Ab", "A:valid B:revoked C:addPend", "A"],
      [31, "AbC", "Ab", "A:valid B:revoked C:addPend", "A"],
      [32, "BC", "BC", "A:valid B:revoked C:addPend", "A"],
      [33, "AbD", "Ab", "A:valid B:revoked D:addPend", "A"],
      [63, "AbD", "Ab", "A:valid B:revoked D:valid", "AD"],
    ],
  },
  "a key that one of two anchors vouched for keeps its time while the other stands": {
    configured: configuredDs("AB"),
    steps: [
      [0, "ABC", "AB", "A:valid B:valid C:addPend", "AB"],
      [10, "AbC", "Ab", "A:valid B:revoked C:addPend", "A"],
      [30, "AbC", "Ab", "A:valid B:revoked C:valid", "AC"],
    ],
  },
  "a key that is revoked while it waits is forgotten": {
    configured: configuredDs("A"),
    steps: [
      [0, "AB", "A", "A:valid B:addPend", "A"],
      [1, "Ab", "Ab", "A:valid", "A"],
    ],
  },
  "a key without the SEP flag, or of another protocol, is never added": {
    configured: configuredDs("A"),
    steps: [
      [0, "Azy", "A", "A:valid", "A"],
      [40, "Azy", "A", "A:valid", "A"],
    ],
  },
  "a zone that leaps to a new key is not followed": {
    configured: configuredDs("A"),
    steps: [
      [0, "A", "A", "A:valid", "A"],
      [1, "B", "B", "A:valid", "A"],
      [60, "B", "B", "A:valid", "A"],
    ],
  },
  "keys may be configured as keys": {
    configured: { ds: [], keys: [keyOf("A").dnskey, keyOf("B").dnskey] },
    steps: [
      [0, "ABC", "B", "A:valid B:valid C:addPend", "AB"],
      [1, "aBC", "aB", "A:revoked B:valid C:addPend", "B"],
    ],
  },
};

describe("the life of keys", () => {
  for (const [title, { configured, steps }] of Object.entries(LIVES)) {
    test(title, () => {
      let point = pointOf(configured);
      for (const [day, keys, signers, states, anchors] of steps) {
        const now = BEGIN + day * DAY;
        ({ point } = observe(point, published(keys, signers, now), { now, algorithms }));
        assert.equal(statesOf(point), states, `day ${day}`);
        assert.equal(trusted(point), anchors, `day ${day}`);
      }
    });
  }
});

describe("hold-down times", () => {
  test("to the second", () => {
    const at = (point: TrustPoint, keys: string, now: number) =>
      observe(point, published(keys, [...keys].join(""), now), { now, algorithms }).point;
    const first = at(pointOf(configuredDs("A")), "AB", BEGIN);
    assert.equal(statesOf(at(first, "AB", BEGIN + ADD_HOLD_DOWN_SECONDS - 1)), "A:valid B:addPend");
    const both = at(first, "AB", BEGIN + ADD_HOLD_DOWN_SECONDS);
    assert.equal(statesOf(both), "A:valid B:valid");
    const gone = at(at(both, "aB", BEGIN), "B", BEGIN + REMOVE_HOLD_DOWN_SECONDS - 1);
    assert.equal(statesOf(gone), "A:revoked B:valid");
    assert.equal(statesOf(at(gone, "B", BEGIN + REMOVE_HOLD_DOWN_SECONDS)), "A:removed B:valid");
  });

  test("the original TTL, when it is longer (§2.4.1)", () => {
    const ttl = ADD_HOLD_DOWN_SECONDS + 1000;
    const seen = (point: TrustPoint, now: number) => observe(point, published("AB", "A", now, ttl), { now, algorithms }).point;
    const first = seen(pointOf(configuredDs("A")), BEGIN);
    assert.equal(statesOf(seen(first, BEGIN + ttl - 1)), "A:valid B:addPend");
    assert.equal(statesOf(seen(first, BEGIN + ttl)), "A:valid B:valid");
  });

  test("what the next query goes by: of the signatures that anchors made", () => {
    const now = BEGIN;
    const { validated } = observe(pointOf(configuredDs("A")), published("AB", "AB", now, 7200), { now, algorithms });
    assert.deepEqual(validated, { originalTtl: 7200, untilExpiration: 10 * DAY });
    const unsigned = observe(pointOf(configuredDs("A")), published("AB", "B", now), { now, algorithms });
    assert.equal(unsigned.validated, undefined);
  });
});

describe("bounds and ends", () => {
  test("a zone full of keys: so many are followed, and none that is trusted is pushed out", () => {
    const now = BEGIN;
    const strangers = Array.from({ length: 100 }, (_, i) => dnskeyRecord(ZONE, signingKey({ algorithm: 15, seed: `s${i}` })));
    const records = [...strangers, dnskeyRecord(ZONE, keyOf("A"))];
    const signature = signRrset(records, keyOf("A"), ZONE, { inception: now - 1, expiration: now + DAY });
    const [rrset] = rrsetsOf([...records, signature]);
    assert.ok(rrset);
    const { point } = observe(pointOf(configuredDs("A")), rrset, { now, algorithms });
    assert.equal(point.keys.length, MAX_FOLLOWED_KEYS);
    assert.equal(trusted(point), "A");
    const later = observe(point, published("AB", "A", now), { now, algorithms });
    assert.equal(statesOf(later.point), "A:valid B:addPend");
  });

  test("events tell each change once", () => {
    const now = BEGIN;
    const first = observe(pointOf(configuredDs("A")), published("AB", "A", now), { now, algorithms });
    const [a, b] = ["A", "B"].map((letter) => keyOf(letter).keyTag);
    assert.deepEqual(first.events, [
      { keyTag: a, from: "start", to: "valid" },
      { keyTag: b, from: "start", to: "addPend" },
    ]);
    assert.deepEqual(observe(first.point, published("AB", "A", now), { now, algorithms }).events, []);
  });

  test("when every anchor is revoked, the anchor above judges; without one above nothing can be trusted", () => {
    const now = BEGIN;
    const { point } = observe(pointOf(configuredDs("A")), published("a", "a", now), { now, algorithms });
    assert.deepEqual(anchorsInForce([point], algorithms), new Map([[ZONE, { ds: [], keys: [] }]]));
    const root: TrustPoint = { ...pointOf(configuredDs("B")), zone: name(".") };
    assert.deepEqual([...anchorsInForce([root, point], algorithms).keys()], ["."]);
    const below: TrustPoint = { ...pointOf(configuredDs("B")), zone: name("below.example.") };
    assert.deepEqual([...anchorsInForce([below, point], algorithms).keys()], ["below.example.", "example."]);
  });

  test("malformed keys beside good ones: an RRset that was signed without them does not verify", () => {
    const now = BEGIN;
    const rrset = published("A", "A", now);
    const odd: RRset = { ...rrset, rdatas: [Buffer.alloc(0), Buffer.of(1), ...rrset.rdatas] };
    assert.equal(statesOf(observe(pointOf(configuredDs("A")), odd, { now, algorithms }).point), "");
  });
});
