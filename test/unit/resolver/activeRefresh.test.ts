import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { DNSKEY_FLAG, decodeDs } from "../../../src/dns/dnssecRdata.ts";
import { isMalformed, RR_TYPE } from "../../../src/dns/message.ts";
import { name, ROOT } from "../../../src/dns/name.ts";
import { algorithmTable } from "../../../src/dnssec/algorithm.ts";
import type { TrustAnchors } from "../../../src/dnssec/evidence.ts";
import {
  type ActiveRefresh,
  openActiveRefresh,
  queryInterval,
  retryTime,
  type TrustAnchorEvent,
  trustAnchorText,
} from "../../../src/resolver/activeRefresh.ts";
import type { Source } from "../../../src/resolver/source.ts";
import { Validator } from "../../../src/resolver/validator.ts";
import { response } from "../../fake/dnsWire.ts";
import { dnskeyRecord, dsRecord, type SigningKey, signingKey, signRrset } from "../../fake/signer.ts";
import { fakeDns } from "../../fake/zone.ts";

const DAY = 86_400;
const HOUR = 3600;
const BEGIN = 1_800_000_000;
const algorithms = algorithmTable({ sha1: "insecure" });
const A = signingKey({ algorithm: 15, seed: "A" });
const B = signingKey({ algorithm: 15, seed: "B" });
const REVOKED_FLAGS = DNSKEY_FLAG.zone | DNSKEY_FLAG.secureEntryPoint | DNSKEY_FLAG.revoke;
const REVOKED_A = signingKey({ algorithm: 15, seed: "A", flags: REVOKED_FLAGS });

function anchorsOf(...keys: readonly SigningKey[]): TrustAnchors {
  const ds = keys.map((key) => decodeDs(dsRecord(ROOT, key).rdata));
  return new Map([[ROOT, { ds: ds.flatMap((one) => (isMalformed(one) ? [] : [one])), keys: [] }]]);
}

/** A root zone that publishes and signs what the test says, and a clock. */
class World {
  seconds = 0;
  keys: readonly SigningKey[] | "silent" = [A];
  signers: readonly SigningKey[] = [A];
  asked = 0;
  readonly events: TrustAnchorEvent[] = [];
  readonly clock = { now: () => (BEGIN + this.seconds) * 1000, monotonic: () => this.seconds * 1000 };
  readonly source: Source = {
    ask: (zone, type) => {
      assert.deepEqual([zone, type], [".", RR_TYPE.DNSKEY]);
      this.asked += 1;
      if (this.keys === "silent") return Promise.resolve({ kind: "failed", reason: "SERVFAIL" });
      const records = this.keys.map((key) => dnskeyRecord(ROOT, key, 2 * DAY));
      const now = BEGIN + this.seconds;
      const window = { inception: now - DAY, expiration: now + 10 * DAY };
      const signatures = this.signers.map((key) => signRrset(records, key, ROOT, window));
      return Promise.resolve({ kind: "message", message: response({ answer: [...records, ...signatures] }) });
    },
  };

  open(file: string, configured: TrustAnchors = anchorsOf(A)): Promise<ActiveRefresh> {
    const { source, clock } = this;
    return openActiveRefresh({ file, configured, algorithms, source, clock, onEvent: (event) => this.events.push(event) });
  }

  texts(): string[] {
    return this.events.splice(0).map((event) => trustAnchorText(event));
  }
}

function trustedKeys(refresh: ActiveRefresh): SigningKey[] {
  const anchor = refresh.anchors.get(ROOT);
  return [A, B].filter((key) => {
    return anchor?.keys.some((one) => one.equals(key.dnskey)) || anchor?.ds.some((one) => one.keyTag === key.keyTag);
  });
}

let directory: string;
let file: string;
let world: World;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "trust-points-"));
  file = join(directory, "trust-anchors.json");
  world = new World();
});
afterEach(() => rm(directory, { recursive: true }));

describe("intervals (RFC 5011 §2.3)", () => {
  const cases: readonly (readonly [originalTtl: number, untilExpiration: number, query: number, retry: number])[] = [
    [2 * DAY, 20 * DAY, DAY, Math.floor(0.2 * DAY)],
    [40 * DAY, 40 * DAY, 15 * DAY, DAY],
    [40 * DAY, 4 * DAY, 2 * DAY, Math.floor(0.4 * DAY)],
    [HOUR, 20 * DAY, HOUR, HOUR],
    [0, 0, HOUR, HOUR],
  ];
  for (const [originalTtl, untilExpiration, query, retry] of cases) {
    test(`TTL ${originalTtl}, ${untilExpiration} seconds to the expiration`, () => {
      assert.equal(queryInterval({ originalTtl, untilExpiration }), query);
      assert.equal(retryTime({ originalTtl, untilExpiration }), retry);
    });
  }
  test("nothing was validated yet", () => assert.equal(retryTime(undefined), HOUR));
});

