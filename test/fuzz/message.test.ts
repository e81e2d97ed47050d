import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { decodeHead, decodeMessage, isMalformed, type Message, RR_TYPE } from "../../src/dns/message.ts";
import { name } from "../../src/dns/name.ts";
import { presentRdata } from "../../src/dns/rdataText.ts";
import { rrsetsOf } from "../../src/dns/rrset.ts";
import { MAX_LABELS } from "../../src/dns/wireReader.ts";
import { encodeMessage, records, response, uint16, uint32 } from "../fake/dnsWire.ts";

const SEED = 20_260_101;
const FIXTURES = join(import.meta.dirname, "..", "..", "..", "shared", "conformance", "dnssec", "forwarding");

/** Real messages, one of every fixture; a message of our own where the fixtures are not there. */
function realMessages(): readonly Buffer[] {
  const own = response({
    questions: [{ name: name("www.example.org"), type: RR_TYPE.MX, class: 1 }],
    answer: records("www.example.org MX 10 mail.example.org", "www.example.org MX 20 mail.example.org"),
    authority: records("example.org SOA ns.example.org h.example.org 1 2 3 4 5", "example.org NS ns.example.org"),
  });
  if (!existsSync(FIXTURES)) {
    console.warn(`RAN WITHOUT the conformance fixtures: ${FIXTURES} is not there; only messages of our own were mutated`);
    return [encodeMessage(own)];
  }
  const files = readdirSync(FIXTURES).filter((file) => file.endsWith(".json"));
  const fixtures = files.map((file): unknown => JSON.parse(readFileSync(join(FIXTURES, file), "utf8")));
  return fixtures.flatMap((fixture) => {
    const { phases } = fixture as { phases: readonly { upstream: readonly { response: string }[] }[] };
    return phases.flatMap(({ upstream }) => upstream.slice(0, 2).map((entry) => Buffer.from(entry.response, "base64")));
  });
}

const REAL = realMessages();

/** What must hold of whatever came in. */
function check(wire: Buffer): Message | undefined {
  const head = decodeHead(wire);
  const message = decodeMessage(wire);
  if (isMalformed(message)) {
    assert.ok(message.reason.length > 0);
    return undefined;
  }
  assert.ok(!isMalformed(head));
  assert.deepEqual(decodeMessage(encodeMessage(message)), message);
  const all = [...message.answer, ...message.authority, ...message.additional];
  rrsetsOf(all);
  for (const one of all) presentRdata(one.type, one.rdata);
  return message;
}

test("real messages decode, and read back after encoding", () => {
  for (const wire of REAL) assert.ok(check(wire) !== undefined);
});

type Mutation = { at: number; kind: "flip" | "set" | "insert" | "remove" | "cut" | "pointer" | "swap"; value: number };

const mutation: fc.Arbitrary<Mutation> = fc.record({
  at: fc.nat(0xffff),
  kind: fc.constantFrom("flip", "set", "insert", "remove", "cut", "pointer", "swap"),
  value: fc.nat(0xff),
});

function mutated(wire: Buffer, { at, kind, value }: Mutation): Buffer {
  const place = at % Math.max(wire.length, 1);
  const [before, after] = [wire.subarray(0, place), wire.subarray(place)];
  switch (kind) {
    case "flip":
      return Buffer.concat([before, Buffer.of((after[0] ?? 0) ^ (1 << (value & 7))), after.subarray(1)]);
    case "set":
      return Buffer.concat([before, Buffer.of(value), after.subarray(1)]);
    case "insert":
      return Buffer.concat([before, Buffer.of(value), after]);
    case "remove":
      return Buffer.concat([before, after.subarray(1)]);
    case "cut":
      return before;
    case "pointer":
      return Buffer.concat([before, Buffer.of(0xc0, value), after.subarray(2)]);
    case "swap":
      return Buffer.concat([before, after.subarray(value, 2 * value), after.subarray(0, value), after.subarray(2 * value)]);
    default:
      return kind satisfies never;
  }
}

