import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeDnskey, decodeDs, decodeNsec, decodeNsec3, decodeNsec3param, decodeRrsig } from "../../src/dns/dnssecRdata.ts";
import { ipv6Text, parseIpv6 } from "../../src/dns/ipAddress.ts";
import { isMalformed, RR_TYPE } from "../../src/dns/message.ts";
import { canonicalRdata, decodeLookup, decodeSoa, decodeTarget, type LookupType } from "../../src/dns/rdata.ts";
import { presentRdata } from "../../src/dns/rdataText.ts";
import { parseZoneText } from "../../src/dns/zoneText.ts";
import { algorithmTable } from "../../src/dnssec/algorithm.ts";
import { record } from "../fake/dnsWire.ts";
import { typeBitmap } from "../fake/signer.ts";

const RUNS = { seed: 20_260_101, numRuns: 1000 };

/** Small octets make lengths and label lengths that fit; others do not. */
const octets = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 255 })), { maxLength: 80 })
  .map((values) => Buffer.from(values));

/** Chance rarely makes 16 octets, or 20 behind two names: some samples are built so. */
function octetsFor(title: string): fc.Arbitrary<Buffer> {
  const exactly = (count: number): fc.Arbitrary<Buffer> =>
    fc.uint8Array({ minLength: count, maxLength: count }).map((values) => Buffer.from(values));
  const built = { AAAA: exactly(16), SOA: exactly(20).map((numbers) => Buffer.concat([Buffer.alloc(2), numbers])) }[title];
  const rrsig = exactly(18).map((fixed) => Buffer.concat([fixed, Buffer.alloc(3)]));
  return fc.oneof(octets, built ?? (title === "RRSIG" ? rrsig : octets));
}

const LOOKUPS: readonly LookupType[] = ["A", "AAAA", "MX", "TLSA", "TXT"];
const DECODERS: readonly [title: string, decode: (rdata: Buffer) => unknown][] = [
  ...LOOKUPS.map((type): [string, (rdata: Buffer) => unknown] => [type, (rdata) => decodeLookup(type, rdata)]),
  ["a target", decodeTarget],
  ["SOA", decodeSoa],
  ["DS", decodeDs],
  ["DNSKEY", decodeDnskey],
  ["RRSIG", decodeRrsig],
  ["NSEC", decodeNsec],
  ["NSEC3", decodeNsec3],
  ["NSEC3PARAM", decodeNsec3param],
];

for (const [title, decode] of DECODERS) {
  test(`${title}: any octets decode or are malformed, and one octet less is something else`, () => {
    let decoded = 0;
    fc.assert(
      fc.property(octetsFor(title), (rdata) => {
        const result = decode(rdata);
        if (isMalformed(result)) return;
        decoded += 1;
        assert.notDeepEqual(decode(rdata.subarray(0, -1)), result);
      }),
      RUNS,
    );
    assert.ok(decoded > 0, "no sample was well formed");
  });
}

const anyType = fc.oneof(
  fc.constantFrom(...Object.values(RR_TYPE), 14, 17, 21, 24, 26, 30, 35, 36),
  fc.integer({ min: 0, max: 65_535 }),
);

test("the canonical form has the length of the original, and is its own canonical form", () => {
  fc.assert(
    fc.property(anyType, octets, (type, rdata) => {
      const canonical = canonicalRdata(type, rdata);
      assert.equal(canonical.length, rdata.length);
      assert.deepEqual(canonicalRdata(type, canonical), canonical);
      assert.equal(canonical.toString("latin1").toLowerCase(), rdata.toString("latin1").toLowerCase());
    }),
    RUNS,
  );
});

test("every RDATA has a text of one line, and generic text reads back", () => {
  fc.assert(
    fc.property(anyType, octets, (type, rdata) => {
      const text = presentRdata(type, rdata);
      assert.match(text, /^[ -~]+$/);
      if (text.startsWith("\\#")) assert.deepEqual(record(`x TYPE${type} ${text}`).rdata, rdata);
    }),
    RUNS,
  );
});

test("type bitmaps read back", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 65_535 }), { maxLength: 50 }), (types) => {
      const decoded = decodeNsec(Buffer.concat([Buffer.of(0), typeBitmap(types)]));
      assert.deepEqual(decoded, { next: ".", types: new Set(types) });
    }),
    RUNS,
  );
});

test("IPv6 addresses read back", () => {
  const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const address = Buffer.from(groups.flatMap((value) => [value >> 8, value & 0xff]));
      assert.deepEqual(parseIpv6(ipv6Text(address)), address);
    }),
    RUNS,
  );
});

test("any text is zone-file text or an error with its line", () => {
  const token = fc.constantFrom(
    ". ",
    "a ",
    "IN ",
    "60 ",
    "NS ",
    "DS ",
    "A ",
    "AAAA ",
    "DNSKEY ",
    "(",
    ")",
    ";",
    "\n",
    "::1 ",
    "1 ",
    "ff ",
    "\\",
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(token, { maxLength: 20 }).map((tokens) => tokens.join("")),
  );
  fc.assert(
    fc.property(text, (written) => {
      const result = parseZoneText(written);
      if (result.kind === "error") assert.match(result.reason, /^line [0-9]+: /);
    }),
    RUNS,
  );
});

test("any octets are a key or unusable, whatever the algorithm; no key takes any octets for a signature", () => {
  const { signatures } = algorithmTable({ sha1: "validate" });
  fc.assert(
    fc.property(
      fc.constantFrom(...signatures.values()),
      octets,
      fc.uint8Array({ maxLength: 120 }),
      (algorithm, publicKey, signature) => {
        const key = algorithm.importKey(publicKey);
        if (key.kind === "key") assert.equal(key.verifies(Buffer.from("data"), Buffer.from(signature)), false);
      },
    ),
    { ...RUNS, numRuns: 300 },
  );
});