describe("active refresh", () => {
  test("asks when it is due, and not before; sooner after a failure", async () => {
    const refresh = await world.open(file);
    const after = async (seconds: number): Promise<number> => {
      world.seconds += seconds;
      await refresh.round();
      return world.asked;
    };
    assert.equal(await after(0), 1);
    assert.equal(await after(DAY - 1), 1);
    world.keys = "silent";
    assert.equal(await after(1), 2);
    assert.equal(await after(0.2 * DAY - 1), 2);
    world.keys = [B];
    world.signers = [B];
    assert.equal(await after(1), 3);
    assert.equal(await after(0.2 * DAY), 4);
    world.keys = [A];
    world.signers = [A];
    assert.equal(await after(0.2 * DAY), 5);
    assert.equal(await after(0.5 * DAY), 5);
  });

  test("a whole rollover, with a restart in the middle of each hold-down", async () => {
    let refresh = await world.open(file);
    world.keys = [A, B];
    await refresh.round();
    assert.deepEqual(world.texts(), [`key ${B.keyTag} of .: start to addPend (RFC 5011)`]);
    world.seconds = 15 * DAY;
    refresh = await world.open(file);
    await refresh.round();
    assert.deepEqual(trustedKeys(refresh), [A]);
    world.seconds = 30 * DAY;
    refresh = await world.open(file);
    assert.deepEqual(trustedKeys(refresh), [A]);
    await refresh.round();
    assert.deepEqual(trustedKeys(refresh), [A, B]);
    world.seconds = 31 * DAY;
    refresh = await world.open(file);
    assert.deepEqual(trustedKeys(refresh), [A, B]);
    world.keys = [REVOKED_A, B];
    world.signers = [REVOKED_A, B];
    await refresh.round();
    assert.deepEqual(trustedKeys(refresh), [B]);
    world.keys = [B];
    world.signers = [B];
    world.seconds = 70 * DAY;
    refresh = await world.open(file);
    assert.deepEqual(trustedKeys(refresh), [B]);
    await refresh.round();
    refresh = await world.open(file);
    assert.deepEqual(trustedKeys(refresh), [B]);
    assert.deepEqual(world.texts(), [
      `key ${B.keyTag} of .: addPend to valid (RFC 5011)`,
      `key ${A.keyTag} of .: valid to revoked (RFC 5011)`,
      `key ${A.keyTag} of .: revoked to removed (RFC 5011)`,
    ]);
    assert.deepEqual(await readdir(directory), ["trust-anchors.json"]);
  });

  test("a restart does not ask before it is due; a time out of reach is a clock's mistake", async () => {
    await (await world.open(file)).round();
    world.seconds = HOUR;
    await (await world.open(file)).round();
    assert.equal(world.asked, 1);
    world.seconds = -400 * DAY;
    const refresh = await world.open(file);
    await refresh.round();
    assert.equal(world.asked, 2);
    world.seconds += DAY;
    await refresh.round();
    assert.equal(world.asked, 3);
  });

  test("a state that cannot be written changes nothing of what is trusted", async () => {
    await mkdir(`${file}.new`);
    const refresh = await world.open(file, anchorsOf(A, B));
    world.keys = [REVOKED_A, B];
    world.signers = [REVOKED_A, B];
    await refresh.round();
    assert.deepEqual(trustedKeys(refresh), [B]);
    assert.match(world.texts().at(-1) ?? "", /trust-anchors\.json cannot be written \(EISDIR.*\): what was seen .* is forgotten/);
  });
});

