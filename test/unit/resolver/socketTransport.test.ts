import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { after, describe, test } from "node:test";
import { RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { createTransport, type TransportOptions } from "../../../src/resolver/socketTransport.ts";
import type { ExchangeResult, Query, ServerAddress } from "../../../src/resolver/transport.ts";
import { makeAuthority, makeLeaf } from "../../fake/certificates.ts";
import { record } from "../../fake/dnsWire.ts";
import { answering, framed, type Script, streamServer, udpServer } from "./dnsServer.ts";

const QUERY: Query = {
  name: name("www.example.test"),
  type: RR_TYPE.A,
  recursionDesired: true,
  checkingDisabled: true,
  edns: { udpPayloadSize: 1232, dnssecOk: true },
};
const ANSWER = [record("www.example.test A 192.0.2.1")];
const FORGED = [record("www.example.test A 203.0.113.66")];
const FOR_EVER = 10_000;
const closers: (() => unknown)[] = [];

after(async () => {
  for (const close of closers) await close();
});

function transport(options: TransportOptions = {}): ReturnType<typeof createTransport> {
  const made = createTransport({ streamIdleMilliseconds: 200, ...options });
  closers.push(() => made.close());
  return made;
}

async function udp(address: string, script: Script): Promise<ServerAddress> {
  const server = await udpServer(address, script);
  closers.push(server.close);
  return { address, port: server.port };
}

function addressesIn(result: ExchangeResult): readonly string[] {
  assert.equal(result.kind, "response", JSON.stringify(result));
  return result.kind === "response" ? result.message.answer.map((one) => one.rdata.join(".")) : [];
}

describe("UDP", () => {
  test("the query carries id, RD, CD and DO as asked, and the answer comes back", async () => {
    const seen: string[] = [];
    const server = await udp("127.12.1.1", ({ query, send }) => {
      seen.push(
        `${query.id} ${query.recursionDesired} ${query.checkingDisabled} ${query.edns?.dnssecOk} ${query.edns?.udpPayloadSize}`,
      );
      send(answering(query, { answer: ANSWER }));
    });
    const result = await transport({ random: { below: () => 4711 } }).exchange(server, QUERY, FOR_EVER);
    assert.deepEqual(addressesIn(result), ["192.0.2.1"]);
    assert.deepEqual(seen, ["4711 true true true 1232"]);
  });

  test("every query has a port of its own", async () => {
    const waiting: (() => void)[] = [];
    const ports = new Set<number>();
    const server = await udp("127.12.1.2", ({ query, fromPort, send }) => {
      ports.add(fromPort);
      waiting.push(() => send(answering(query, { answer: ANSWER })));
      if (waiting.length === 8) for (const answer of waiting) answer();
    });
    const sockets = transport();
    await Promise.all(Array.from({ length: 8 }, () => sockets.exchange(server, QUERY, FOR_EVER)));
    assert.equal(ports.size, 8);
  });

  const strangers: readonly (readonly [string, Script])[] = [
    ["another id", ({ query, send }) => send(answering({ ...query, id: query.id ^ 1 }, { answer: FORGED }))],
    [
      "another name",
      ({ query, send }) =>
        send(answering({ ...query, questions: [{ name: name("other.test"), type: 1, class: 1 }] }, { answer: FORGED })),
    ],
    [
      "another type",
      ({ query, send }) =>
        send(answering({ ...query, questions: [{ name: QUERY.name, type: 28, class: 1 }] }, { answer: FORGED })),
    ],
    [
      "another class",
      ({ query, send }) =>
        send(answering({ ...query, questions: [{ name: QUERY.name, type: 1, class: 3 }] }, { answer: FORGED })),
    ],
    ["the query itself", ({ wire, send }) => send(wire)],
    ["another opcode", ({ query, send }) => send(answering(query, { opcode: 4, answer: FORGED }))],
    ["no question and NOERROR", ({ query, send }) => send(answering(query, { questions: [], answer: FORGED }))],
    ["rubbish", ({ send }) => send(Buffer.from("no DNS at all"))],
    ["nothing", ({ send }) => send(Buffer.alloc(0))],
  ];
  for (const [what, script] of strangers) {
    test(`${what} is ignored, and the answer behind it taken`, async () => {
      const server = await udp("127.12.1.3", (reply) => {
        script(reply);
        reply.send(answering(reply.query, { answer: ANSWER }));
      });
      assert.deepEqual(addressesIn(await transport().exchange(server, QUERY, FOR_EVER)), ["192.0.2.1"]);
    });
  }

  test("what comes from another port is not the server's", async () => {
    const other = createSocket("udp4").bind(0, "127.12.1.4");
    await once(other, "listening");
    closers.push(() => other.close());
    const server = await udp("127.12.1.4", ({ query, fromPort, send }) => {
      other.send(answering(query, { answer: FORGED }), fromPort, "127.0.0.1", () => {
        send(answering(query, { answer: ANSWER }));
      });
    });
    assert.deepEqual(addressesIn(await transport().exchange(server, QUERY, FOR_EVER)), ["192.0.2.1"]);
  });

  test("a lost datagram is sent again", async () => {
    let count = 0;
    const server = await udp("127.12.1.5", ({ query, send }) => {
      count += 1;
      if (count === 3) send(answering(query, { answer: ANSWER }));
    });
    const result = await transport({ retransmitMilliseconds: 10 }).exchange(server, QUERY, FOR_EVER);
    assert.deepEqual(addressesIn(result), ["192.0.2.1"]);
    assert.equal(count, 3);
  });

  test("silence is a timeout", async () => {
    const server = await udp("127.12.1.6", () => undefined);
    assert.deepEqual(await transport().exchange(server, QUERY, 30), { kind: "timeout" });
  });

  test("a port where nobody listens is unreachable", async () => {
    const gone = await udpServer("127.12.1.7", () => undefined);
    const server = { address: "127.12.1.7", port: gone.port };
    gone.close();
    assert.equal((await transport().exchange(server, QUERY, FOR_EVER)).kind, "unreachable");
  });

  test("the right answer in a broken form is malformed", async () => {
    const server = await udp("127.12.1.8", ({ query, send }) => send(answering(query, { answer: ANSWER }).subarray(0, -3)));
    assert.equal((await transport().exchange(server, QUERY, FOR_EVER)).kind, "malformed");
  });

  test("FORMERR without a question is the server's answer", async () => {
    const server = await udp("127.12.1.9", ({ query, send }) => send(answering(query, { questions: [], rcode: 1 })));
    const result = await transport().exchange(server, QUERY, FOR_EVER);
    assert.equal(result.kind === "response" ? result.message.rcode : result.kind, 1);
  });
});

describe("TCP", () => {
  /** Truncated over UDP, `script` over TCP at the same port. */
  async function truncating(address: string, script: Script, cut = 0): Promise<ServerAddress & { connections: () => number }> {
    const datagrams = await udp(address, ({ query, send }) => {
      const wire = answering(query, { truncated: true, answer: FORGED });
      send(wire.subarray(0, wire.length - cut));
    });
    const server = await streamServer(address, datagrams.port, script);
    closers.push(server.close);
    return { ...datagrams, connections: server.connections };
  }
  const MANY = Array.from({ length: 1000 }, (_, i) => record(`www.example.test A 192.0.${i >> 8}.${i & 255}`));

  test("a truncated answer is asked for again, and a big one comes in pieces", async () => {
    const server = await truncating("127.12.2.1", ({ query, socket }) => {
      const wire = framed(answering(query, { answer: MANY }));
      for (let at = 0; at < wire.length; at += 1000) socket?.write(wire.subarray(at, at + 1000));
    });
    const result = await transport().exchange(server, QUERY, FOR_EVER);
    assert.equal(addressesIn(result).length, 1000);
    assert.equal(result.kind === "response" && result.transport, "tcp");
  });

  test("TC counts even when the datagram ends within a record", async () => {
    const server = await truncating("127.12.2.2", ({ query, send }) => send(answering(query, { answer: ANSWER })), 5);
    assert.deepEqual(addressesIn(await transport().exchange(server, QUERY, FOR_EVER)), ["192.0.2.1"]);
  });

  test("two queries share a connection, and their answers may change places", async () => {
    const held: (() => void)[] = [];
    const server = await truncating("127.12.2.3", ({ query, send }) => {
      const first = query.questions[0]?.type === RR_TYPE.A;
      held.unshift(() => send(answering(query, { answer: first ? ANSWER : [] })));
      if (held.length === 2) for (const answer of held) answer();
    });
    const sockets = transport();
    const results = await Promise.all([
      sockets.exchange(server, QUERY, FOR_EVER),
      sockets.exchange(server, { ...QUERY, type: RR_TYPE.MX }, FOR_EVER),
    ]);
    assert.deepEqual(
      results.map((result) => addressesIn(result).length),
      [1, 0],
    );
    assert.equal(server.connections(), 1);
  });

  test("a kept connection that the server has closed is replaced", async () => {
    const server = await truncating("127.12.2.4", ({ query, socket }) =>
      socket?.end(framed(answering(query, { answer: ANSWER }))),
    );
    const sockets = transport({ streamIdleMilliseconds: 5_000 });
    assert.deepEqual(addressesIn(await sockets.exchange(server, QUERY, FOR_EVER)), ["192.0.2.1"]);
    assert.deepEqual(addressesIn(await sockets.exchange(server, QUERY, FOR_EVER)), ["192.0.2.1"]);
  });

  const broken: readonly (readonly [string, Script, ExchangeResult["kind"]])[] = [
    ["closed without an answer", ({ socket }) => socket?.destroy(), "unreachable"],
    ["closed within the answer", ({ query, socket }) => socket?.end(framed(answering(query)).subarray(0, 20)), "unreachable"],
    ["truncated again", ({ query, send }) => send(answering(query, { truncated: true })), "malformed"],
    ["malformed", ({ query, send }) => send(answering(query, { answer: ANSWER }).subarray(0, -1)), "malformed"],
    [
      "flooded with answers to nothing",
      ({ query, send }) => {
        for (let i = 1; i <= 20; i += 1) send(answering({ ...query, id: query.id ^ i }));
      },
      "unreachable",
    ],
  ];
  for (const [what, script, kind] of broken) {
    test(`${what}: ${kind}`, async () => {
      const server = await truncating("127.12.2.5", script);
      assert.equal((await transport().exchange(server, QUERY, FOR_EVER)).kind, kind);
    });
  }

  test("an answer with a wrong id does not hide the right one", async () => {
    const server = await truncating("127.12.2.6", ({ query, send }) => {
      send(answering({ ...query, id: query.id ^ 1 }, { answer: FORGED }));
      send(answering(query, { answer: ANSWER }));
    });
    assert.deepEqual(addressesIn(await transport().exchange(server, QUERY, FOR_EVER)), ["192.0.2.1"]);
  });

  test("silence is a timeout, and the connection is not used again", async () => {
    let count = 0;
    const server = await truncating("127.12.2.7", ({ query, send }) => {
      count += 1;
      if (count > 1) send(answering(query, { answer: ANSWER }));
    });
    const sockets = transport();
    assert.equal((await sockets.exchange(server, QUERY, 100)).kind, "timeout");
    assert.deepEqual(addressesIn(await sockets.exchange(server, QUERY, FOR_EVER)), ["192.0.2.1"]);
  });
});

describe("TLS", () => {
  const authority = makeAuthority();
  const leaf = makeLeaf({ names: ["dns.example.test"], issuer: authority });
  const stranger = makeAuthority({ commonName: "Another CA" });

  async function tlsServer(address: string): Promise<ServerAddress> {
    const server = await streamServer(address, 0, ({ query, send }) => send(answering(query, { answer: ANSWER })), {
      key: leaf.keyPem,
      cert: leaf.certificatePem,
    });
    closers.push(server.close);
    return { address, port: server.port };
  }

  test("a server that proves its configured name is asked", async () => {
    const server = { ...(await tlsServer("127.12.3.1")), tls: { name: "dns.example.test" } };
    const result = await transport({ tlsAuthorities: [authority.certificatePem] }).exchange(server, QUERY, FOR_EVER);
    assert.deepEqual(addressesIn(result), ["192.0.2.1"]);
    assert.equal(result.kind === "response" && result.transport, "tls");
  });

  for (const [what, tlsName, trusted] of [
    ["another name", "other.example.test", authority],
    ["an unknown authority", "dns.example.test", stranger],
  ] as const) {
    test(`${what} is refused, and nothing is asked in clear text`, async () => {
      const server = { ...(await tlsServer("127.12.3.2")), tls: { name: tlsName } };
      const result = await transport({ tlsAuthorities: [trusted.certificatePem] }).exchange(server, QUERY, FOR_EVER);
      assert.equal(result.kind, "unreachable");
    });
  }
});
