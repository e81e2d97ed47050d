import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PeerAction, PeerSession } from "../../fake/smtpPeer.ts";
import { dns, INSECURE_HOST, MX1, MX2, ONE, rows, summary, TLSA1, TLSA2, TWO } from "./attemptRows.ts";
import { NETWORK, PORT, playOnce, startWorld, type World } from "./deliveryWorld.ts";

/** Hosts, addresses, sessions and transactions in their order: what one attempt does, and what it must not do twice. */

const ALIAS = "example.org MX secure 10 mx1.example.org";
const say = (replies: Readonly<Record<string, string>>) => ({ more: { replies } });

rows("the hosts in turn (RFC 5321 §5.1, §4.2.1; RFC 7672 §2.2.1)", [
  [
    "the better preference first, whatever DANE says of the other",
    { dns: dns("example.org MX secure 20 mx2.example.org\nmx2.example.org A secure mx2", TLSA2, MX1), receivers: TWO },
    "delivered 2 may:encrypt no-tlsa secure/secure/secure mx1:tls",
  ],
  [
    "nobody at the first: the second",
    { dns: dns(MX1, MX2, TLSA1, TLSA2), receivers: { mx1: "closed", mx2: "self-signed" } },
    "delivered 2 dane authenticated secure/secure/secure mx2:tls",
  ],
  [
    "mismatch at the first: the second",
    { dns: dns(MX1, MX2, TLSA1.replace("own", "other"), TLSA2), receivers: TWO },
    "delivered 2 dane authenticated secure/secure/secure mx2:tls",
  ],
  [
    "mismatch at the first: the second, by its own policy",
    { dns: dns(MX1, MX2, TLSA1.replace("own", "other")), receivers: { mx1: "self-signed", mx2: "no-starttls" } },
    "delivered 2 may:none no-tlsa secure/secure/secure mx2:clear",
  ],
  [
    "TLSA of the first cannot be looked up: the second",
    { dns: dns(MX1, MX2, "_PORT._tcp.mx1.example.org TLSA bogus", TLSA2), receivers: TWO },
    "delivered 2 dane authenticated secure/secure/secure mx2:tls",
  ],
  [
    "greeting 421: the second",
    { dns: dns(MX1, MX2, TLSA2), receivers: { mx1: { more: { greeting: "421 4.3.2 busy" } }, mx2: "self-signed" } },
    "delivered 2 dane authenticated secure/secure/secure mx2:tls",
  ],
  [
    "greeting 421: deferred, as the server says",
    { dns: dns(MX1, TLSA1), receivers: { mx1: { more: { greeting: "421 4.7.0 busy" } } } },
    "deferred 4.7.0 dane:noconnect not-tried secure/secure/secure",
  ],
  [
    "greeting 554: speaks of the host, not of the recipient",
    { dns: dns(MX1, TLSA1), receivers: { mx1: { more: { greeting: "554 no" } } } },
    "deferred 4.3.2 dane:noconnect not-tried secure/secure/secure",
  ],
  [
    "EHLO 550: speaks of us, not of the recipient",
    { dns: dns(MX1, TLSA1), receivers: { mx1: say({ EHLO: "550 5.7.1 no" }) } },
    "deferred 4.7.1 dane:noconnect not-tried secure/secure/secure",
  ],
  [
    "the greeting never comes",
    { dns: dns(MX1, TLSA1), receivers: { mx1: { more: { greeting: { afterwards: "close" } } } } },
    "deferred 4.4.2 dane:noconnect not-tried secure/secure/secure",
  ],
  [
    "RCPT 450: the second",
    { dns: dns(MX1, MX2, TLSA1, TLSA2), receivers: { mx1: say({ RCPT: "450 4.2.1 later" }), mx2: "self-signed" } },
    "delivered 2 dane authenticated secure/secure/secure mx2:tls",
  ],
  [
    "RCPT 550: final, the second is not asked",
    { dns: dns(MX1, MX2, TLSA1, TLSA2), receivers: { mx1: say({ RCPT: "550 5.1.1 no such user" }), mx2: "self-signed" } },
    "failed 5.1.1 dane authenticated secure/secure/secure",
  ],
  [
    "RCPT 450 at the first, 550 at the second: final",
    {
      dns: dns(MX1, MX2, TLSA1, TLSA2),
      receivers: { mx1: say({ RCPT: "450 4.2.1 later" }), mx2: say({ RCPT: "550 5.1.1 no such user" }) },
    },
    "failed 5.1.1 dane authenticated secure/secure/secure",
  ],
  [
    "MAIL 451 everywhere: deferred as the server says",
    { dns: dns(MX1, TLSA1), receivers: { mx1: say({ MAIL: "451 4.7.1 greylisted" }) } },
    "deferred 4.7.1 dane authenticated secure/secure/secure",
  ],
  [
    "the content is refused for now: the second",
    { dns: dns(MX1, MX2, TLSA1, TLSA2), receivers: { mx1: say({ CONTENT: "451 4.3.0 later" }), mx2: "self-signed" } },
    "delivered 2 dane authenticated secure/secure/secure mx2:tls",
  ],
  [
    "the content is refused: final",
    { dns: dns(MX1, MX2, TLSA1, TLSA2), receivers: { mx1: say({ CONTENT: "554 5.6.0 spam" }), mx2: "self-signed" } },
    "failed 5.6.0 dane authenticated secure/secure/secure",
  ],
  [
    "the connection is lost before the final dot: the second",
    {
      dns: dns(MX1, MX2, TLSA1, TLSA2),
      receivers: { mx1: { more: { replies: { DATA: { afterwards: "reset" } } } }, mx2: "self-signed" },
    },
    "delivered 2 dane authenticated secure/secure/secure mx2:tls",
  ],
  [
    "the connection is lost after the final dot: nobody else is asked (RFC 5321 §4.5.3.2.6)",
    {
      dns: dns(MX1, MX2, TLSA1, TLSA2),
      receivers: { mx1: { more: { replies: { CONTENT: { afterwards: "reset" } } } }, mx2: "self-signed" },
    },
    "deferred 4.4.2 dane authenticated secure/secure/secure",
  ],
  [
    "a host that has answered is not asked again at its other address",
    {
      dns: dns(MX1, "mx1.example.org A secure mx2", TLSA1),
      receivers: { mx1: say({ RCPT: "450 4.2.1 later" }), mx2: "self-signed" },
    },
    "deferred 4.2.1 dane authenticated secure/secure/secure",
  ],
]);

