import assert from "node:assert/strict";
import { test } from "node:test";
import { hangingListener } from "../../fake/hangingListener.ts";
import { NETWORK, PORT, playOnce, startWorld } from "./deliveryWorld.ts";

/** A host with several addresses, of which some hang or fail: one connection is used, and the host's policy binds whichever it is. */
const HANGS = `${NETWORK}201`;
const DANE = `example.org MX secure 10 mx1.example.org
  mx1.example.org A secure ${HANGS}
  mx1.example.org A secure mx1
  _PORT._tcp.mx1.example.org TLSA secure 3 1 1 `;

async function beside<T>(address: string, run: () => Promise<T>): Promise<T> {
  const hanging = await hangingListener(address, PORT);
  try {
    return await run();
  } finally {
    await hanging.close();
  }
}

test("the first address hangs: the message goes to the second, authenticated, over one connection", async () => {
  await beside(HANGS, async () => {
    const { results, received, peers, hosts } = await playOnce({ dns: `${DANE}own`, receivers: { mx1: "self-signed" } });
    assert.deepEqual(received, ["mx1:tls"]);
    assert.equal(results[0]?.outcome.kind, "delivered");
    assert.deepEqual([results[0]?.trace.dane, results[0]?.trace.address], ["authenticated", `${NETWORK}1`]);
    assert.equal(peers.get("mx1")?.sessions.length, 1);
    assert.equal(hosts.length, 1);
  });
});

test("the session is used again for the next message, though its address is not the first", async () => {
  await beside(HANGS, async () => {
    const world = await startWorld({ dns: `${DANE}own`, receivers: { mx1: "self-signed" } });
    try {
      await world.play();
      const { received, peers, results } = await world.play();
      assert.deepEqual(received, ["mx1:tls", "mx1:tls"]);
      assert.equal(results[0]?.trace.address, `${NETWORK}1`);
      assert.equal(peers.get("mx1")?.sessions.length, 1);
    } finally {
      await world.close();
    }
  });
});

test("the policy of the host holds for the second address too", async () => {
  await beside(HANGS, async () => {
    const { results, received } = await playOnce({ dns: `${DANE}other`, receivers: { mx1: "self-signed" }, connectSeconds: 6 });
    assert.deepEqual(received, []);
    assert.equal(results[0]?.outcome.kind, "deferred");
    assert.deepEqual([results[0]?.trace.dane, results[0]?.trace.address], ["mismatch", `${NETWORK}1`]);
  });
});

test("an address that fails after it was connected to is followed by the others", async () => {
  const { results, received } = await playOnce({
    dns: `example.org MX insecure 10 mx1.example.org
      mx1.example.org A insecure bad
      mx1.example.org A insecure good`,
    receivers: { bad: { more: { greeting: "421 4.3.2 busy" } }, good: "no-starttls" },
  });
  assert.deepEqual(received, ["good:clear"]);
  assert.equal(results[0]?.trace.address, `${NETWORK}2`);
});

test("nobody listens at any address: each is named", async () => {
  const { results } = await playOnce({
    dns: `example.org MX insecure 10 mx1.example.org
      mx1.example.org A insecure one
      mx1.example.org A insecure two`,
    receivers: { one: "closed", two: "closed" },
  });
  const [first] = results;
  assert.ok(first?.outcome.kind === "deferred");
  const refused = (n: number): string => `${NETWORK}${n} port ${PORT}: connection refused`;
  assert.equal(first.outcome.cause.text, `mx1.example.org was not reached: ${refused(1)}; ${refused(2)}`);
});

test("opportunistic TLS that fails: clear text goes to the address where it failed", async () => {
  const { results, received } = await playOnce({
    dns: `example.org MX insecure 10 mx1.example.org
      mx1.example.org A insecure one
      mx1.example.org A insecure two`,
    receivers: { one: "closed", two: { starttls: { broken: "garbage" } } },
  });
  assert.deepEqual(received, ["two:clear"]);
  assert.equal(results[0]?.trace.address, `${NETWORK}2`);
});
