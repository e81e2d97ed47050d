import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_COMPRESSION_POINTERS, WireReader } from "../../../src/dns/wireReader.ts";

const FIRST_NAME = 12;

/** The name at `at` of a message whose first twelve octets are zero. */
function readName(hex: string, at: number): { name: string; position: number; failure: string | undefined } {
  const reader = new WireReader(Buffer.from(`${"00".repeat(FIRST_NAME)}${hex}`, "hex"), FIRST_NAME);
  reader.octets(at);
  const name = reader.name();
  return { name, position: reader.position, failure: reader.failure };
}

const READ: readonly [title: string, hex: string, at: number, name: string, position: number][] = [
  ["the root", "00", 12, ".", 13],
  ["labels", "0161026263 00", 12, "a.bc.", 18],
  ["a bare pointer", "016100 c00c", 15, "a.", 17],
  ["labels and a pointer", "016100 0162 c00c", 15, "b.a.", 19],
  ["a pointer to a pointer", "016100 c00c c00f", 17, "a.", 19],
  ["a pointer into the middle of a name", "0161016200 c00e", 17, "b.", 19],
];

for (const [title, hex, at, name, position] of READ) {
  test(`a name is read: ${title}`, () => {
    assert.deepEqual(readName(hex.replaceAll(" ", ""), at), { name, position, failure: undefined });
  });
}

const REFUSED: readonly [title: string, hex: string, at: number, failure: RegExp][] = [
  ["a pointer to itself", "c00c", 12, /point back/],
  ["a pointer forwards", "c00e00", 12, /point back/],
  ["a pointer into its own labels", "0161c00c", 12, /point back/],
  ["a pointer into the header", "c004", 12, /point back/],
  ["labels that run into what points to them", "0161 c00c", 14, /beyond its end/],
  ["a label beyond the end", "056161", 12, /beyond its end/],
  ["a name without its root", "0161", 12, /beyond its end/],
  ["half a pointer", "c0", 12, /beyond its end/],
  ["label type 01", "4161 00", 12, /label type/],
  ["label type 10", "8161 00", 12, /label type/],
  ["256 octets", `${`3f${"61".repeat(63)}`.repeat(3)}3e${"61".repeat(62)}00`, 12, /255 octets/],
];

for (const [title, hex, at, failure] of REFUSED) {
  test(`a name is refused: ${title}`, () => {
    assert.match(readName(hex.replaceAll(" ", ""), at).failure ?? "none", failure);
  });
}

test("a name of 255 octets is read, whether its labels come by pointers or not", () => {
  const labels = `${`3f${"61".repeat(63)}`.repeat(3)}3d${"61".repeat(61)}00`;
  assert.equal(readName(labels, 12).failure, undefined);
  assert.match(readName(`${labels}0162c00c`, 12 + 255).failure ?? "none", /255 octets/);
});

/** A name, then a chain of `jumps` pointers each to the one before; the position of the last. */
function pointerChain(jumps: number): { wire: Buffer; last: number } {
  const parts = [Buffer.alloc(FIRST_NAME), Buffer.from("016100", "hex")];
  let at = FIRST_NAME;
  let end = FIRST_NAME + 3;
  for (let i = 0; i < jumps; i += 1) {
    parts.push(Buffer.of(0xc0 | (at >> 8), at & 0xff));
    at = end;
    end += 2;
  }
  return { wire: Buffer.concat(parts), last: at };
}

for (const [jumps, accepted] of [
  [MAX_COMPRESSION_POINTERS, true],
  [MAX_COMPRESSION_POINTERS + 1, false],
] as const) {
  test(`${jumps} pointers in a row are ${accepted ? "followed" : "refused"}`, () => {
    const { wire, last } = pointerChain(jumps);
    const reader = new WireReader(wire, FIRST_NAME);
    reader.octets(last);
    reader.name();
    assert.equal(reader.failure === undefined, accepted);
  });
}

test("pointers to different names give different names, also the second time", () => {
  const reader = new WireReader(
    Buffer.from(`${"00".repeat(FIRST_NAME)}016100 016200 c00c c00f c00c c00f`.replaceAll(" ", ""), "hex"),
    FIRST_NAME,
  );
  reader.octets(FIRST_NAME);
  assert.deepEqual(
    Array.from({ length: 6 }, () => reader.name()),
    ["a.", "b.", "a.", "b.", "a.", "b."],
  );
  reader.finish();
  assert.equal(reader.failure, undefined);
});

test("without compression a pointer is refused", () => {
  const reader = new WireReader(Buffer.from("016100c000", "hex"));
  assert.equal(reader.name(), "a.");
  assert.equal(reader.name(), ".");
  assert.match(reader.failure ?? "", /where none is allowed/);
});

test("case is kept in octets and dropped in names", () => {
  const wire = Buffer.from("0141016200", "hex");
  assert.equal(new WireReader(wire).nameOctets().toString("hex"), "0141016200");
  assert.equal(new WireReader(wire).name(), "a.b.");
});

test("after a failure everything reads as nothing, and the first reason stays", () => {
  const reader = new WireReader(Buffer.from("0102", "hex"));
  assert.equal(reader.uint32(), 0);
  const first = reader.failure;
  assert.match(first ?? "", /ends 2 octets too early/);
  assert.deepEqual(
    [reader.octet(), reader.uint16(), reader.octets(1).length, reader.name(), reader.remaining],
    [0, 0, 0, ".", 0],
  );
  reader.finish();
  assert.equal(reader.failure, first);
});

test("a part must be read exactly", () => {
  const part = (count: number, read: number): string | undefined => {
    const reader = new WireReader(Buffer.alloc(8));
    reader.within(count, () => reader.octets(read));
    return reader.failure;
  };
  assert.equal(part(4, 4), undefined);
  assert.match(part(4, 3) ?? "", /1 octets too many/);
  assert.match(part(4, 5) ?? "", /too early/);
  assert.match(part(9, 0) ?? "", /too early/);
});

test("a name inside a part must end there", () => {
  const reader = new WireReader(Buffer.from("0361626300", "hex"));
  reader.within(3, () => reader.name());
  assert.match(reader.failure ?? "", /beyond its end/);
});

test("finish refuses what is left", () => {
  const reader = new WireReader(Buffer.alloc(2));
  reader.octet();
  reader.finish();
  assert.match(reader.failure ?? "", /1 octets after the end/);
});
