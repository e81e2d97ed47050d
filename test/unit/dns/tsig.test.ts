import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { name } from "../../../src/dns/name.ts";
import { signTsig, type TsigKey, verifyTsig } from "../../../src/dns/tsig.ts";
import { encodeTlsaUpdate, updateRefusal } from "../../../src/dns/update.ts";

/** Beside these, Knot checks our signatures and we check Knot's in the lab. */
const KEY: TsigKey = { name: name("Update.Example."), algorithm: "hmac-sha256", secret: Buffer.from("a secret of some octets") };
const NOW = Date.parse("2026-05-01T12:00:00Z");
const REQUEST = encodeTlsaUpdate({
  id: 0x1234,
  zone: name("example."),
  owner: name("_25._tcp.mx.example."),
  ttlSeconds: 300,
  add: [{ usage: 3, selector: 1, matchingType: 1, data: Buffer.alloc(32, 7) }],
  remove: [{ usage: 3, selector: 1, matchingType: 1, data: Buffer.alloc(32, 8) }],
});

/** The server's side (RFC 8945 §5.3): the request's MAC goes in front. */
function answerTo(requestMac: Buffer, at: number): Buffer {
  const answer = Buffer.from(REQUEST.subarray(0, 12));
  answer.writeUInt16BE(0x8000 | (5 << 11), 2);
  answer.fill(0, 4, 12);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(requestMac.length);
  // signTsig over "length, MAC, message" is the same digest; the record it appends is the answer's.
  const { message } = signTsig(answer, { ...KEY, secret: KEY.secret }, at);
  const mac = createHmac("sha256", KEY.secret)
    .update(length)
    .update(requestMac)
    .update(answer)
    .update(variablesOf(message, answer.length))
    .digest();
  const at16 = message.length - 6 - mac.length;
  mac.copy(message, at16);
  return message;
}

/** Name, class, TTL, algorithm, timers, error and length of other data, from the record behind `start`. */
function variablesOf(message: Buffer, start: number): Buffer {
  const nameOctets = Buffer.from("\x06update\x07example\x00", "latin1");
  const algorithm = Buffer.from("\x0bhmac-sha256\x00", "latin1");
  const timers = message.subarray(
    start + nameOctets.length + 10 + algorithm.length,
    start + nameOctets.length + 18 + algorithm.length,
  );
  return Buffer.concat([nameOctets, Buffer.from([0, 255, 0, 0, 0, 0]), algorithm, timers, Buffer.alloc(4)]);
}

test("the answer to a signed request is verified; its every octet counts", () => {
  const { message, mac } = signTsig(REQUEST, KEY, NOW);
  assert.equal(message.readUInt16BE(10), 1);
  const answer = answerTo(mac, NOW);
  assert.deepEqual(verifyTsig(answer, KEY, mac, NOW), { kind: "verified" });
  for (const at of [2, 3, 5, answer.length - 10, answer.length - 30]) {
    const forged = Buffer.from(answer);
    forged.writeUInt8(forged.readUInt8(at) ^ 1, at);
    assert.equal(verifyTsig(forged, KEY, mac, NOW).kind, "refused", `octet ${at}`);
  }
});

test("an answer that is not signed, late, to another request, or by another key is refused", () => {
  const { mac } = signTsig(REQUEST, KEY, NOW);
  const answer = answerTo(mac, NOW);
  const rows: readonly [string, Buffer, TsigKey, Buffer, number, RegExp][] = [
    ["unsigned", Buffer.from(REQUEST.subarray(0, 12)), KEY, mac, NOW, /not signed|another/],
    ["late", answer, KEY, mac, NOW + 301_000, /another time/],
    ["to another request", answer, KEY, Buffer.alloc(32), NOW, /signature is wrong/],
    ["by another secret", answer, { ...KEY, secret: Buffer.from("another") }, mac, NOW, /signature is wrong/],
    ["by a key of another name", answer, { ...KEY, name: name("other.") }, mac, NOW, /another key/],
  ];
  for (const [what, octets, key, request, now, reason] of rows) {
    const verdict = verifyTsig(octets, key, request, now);
    assert.match(verdict.kind === "refused" ? verdict.reason : "verified", reason, what);
  }
});

test("a signature in another section than the additional one is none", () => {
  const { mac } = signTsig(REQUEST, KEY, NOW);
  const moved = answerTo(mac, NOW);
  moved.writeUInt16BE(1, 6);
  moved.writeUInt16BE(0, 10);
  assert.deepEqual(verifyTsig(moved, KEY, mac, NOW), { kind: "refused", reason: "the answer is not signed" });
});

test("octets of any kind are no verified answer", () => {
  for (let length = 0; length < 60; length += 1) {
    assert.equal(verifyTsig(Buffer.alloc(length, length), KEY, Buffer.alloc(32), NOW).kind, "refused");
  }
});

test("an update has the zone, then what goes, then what comes (RFC 2136 §2)", () => {
  assert.equal(REQUEST.readUInt16BE(2) >> 11, 5);
  assert.deepEqual(
    [4, 6, 8, 10].map((at) => REQUEST.readUInt16BE(at)),
    [1, 0, 2, 0],
  );
  const text = REQUEST.toString("hex");
  const removed = text.indexOf(`003400fe0000000000230301${"01"}${"08".repeat(32)}`);
  const added = text.indexOf(`003400010000012c00230301${"01"}${"07".repeat(32)}`);
  assert.ok(removed > 0 && added > removed, text);
  assert.equal(updateRefusal(0), undefined);
  assert.match(updateRefusal(9) ?? "", /NOTAUTH/);
  assert.equal(updateRefusal(15), "RCODE 15");
});
