import assert from "node:assert/strict";
import { test } from "node:test";
import { displayName, name } from "../../../src/dns/name.ts";
import type { MxData } from "../../../src/dns/rdata.ts";
import { MAX_MX_HOSTS, mxOrder } from "../../../src/policy/mxOrder.ts";

const SELF = name("relay.example.net");
const first = () => 0;

function records(...texts: string[]): [MxData, ...MxData[]] {
  return texts.map((text) => {
    const [preference = "", exchange = ""] = text.split(" ");
    return { preference: Number(preference), exchange: name(exchange) };
  }) as [MxData, ...MxData[]];
}

function hostsOf(...texts: string[]): readonly string[] {
  const order = mxOrder(records(...texts), SELF, first);
  return order.kind === "hosts" ? order.hosts.map(displayName) : [order.kind];
}

const GOOD: readonly [string, string[], string[]][] = [
  ["one host", ["10 mx.example.org"], ["mx.example.org"]],
  [
    "lower preference first",
    ["20 b.example.org", "10 a.example.org", "30 c.example.org"],
    ["a.example.org", "b.example.org", "c.example.org"],
  ],
  ["the same host twice is tried once, at its better preference", ["20 a.example.org", "10 a.example.org"], ["a.example.org"]],
  ["null MX (RFC 7505)", ["0 ."], ["nullMx"]],
  ["null MX with another preference", ["10 ."], ["nullMx"]],
  ["a null record beside real ones is no host", ["0 .", "10 a.example.org"], ["a.example.org"]],
  ["only null records", ["0 .", "10 ."], ["nullMx"]],
  ["we are the best exchanger", ["10 relay.example.net", "20 b.example.org"], ["loop"]],
  ["only what is better than we are", ["10 a.example.org", "20 relay.example.net", "30 c.example.org"], ["a.example.org"]],
  ["what is as good as we are would send it back", ["10 relay.example.net", "10 c.example.org"], ["loop"]],
];

for (const [title, input, expected] of GOOD) {
  test(`MX order: ${title}`, () => assert.deepEqual(hostsOf(...input), expected));
}

test("MX order: equals are shuffled, and only equals", () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 64; seed += 1) {
    let state = seed;
    const random = (n: number) => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return state % n;
    };
    const order = mxOrder(records("10 a.x", "10 b.x", "20 c.x"), SELF, random);
    assert.equal(order.kind, "hosts");
    if (order.kind === "hosts") {
      assert.equal(order.hosts[2], "c.x.");
      seen.add(order.hosts.slice(0, 2).join(" "));
    }
  }
  assert.deepEqual([...seen].sort(), ["a.x. b.x.", "b.x. a.x."]);
});

test("MX order: a zone that lists hundreds of hosts makes us try a bounded number", () => {
  const many = Array.from({ length: 300 }, (_, i) => `10 h${i}.example.org`);
  assert.equal(hostsOf(...many).length, MAX_MX_HOSTS);
});