test("each recipient has its own outcome, and only who is open goes to the next host", async () => {
  const perRecipient = (line: string): string =>
    line.includes("<a@") ? "250 2.1.5 ok" : line.includes("<b@") ? "550 5.1.1 no" : "450 4.2.1 later";
  const played = await playOnce({
    dns: dns(MX1, MX2, TLSA1, TLSA2),
    recipients: ["a", "b", "c"],
    receivers: { mx1: { more: { replies: { RCPT: perRecipient } } }, mx2: "self-signed" },
  });
  assert.deepEqual(
    played.results.map(({ outcome, trace }) => `${outcome.kind} ${trace.host}`),
    ["delivered mx1.example.org", "failed mx1.example.org", "delivered mx2.example.org"],
  );
  assert.deepEqual(
    [...played.peers.values()].flatMap(({ messages }) => messages.map(({ recipients }) => recipients.join())),
    ["RCPT TO:<a@example.org>", "RCPT TO:<c@example.org>"],
  );
});

test("SNI is the TLSA base domain, and the host's own name where there is none (RFC 7672 §8.1)", async () => {
  const nameSent = async (world: World): Promise<string | undefined> => {
    const { peers } = await playOnce(world);
    return peers.get("mx1")?.sessions[0]?.handshake?.serverName;
  };
  const aliased = dns(ALIAS, "mx1.example.org A secure via secure real.example.net mx1");
  const atTarget = "_PORT._tcp.real.example.net TLSA secure 3 1 1 own";
  assert.equal(await nameSent({ dns: dns(aliased, atTarget), receivers: ONE }), "real.example.net");
  assert.equal(await nameSent({ dns: dns(aliased, TLSA1), receivers: ONE }), "mx1.example.org");
  assert.equal(await nameSent({ dns: aliased, receivers: ONE }), "mx1.example.org");
  assert.equal(await nameSent({ dns: "", destination: `[${NETWORK}1]`, receivers: ONE }), undefined);
});

test("TLSA is asked for at the port of the connection, after the addresses, and only where it can count", async () => {
  const asked = async (world: World): Promise<string> => (await playOnce(world)).asked.join(", ");
  const tlsa = (host: string): string => `_${PORT}._tcp.${host}. TLSA`;
  const addresses = "mx1.example.org. A, mx1.example.org. AAAA";
  assert.equal(await asked({ dns: MX1, receivers: ONE }), `example.org. MX, ${addresses}, ${tlsa("mx1.example.org")}`);
  assert.equal(await asked({ dns: INSECURE_HOST, receivers: ONE }), `example.org. MX, ${addresses}`);
  assert.equal(
    await asked({ dns: MX1, receivers: ONE, demand: { level: "may", levelFrom: "operator" } }),
    `example.org. MX, ${addresses}`,
  );
});

test("hosts tried, and kept from by policy, are told once each", async () => {
  const { hosts } = await playOnce({ dns: dns(MX1, MX2, "_PORT._tcp.mx1.example.org TLSA bogus", TLSA2), receivers: TWO });
  assert.deepEqual(
    hosts.map(({ host, tls, dane }) => `${host} ${tls} ${dane}`),
    ["mx1.example.org !dane? bogus", "mx2.example.org dane authenticated"],
  );
});

