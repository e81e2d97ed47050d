import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { createForwarder, upstreamLabel } from "../../../src/resolver/forwarder.ts";
import type { ExchangeResult, Query, ServerAddress, Transport } from "../../../src/resolver/transport.ts";
import { response } from "../../fake/dnsWire.ts";

const FIRST: ServerAddress = { address: "192.0.2.53", port: 53 };
const SECOND: ServerAddress = { address: "192.0.2.54", port: 53 };
const NAME = name("example.test");

type Row = ExchangeResult | { kind: "rcode"; rcode: number } | { kind: "plain" } | { kind: "good" };

function resultOf(row: Row): ExchangeResult {
  const reply = (message: Parameters<typeof response>[0]): ExchangeResult => ({
    kind: "response",
    message: response(message),
    transport: "udp",
    milliseconds: 1,
  });
  switch (row.kind) {
    case "rcode":
      return reply({ rcode: row.rcode });
    case "plain": {
      const { edns: _, ...message } = response();
      return { kind: "response", message, transport: "udp", milliseconds: 1 };
    }
    case "good":
      return reply({});
    default:
      return row;
  }
}

/** Upstreams that are a table; the clock goes on by `cost` milliseconds with each exchange. */
function world(table: Readonly<Record<string, Row>>, cost = 0) {
  const asked: { server: string; query: Query; timeout: number }[] = [];
  let now = 0;
  const transport: Transport = {
    exchange: (server, query, timeout) => {
      asked.push({ server: server.address, query, timeout });
      now += cost;
      return Promise.resolve(resultOf(table[server.address] ?? { kind: "timeout" }));
    },
  };
  const clock = { now: () => 0, monotonic: () => now };
  const forwarder = createForwarder({ upstreams: [FIRST, SECOND], transport, clock, timeoutSeconds: 10 });
  return {
    forwarder,
    asked,
    servers: () => asked.map((one) => one.server),
    pass: (milliseconds: number) => (now += milliseconds),
  };
}

describe("forwarder", () => {
  test("asks with RD, CD and DO", async () => {
    const { forwarder, asked } = world({ [FIRST.address]: { kind: "good" } });
    const answer = await forwarder.ask(NAME, RR_TYPE.MX);
    assert.equal(answer.kind, "message");
    assert.deepEqual(
      asked.map((one) => one.query),
      [
        {
          name: NAME,
          type: RR_TYPE.MX,
          recursionDesired: true,
          checkingDisabled: true,
          edns: { udpPayloadSize: 1232, dnssecOk: true },
        },
      ],
    );
  });

  const failures: readonly (readonly [string, Row, RegExp])[] = [
    ["a timeout", { kind: "timeout" }, /192\.0\.2\.53 did not answer in time/],
    ["an unreachable upstream", { kind: "unreachable", reason: "refused" }, /cannot be reached \(refused\)/],
    ["a malformed message", { kind: "malformed", reason: "short" }, /malformed message \(short\)/],
    ["SERVFAIL", { kind: "rcode", rcode: 2 }, /answered SERVFAIL/],
    ["REFUSED", { kind: "rcode", rcode: 5 }, /answered REFUSED/],
    ["BADVERS", { kind: "rcode", rcode: 16 }, /answered RCODE 16/],
    ["FORMERR", { kind: "rcode", rcode: 1 }, /may not know EDNS/],
    ["an answer without EDNS", { kind: "plain" }, /does not speak EDNS/],
  ];
  for (const [what, row, reason] of failures) {
    test(`${what} is no absence: the next upstream is asked`, async () => {
      const { forwarder, servers } = world({ [FIRST.address]: row, [SECOND.address]: { kind: "good" } });
      assert.equal((await forwarder.ask(NAME, RR_TYPE.A)).kind, "message");
      assert.deepEqual(servers(), [FIRST.address, SECOND.address]);
    });
    test(`${what} everywhere is a failure that says so`, async () => {
      const { forwarder } = world({ [FIRST.address]: row, [SECOND.address]: row });
      const answer = await forwarder.ask(NAME, RR_TYPE.A);
      assert.match(answer.kind === "failed" ? answer.reason : "a message", reason);
    });
  }

  test("NXDOMAIN is an answer", async () => {
    const { forwarder, servers } = world({ [FIRST.address]: { kind: "rcode", rcode: 3 } });
    assert.equal((await forwarder.ask(NAME, RR_TYPE.A)).kind, "message");
    assert.deepEqual(servers(), [FIRST.address]);
  });

  test("an upstream that was silent is asked last, for a while", async () => {
    const { forwarder, servers, pass } = world({ [SECOND.address]: { kind: "good" } });
    await forwarder.ask(NAME, RR_TYPE.A);
    await forwarder.ask(NAME, RR_TYPE.A);
    pass(31_000);
    await forwarder.ask(NAME, RR_TYPE.A);
    assert.deepEqual(servers(), [FIRST.address, SECOND.address, SECOND.address, FIRST.address, SECOND.address]);
  });

  test("the time for all upstreams together is bounded", async () => {
    const { forwarder, asked } = world({}, 6_000);
    assert.equal((await forwarder.ask(NAME, RR_TYPE.A)).kind, "failed");
    assert.deepEqual(
      asked.map((one) => one.timeout),
      [5_000, 4_000],
    );
  });

  test("whoever gave an answer that did not validate is not asked again", async () => {
    const { forwarder, servers } = world({ [FIRST.address]: { kind: "good" }, [SECOND.address]: { kind: "good" } });
    const first = await forwarder.ask(NAME, RR_TYPE.A);
    const from = first.kind === "message" ? first.from : undefined;
    const avoid = new Set([from ?? ""]);
    const second = await forwarder.ask(NAME, RR_TYPE.A, { avoid });
    avoid.add(second.kind === "message" ? (second.from ?? "") : "");
    assert.equal((await forwarder.ask(NAME, RR_TYPE.A, { avoid })).kind, "failed");
    assert.deepEqual(servers(), [FIRST.address, SECOND.address]);
  });

  test("an upstream is written as in the configuration", () => {
    const written = [
      FIRST,
      { address: "2001:db8::1", port: 5353 },
      { address: "192.0.2.1", port: 853, tls: { name: "dns.test" } },
    ];
    assert.deepEqual(written.map(upstreamLabel), ["192.0.2.53", "[2001:db8::1]:5353", "tls://192.0.2.1#dns.test"]);
  });
});
