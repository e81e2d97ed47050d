import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { playOnce, startWorld } from "./deliveryWorld.ts";

/** What deliveries tell a history of hosts. */

const SIGNED = `
  example.org MX secure 10 mx.example.org
  mx.example.org A secure mx
`;

describe("what a delivery saw of a host", () => {
  test("the chain, the records with their TTL, and the verdict; once a connection", async () => {
    const world = await startWorld({
      dns: `${SIGNED}_PORT._tcp.mx.example.org TLSA secure 3 1 1 own`,
      receivers: { mx: "self-signed" },
    });
    try {
      await world.play();
      const { sights } = await world.play();
      assert.equal(sights.length, 1);
      const [sight] = sights;
      assert.equal(sight?.host, "mx.example.org");
      assert.equal(sight?.address, world.addressOf("mx"));
      assert.equal(sight?.verdict, "authenticated");
      assert.equal(sight?.chain?.length, 1);
      assert.equal(sight?.tlsa.status, "secure");
      assert.equal(sight?.tlsa.ttlSeconds, 60);
      assert.deepEqual(
        sight?.tlsa.records.map(({ usage, selector, matchingType }) => [usage, selector, matchingType]),
        [[3, 1, 1]],
      );
    } finally {
      await world.close();
    }
  });

  const ROWS = [
    { shows: "a mismatch, with the chain", tlsa: "TLSA secure 3 1 1 other", verdict: "mismatch", status: "secure", chain: 1 },
    { shows: "no usable record", tlsa: "TLSA secure 1 1 1 own", verdict: "unusable", status: "secure", chain: 1 },
    { shows: "no TLSA records", tlsa: "TLSA secure nodata", verdict: "no-tlsa", status: "absent", chain: 1 },
  ] as const;
  for (const { shows, tlsa, verdict, status, chain } of ROWS)
    test(shows, async () => {
      const { sights } = await playOnce({ dns: `${SIGNED}_PORT._tcp.mx.example.org ${tlsa}`, receivers: { mx: "self-signed" } });
      assert.deepEqual(
        sights.map((one) => [one.verdict, one.tlsa.status, one.chain?.length]),
        [[verdict, status, chain]],
      );
    });

  test("a host that is not there: seen, without a chain", async () => {
    const dns = `${SIGNED}_PORT._tcp.mx.example.org TLSA secure 3 1 1 own`;
    const { sights } = await playOnce({ dns, receivers: { mx: "closed" } });
    assert.deepEqual(
      sights.map((one) => [one.verdict, one.tlsa.status, one.chain]),
      [["not-tried", "secure", undefined]],
    );
  });

  test("an exception: nobody looked for TLSA records, so nothing is told", async () => {
    const { sights } = await playOnce({
      dns: SIGNED,
      receivers: { mx: "self-signed" },
      demand: { level: "may", levelFrom: "operator" },
    });
    assert.deepEqual(sights, []);
  });
});
