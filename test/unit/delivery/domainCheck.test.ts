import assert from "node:assert/strict";
import { test } from "node:test";
import { CLEAR, dns, MX1, MX2, ONE, TLSA1, TLSA2, TWO } from "./attemptRows.ts";
import { startWorld, type World } from "./deliveryWorld.ts";

/** What the operator hears of an exception: would mail go out without it? The world's demand is the exception, and must not count. */
const EXCEPTION = { demand: { level: "may", levelFrom: "operator" } } as const;

const ROWS: readonly [name: string, world: World, kind: string, text: RegExp][] = [
  ["DANE holds", { dns: dns(MX1, TLSA1), receivers: ONE }, "met", /^mx1\.example\.org: tls dane, dane authenticated$/],
  ["no DANE at all", { dns: MX1, receivers: CLEAR }, "met", /^mx1\.example\.org: tls may:none, dane no-tlsa$/],
  ["mismatch", { dns: dns(MX1, TLSA1.replace("own", "other")), receivers: ONE }, "unmet", /its operator has to publish/],
  ["no STARTTLS", { dns: dns(MX1, TLSA1), receivers: CLEAR }, "unmet", /offers no STARTTLS, which its TLSA records demand/],
  [
    "TLSA bogus",
    { dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA bogus"), receivers: ONE },
    "unmet",
    /^mx1\.example\.org is not used/,
  ],
  ["MX bogus", { dns: "example.org MX bogus", receivers: ONE }, "unmet", /example\.org/],
  [
    "addresses not known",
    { dns: "example.org MX secure 10 mx1.example.org\nmx1.example.org A fail\nmx1.example.org AAAA fail" },
    "unmet",
    /mx1/,
  ],
  [
    "one host of two is enough",
    { dns: dns(MX1, MX2, TLSA1.replace("own", "other"), TLSA2), receivers: TWO },
    "met",
    /^mx2\.example\.org: tls dane, dane authenticated$/,
  ],
  [
    "nobody answers",
    { dns: dns(MX1, TLSA1), receivers: { mx1: "closed" } },
    "undecided",
    /was not reached: .*connection refused/,
  ],
  ["no such domain", { dns: "example.org MX secure nxdomain" }, "undecided", /does not exist/],
  ["no address", { dns: "example.org MX secure 10 mx1.example.org" }, "undecided", /has an address/],
  [
    "MTA-STS is not met",
    { dns: MX1, receivers: ONE, sts: { "example.org": "enforce mx1.example.org" } },
    "unmet",
    /the MTA-STS policy of example\.org demands/,
  ],
];

for (const [name, world, kind, text] of ROWS)
  test(`${name}: ${kind}`, async () => {
    const started = await startWorld({ ...world, ...EXCEPTION });
    try {
      const check = await started.check();
      assert.equal(check.kind, kind, check.text);
      assert.match(check.text, text);
      for (const peer of started.peers.values())
        for (const { commands } of peer.sessions)
          assert.deepEqual(
            commands.filter(({ line }) => line.startsWith("MAIL")),
            [],
            "a message was begun",
          );
    } finally {
      await started.close();
    }
  });