describe("sessions from the pool", () => {
  const STALE: readonly [string, PeerAction][] = [
    ["has closed the connection", { afterwards: "reset" }],
    ["says 421", { reply: "421 4.4.2 idle for too long", afterwards: "close" }],
  ];
  for (const [what, action] of STALE) {
    test(`a server that ${what} when it is used again is asked on a new connection`, async () => {
      const seen = new Set<PeerSession>();
      const leaves = (_line: string, session: PeerSession) => {
        if (seen.has(session)) return action as Exclude<PeerAction, (...args: never[]) => unknown>;
        seen.add(session);
        return "250 2.1.0 ok";
      };
      const world = await startWorld({
        dns: dns(MX1, MX2, TLSA1, TLSA2),
        receivers: { mx1: { more: { replies: { MAIL: leaves } } }, mx2: "self-signed" },
      });
      try {
        await world.play();
        const second = await world.play();
        assert.equal(summary(second), "delivered 2 dane authenticated secure/secure/secure mx1:tls mx1:tls");
        assert.equal(second.peers.get("mx1")?.sessions.length, 2);
        assert.equal(second.hosts.length, 2);
      } finally {
        await world.close();
      }
    });
  }

  test("a server that goes after the final dot on a session in use again may have the message: it is not sent again", async () => {
    let count = 0;
    const goes = (): Exclude<PeerAction, string | ((...args: never[]) => unknown)> =>
      count++ === 0 ? { reply: "250 2.0.0 queued" } : { afterwards: "reset" };
    const world = await startWorld({
      dns: dns(MX1, MX2, TLSA1, TLSA2),
      receivers: { mx1: { more: { replies: { CONTENT: goes } } }, mx2: "self-signed" },
    });
    try {
      await world.play();
      const second = await world.play();
      assert.equal(summary(second), "deferred 4.4.2 dane authenticated secure/secure/secure mx1:tls");
      assert.equal(second.peers.get("mx1")?.sessions.length, 1);
    } finally {
      await world.close();
    }
  });

  test("a server that answers 4yz on a session in use again has answered", async () => {
    let count = 0;
    const busy = (): string => (count++ === 0 ? "250 2.1.0 ok" : "451 4.3.0 later");
    const world = await startWorld({ dns: dns(MX1, TLSA1), receivers: { mx1: { more: { replies: { MAIL: busy } } } } });
    try {
      await world.play();
      const second = await world.play();
      assert.equal(summary(second), "deferred 4.3.0 dane authenticated secure/secure/secure mx1:tls");
      assert.equal(second.peers.get("mx1")?.sessions.length, 1);
    } finally {
      await world.close();
    }
  });
});

test("too many recipients for one transaction: a further one on the same connection (RFC 5321 §4.5.3.1.10)", async () => {
  let inTransaction = 0;
  const two = (): string => {
    inTransaction += 1;
    return inTransaction > 2 ? "452 4.5.3 too many" : "250 2.1.5 ok";
  };
  const done = (): string => {
    inTransaction = 0;
    return "250 2.0.0 queued";
  };
  const played = await playOnce({
    dns: dns(MX1, MX2, TLSA1, TLSA2),
    recipients: ["a", "b", "c", "d", "e"],
    receivers: { mx1: { more: { replies: { RCPT: two, CONTENT: done } } }, mx2: "self-signed" },
  });
  assert.deepEqual(
    played.results.map(({ outcome, trace }) => `${outcome.kind} ${trace.host}`),
    new Array(5).fill("delivered mx1.example.org"),
  );
  assert.deepEqual(played.received, ["mx1:tls", "mx1:tls", "mx1:tls"]);
  assert.equal(played.peers.get("mx1")?.sessions.length, 1);
});

test("content that cannot be read at the second host: who is served already stays served", async () => {
  let reads = 0;
  async function* content(): AsyncGenerator<Buffer> {
    reads += 1;
    yield Buffer.from("Subject: test\r\n\r\n");
    if (reads > 1) throw new Error("disk");
  }
  const perRecipient = (line: string): string => (line.includes("<a@") ? "250 2.1.5 ok" : "450 4.2.1 later");
  const played = await playOnce({
    dns: dns(MX1, MX2, TLSA1, TLSA2),
    recipients: ["a", "b"],
    receivers: { mx1: { more: { replies: { RCPT: perRecipient } } }, mx2: "self-signed" },
    content,
  });
  assert.deepEqual(
    played.results.map(({ outcome }) => outcome.kind),
    ["delivered", "deferred"],
  );
  assert.deepEqual(played.received, ["mx1:tls"]);
  assert.match(String(played.troubles[0]), /disk/);
});