describe("a state that cannot be used", () => {
  async function written(): Promise<Record<string, unknown>> {
    world.keys = [REVOKED_A, B];
    world.signers = [REVOKED_A, B];
    await (await world.open(file, anchorsOf(A, B))).round();
    world.texts();
    return JSON.parse(await readFile(file, "utf8"));
  }

  test("unspoilt, for comparison, it is used", async () => {
    await written();
    assert.deepEqual(trustedKeys(await world.open(file, anchorsOf(A, B))), [B]);
    assert.deepEqual(world.texts(), []);
  });

  test("none at all is no fault", async () => {
    assert.deepEqual(trustedKeys(await world.open(file)), [A]);
    assert.deepEqual(world.texts(), []);
  });

  type State = { version: number; configured: string; trustPoints: { zone: string; nextQuery: unknown; keys: object[] }[] };
  const spoils: Readonly<Record<string, (text: string) => string>> = {
    empty: () => "",
    "cut off": (text) => text.slice(0, text.length / 2),
    "zeros, as after a power failure": (text) => "\0".repeat(text.length),
    "an array": () => "[]",
    null: () => "null",
    "of another version": changed((state) => ({ ...state, version: 2 })),
    "without trust points": changed((state) => ({ ...state, trustPoints: [] })),
    "of another zone": changed((state) => ({ ...state, trustPoints: state.trustPoints.map((one) => ({ ...one, zone: "a." })) })),
    "with a time that is none": changedPoint((point) => ({ ...point, nextQuery: -1 })),
    "with a time in words": changedPoint((point) => ({ ...point, nextQuery: "soon" })),
    "with a state of unknown name": changedKeys((key) => ({ ...key, state: "trusted" })),
    "with a revocation without its time": changedKeys(({ lastSeen, ...key }) => key),
    "with a key that is no key": changedKeys((key) => ({ ...key, key: "AAAA" })),
    "with a key that is not base64": changedKeys((key) => ({ ...key, key: "*" })),
    "with a key that is revoked by its flags": changedKeys((key) => ({ ...key, key: REVOKED_A.dnskey.toString("base64") })),
    "with the same key twice": changedPoint((point) => ({ ...point, keys: [...point.keys, ...point.keys] })),
  };
  function changed(change: (state: State) => unknown): (text: string) => string {
    return (text) => JSON.stringify(change(JSON.parse(text)));
  }
  function changedPoint(change: (point: State["trustPoints"][number]) => object): (text: string) => string {
    return changed((state) => ({ ...state, trustPoints: state.trustPoints.map(change) }));
  }
  function changedKeys(change: (key: Record<string, unknown>) => object): (text: string) => string {
    return changedPoint((point) => ({ ...point, keys: point.keys.map((key) => change(key as Record<string, unknown>)) }));
  }
  for (const [title, spoil] of Object.entries(spoils)) {
    test(`${title}: the configured anchors are trusted, and the log says so`, async () => {
      await written();
      await writeFile(file, spoil(await readFile(file, "utf8")));
      const refresh = await world.open(file, anchorsOf(A, B));
      assert.deepEqual(trustedKeys(refresh), [A, B]);
      assert.match(
        world.texts().join(),
        /trust-anchors\.json cannot be used \(.+\): only the configured trust anchors are trusted/,
      );
      await refresh.round();
      assert.deepEqual(trustedKeys(await world.open(file, anchorsOf(A, B))), [B]);
    });
  }

  test("of other configured anchors: theirs are trusted, nothing of the old", async () => {
    world.keys = [A, B];
    await (await world.open(file)).round();
    world.seconds = 30 * DAY;
    await (await world.open(file)).round();
    assert.deepEqual(trustedKeys(await world.open(file)), [A, B]);
    world.texts();
    assert.deepEqual(trustedKeys(await world.open(file, anchorsOf(B))), [B]);
    assert.match(world.texts().join(), /belongs to other configured anchors/);
  });

  test("the order in which anchors are configured does not matter", async () => {
    await written();
    assert.deepEqual(trustedKeys(await world.open(file, anchorsOf(B, A))), [B]);
  });
});

describe("look-ups by anchors that change", () => {
  const dns = fakeDns([
    { name: ".", keys: [A] },
    { name: "test.", records: ["a.test A 192.0.2.1"] },
  ]);
  const options = { source: dns.source, algorithms, timeoutSeconds: 5, trustCacheEntries: 100 };
  const clock = { now: () => 1_767_225_600_000, monotonic: () => 0 };

  test("a revocation is immediate, whatever is in the cache; without any anchor left all is bogus, not insecure", async () => {
    let anchors = anchorsOf(A);
    const validator = new Validator({ ...options, clock, anchors: () => anchors });
    const status = async () => (await validator.lookup(name("a.test."), RR_TYPE.A)).status;
    assert.equal(await status(), "secure");
    anchors = new Map([[ROOT, { ds: [], keys: [] }]]);
    assert.equal(await status(), "bogus");
    anchors = anchorsOf(A);
    assert.equal(await status(), "secure");
  });
});