test("mutated real messages decode or are malformed, and what decodes reads back", () => {
  let decoded = 0;
  const property = fc.property(
    fc.nat(REAL.length - 1),
    fc.array(mutation, { minLength: 1, maxLength: 4 }),
    (index, mutations) => {
      const wire = mutations.reduce(mutated, REAL[index] ?? Buffer.alloc(0));
      if (check(wire) !== undefined) decoded += 1;
    },
  );
  fc.assert(property, { seed: SEED, numRuns: 3000 });
  assert.ok(decoded > 300 && decoded < 2900, `${decoded} of 3000 decoded`);
});

test("any octets decode or are malformed", () => {
  const noise = fc.array(fc.oneof(fc.constantFrom(0, 0, 1, 0xc0, 12), fc.nat(255)), { maxLength: 200 });
  fc.assert(
    fc.property(noise, (octets) => {
      check(Buffer.from(octets));
    }),
    { seed: SEED, numRuns: 2000 },
  );
});

/** The wire, counting each number and slice that is read from it. */
function counting(wire: Buffer): { wire: Buffer; reads: () => number } {
  let reads = 0;
  const counted = <A extends readonly unknown[], R>(method: (...args: A) => R) => {
    return (...args: A): R => {
      reads += 1;
      return method(...args);
    };
  };
  const methods = {
    readUInt8: counted(wire.readUInt8.bind(wire)),
    readUInt16BE: counted(wire.readUInt16BE.bind(wire)),
    readUInt32BE: counted(wire.readUInt32BE.bind(wire)),
    subarray: counted(wire.subarray.bind(wire)),
  };
  return { wire: Object.assign(wire, methods), reads: () => reads };
}

const header = (answers: number): Buffer => Buffer.concat([Buffer.alloc(6), uint16(answers), uint32(0)]);

/** Records whose owners and targets all lead through the longest chain of pointers that is followed, or through the longest name. */
function hostile(count: number, prologue: Buffer, target: number): Buffer {
  const pointer = uint16(0xc000 | target);
  const one = Buffer.concat([
    Buffer.of(1, 0x61),
    pointer,
    uint16(RR_TYPE.NS),
    uint16(1),
    uint32(60),
    uint16(4),
    Buffer.of(1, 0x62),
    pointer,
  ]);
  return Buffer.concat([header(count + 1), prologue, ...new Array<Buffer>(count).fill(one)]);
}

/** A TXT record whose RDATA is `octets`; they begin at offset 23. */
function smuggled(octets: Buffer): Buffer {
  return Buffer.concat([Buffer.of(0), uint16(RR_TYPE.TXT), uint16(1), uint32(60), uint16(octets.length), octets]);
}

const SMUGGLED_AT = 23;

const LONGEST_NAME = smuggled(Buffer.from(`${"0161".repeat(126)}00`, "hex"));
const LONGEST_CHAIN = smuggled(pointerChain(126));
const CHAIN_END = SMUGGLED_AT + 1 + 2 * 125;

const HOSTILE: readonly [title: string, wire: Buffer, decodes: boolean][] = [
  ["127 labels in some names", hostile(60, LONGEST_NAME, SMUGGLED_AT), true],
  ["127 labels in every name", hostile(1000, LONGEST_NAME, SMUGGLED_AT), false],
  ["126 pointers in some names", hostile(60, LONGEST_CHAIN, CHAIN_END), true],
  ["126 pointers in every name", hostile(1000, LONGEST_CHAIN, CHAIN_END), false],
  [
    "no compression",
    encodeMessage(response({ answer: records(...Array.from({ length: 1000 }, (_, i) => `n${i}.example NS ns.example`)) })),
    true,
  ],
];

/** The root, then `length` pointers each to what is before it. */
function pointerChain(length: number): Buffer {
  const pointers = Array.from({ length }, (_, i) => uint16(0xc000 | (SMUGGLED_AT + (i === 0 ? 0 : 2 * i - 1))));
  return Buffer.concat([Buffer.of(0), ...pointers]);
}

for (const [title, octets, decodes] of HOSTILE) {
  test(`the work is bounded: ${title}`, () => {
    const { wire, reads } = counting(octets);
    const message = decodeMessage(wire);
    assert.equal(isMalformed(message), !decodes, isMalformed(message) ? message.reason : "decoded");
    // Each octet is read once, and each label or pointer that a name leads back to costs two reads.
    assert.ok(reads() <= wire.length + 2 * MAX_LABELS, `${reads()} reads for ${wire.length} octets`);
  });
}
