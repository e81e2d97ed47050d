import assert from "node:assert/strict";
import { test } from "node:test";
import { name } from "../../../src/dns/name.ts";
import { ServerSelection } from "../../../src/resolver/serverSelection.ts";
import { seededRandom } from "../../conformance/iterative.ts";

const zone = name("example.com");
const other = name("example.net");
const [a, b, c, six] = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"].map((address) => ({ address, port: 53 })) as [
  Server,
  Server,
  Server,
  Server,
];
type Server = { address: string; port: number };

function stage() {
  let milliseconds = 0;
  const selection = new ServerSelection({ now: () => 0, monotonic: () => milliseconds }, seededRandom(3));
  /** How often each of a, b and c comes first in a hundred orders. */
  const firsts = (servers: Server[], of = zone): Map<string, number> => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 100; i += 1) {
      const first = selection.order(servers, of)[0]?.address ?? "";
      counts.set(first, (counts.get(first) ?? 0) + 1);
    }
    return counts;
  };
  return {
    selection,
    firsts,
    pass: (seconds: number) => {
      milliseconds += seconds * 1000;
    },
  };
}

test("unknown servers take turns by chance, and none is left out", () => {
  const { selection, firsts } = stage();
  const counts = firsts([a, b, c]);
  for (const server of [a, b, c]) assert.ok((counts.get(server.address) ?? 0) > 15);
  assert.deepEqual(new Set(selection.order([a, b, c], zone)), new Set([a, b, c]));
});

test("servers about as quick as the quickest share the queries; slow ones stand behind, unknown ones are tried", () => {
  const { selection, firsts } = stage();
  selection.answered(a, 20);
  selection.answered(b, 60);
  selection.answered(c, 900);
  const counts = firsts([a, b, c]);
  assert.equal(counts.get(c.address), undefined);
  assert.ok((counts.get(a.address) ?? 0) > 20 && (counts.get(b.address) ?? 0) > 20);
  assert.deepEqual(selection.order([c, a, b], zone)[2], c);
  assert.ok((firsts([a, six]).get(six.address) ?? 0) > 20);
});

test("a server that was silent twice rests, is asked last meanwhile, and comes back", () => {
  const { selection, firsts, pass } = stage();
  selection.wasSilent(a, "timeout");
  assert.ok(firsts([a, b]).has(a.address));
  selection.wasSilent(a, "timeout");
  assert.ok(!firsts([a, b]).has(a.address));
  assert.deepEqual(selection.order([a, b], zone), [b, a]);
  pass(61);
  assert.ok(firsts([a, b]).has(a.address));
  selection.wasSilent(a, "timeout");
  selection.answered(a, 20);
  assert.ok(firsts([a, b]).has(a.address));
  selection.wasSilent(a, "timeout");
  assert.ok(firsts([a, b]).has(a.address));
});

test("lameness is of one zone", () => {
  const { selection, firsts, pass } = stage();
  selection.isLame(a, zone);
  assert.ok(!firsts([a, b]).has(a.address));
  assert.ok(firsts([a, b], other).has(a.address));
  pass(601);
  assert.ok(firsts([a, b]).has(a.address));
});

test("a server without EDNS stands behind those with it, and is tried with EDNS again later", () => {
  const { selection, firsts, pass } = stage();
  selection.refusedEdns(a);
  assert.equal(selection.takesEdns(a), false);
  assert.ok(!firsts([a, b]).has(a.address));
  pass(601);
  assert.equal(selection.takesEdns(a), true);
});

test("when servers of one address family cannot be reached, the family rests", () => {
  const { selection, firsts } = stage();
  for (let i = 2; i < 6; i += 1) selection.wasSilent({ address: `2001:db8::${i}`, port: 53 }, "unreachable");
  assert.ok(!firsts([six, a]).has(six.address));
  selection.answered({ address: "2001:db8::9", port: 53 }, 20);
  assert.ok(firsts([six, a]).has(six.address));
});

test("RFC 6298: waiting times follow round-trip times, double with silence, and stay within bounds", () => {
  const { selection } = stage();
  const unknown = selection.timeoutMilliseconds(a);
  assert.ok(unknown >= 1000);
  selection.answered(a, 20);
  assert.equal(selection.timeoutMilliseconds(a), 500);
  selection.answered(b, 400);
  assert.equal(selection.timeoutMilliseconds(b), 400 + 4 * 200);
  selection.wasSilent(a, "timeout");
  assert.equal(selection.timeoutMilliseconds(a), 1000);
  for (let i = 0; i < 10; i += 1) selection.wasSilent(b, "timeout");
  assert.equal(selection.timeoutMilliseconds(b), 3000);
});
