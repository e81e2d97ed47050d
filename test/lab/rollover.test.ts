import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { createPrivateKey, createPublicKey } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { stringify } from "yaml";
import { presentTlsa } from "../../src/dane/tlsa.ts";
import { type KeyPair, type MadeCertificate, makeLeaf, tlsaFor } from "../fake/certificates.ts";
import { SmtpClient } from "../fake/smtpClient.ts";
import { type PeerScript, startPeer } from "../fake/smtpPeer.ts";
import { claimBlock } from "./addresses.ts";
import { type Daemon, startDaemon } from "./daemon.ts";
import { startDynamicZone } from "./knot.ts";

/**
 * Two hosts change their keys while mail flows to both: one by `tlsa rollover` against a real name server that takes dynamic updates, one as the studies
 * found it done: certificate first, record at once behind it.
 */
const ZONE = "rollover.lab";
const PORT = 2526;
const TTL_SECONDS = 3;
const BETWEEN_MESSAGES_MILLISECONDS = 100;
const PATIENCE_MILLISECONDS = 60_000;
const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");

type Host = { name: string; script: PeerScript; domain: string };
type DeliveryEvent = { domain: string; outcome: string; tls: string; dane: string; at: number };

function keyPair(pem: string): KeyPair {
  const privateKey = createPrivateKey(pem);
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

function identity({ certificatePem, keyPem }: MadeCertificate): { accept: { key: string; cert: string } } {
  return { accept: { key: keyPem, cert: certificatePem } };
}

describe("rollovers while mail flows", () => {
  const undo: (() => Promise<unknown> | unknown)[] = [];
  let directory: string;
  let submission: string;
  let keyFile: string;
  let nameServer: string;
  let relay: Daemon;
  let flowing: Promise<void>;
  let flow: "on" | "off" = "on";
  let double: Host;
  let naive: Host;
  let first: MadeCertificate;

  before(async () => {
    const block = await claimBlock();
    undo.push(() => block.release());
    directory = await mkdtemp(join(tmpdir(), "dane-relay-rollover-"));
    undo.push(() => rm(directory, { recursive: true, force: true }));
    nameServer = block.address(4);
    first = makeLeaf({ commonName: `mx1.${ZONE}` });
    // A connection for each message: a kept one would go on with the certificate of before.
    const replies = { CONTENT: { reply: "250 2.0.0 queued", afterwards: "close" } } as const;
    const script = (place: number): PeerScript => ({
      address: block.address(place),
      port: PORT,
      starttls: identity(first),
      replies,
    });
    double = { name: "mx1", domain: `double.${ZONE}`, script: script(21) };
    naive = { name: "mx2", domain: `naive.${ZONE}`, script: script(22) };
    for (const host of [double, naive]) {
      const peer = await startPeer(host.script);
      undo.push(() => peer.close());
    }
    const record = presentTlsa(tlsaFor(first, 3, 1, 1));
    const zone = await startDynamicZone({
      directory,
      address: nameServer,
      zone: ZONE,
      records: [double, naive].flatMap(({ name, domain, script: { address } }) => [
        `${domain}. MX 10 ${name}`,
        `${name} A ${address}`,
        `_${PORT}._tcp.${name} ${TTL_SECONDS} TLSA ${record}`,
      ]),
    });
    undo.push(() => zone.daemon.stop());
    keyFile = zone.keyFile;
    await writeFile(join(directory, "anchor"), zone.trustAnchor);
    submission = `${block.address(1)}:2525`;
    const admin = `${block.address(1)}:9025`;
    await writeFile(
      join(directory, "relay.yaml"),
      stringify({
        hostname: "relay.lab",
        submission: { listen: [submission] },
        admin: { listen: admin },
        spool: `file:${join(directory, "spool")}`,
        resolver: { mode: "forward", upstreams: [nameServer], trustAnchorFile: join(directory, "anchor") },
        mtaSts: { enabled: false },
        delivery: { port: PORT, allowLoopback: true, retry: { initialSeconds: 1, maximumSeconds: 2 } },
      }),
    );
    relay = await startDaemon({
      name: "relay",
      command: process.execPath,
      arguments: [MAIN, "serve", "--config", join(directory, "relay.yaml")],
      logFile: join(directory, "relay.log"),
      ready: async () => (await fetch(`http://${admin}/readyz`).catch(() => undefined))?.ok === true,
    });
    undo.push(() => relay.stop());
    flowing = mailFlow();
  });

  after(async () => {
    flow = "off";
    await flowing;
    for (const step of undo.reverse()) await step();
  });

  /** A message to each host, again and again. */
  async function mailFlow(): Promise<void> {
    const client = await SmtpClient.open(submission);
    for (let number = 0; flow === "on" && !client.ended; number += 1) {
      for (const { domain } of [double, naive]) {
        await client.begin("a@sender.lab", `user@${domain}`);
        client.write(`Subject: ${number}\r\n\r\nx\r\n.\r\n`);
        assert.match(await client.reply(), /^250 /);
      }
      await delay(BETWEEN_MESSAGES_MILLISECONDS);
    }
  }

  function deliveries(domain: string): readonly DeliveryEvent[] {
    return relay
      .log()
      .split("\n")
      .filter((line) => line.includes('"event":"delivery"'))
      .map((line) => JSON.parse(line) as DeliveryEvent)
      .filter((event) => event.domain === domain);
  }

  async function delivered(domain: string, more: number): Promise<void> {
    const count = () => deliveries(domain).filter(({ outcome }) => outcome === "delivered").length;
    const wanted = count() + more;
    const deadline = performance.now() + PATIENCE_MILLISECONDS;
    while (count() < wanted) {
      assert.ok(performance.now() < deadline, relay.log().slice(-3000));
      await delay(50);
    }
  }

  function rollover(step: string, ...more: readonly string[]): Promise<{ status: number; out: string; err: string }> {
    const argv = [
      MAIN,
      "tlsa",
      "rollover",
      step,
      "--dir",
      join(directory, "mx1"),
      "--config",
      join(directory, "relay.yaml"),
      ...more,
    ];
    return new Promise((resolve) => {
      execFile(process.execPath, argv, { timeout: PATIENCE_MILLISECONDS }, (error, out, err) => {
        resolve({ status: error === null ? 0 : Number(error.code ?? -1), out, err });
      });
    });
  }

  const update = (): readonly string[] => ["--update", "auto", "--tsig", keyFile, "--ttl", `${TTL_SECONDS}`];

  test("before: mail to both hosts is authenticated", async () => {
    for (const { domain } of [double, naive]) await delivered(domain, 3);
  });

  test("the double-TLSA scheme: each step says what comes next, and refuses while it is too early", async () => {
    await writeFile(join(directory, "first.key"), first.keyPem);
    const begun = await rollover("init", "--host", `mx1.${ZONE}`, "--port", `${PORT}`, "--key", join(directory, "first.key"));
    assert.equal(begun.status, 0, begun.err);
    const early = await rollover("switch");
    assert.equal(early.status, 1);
    assert.match(early.err, /not safe now: the standby key's record is missing at ns\.rollover\.lab/);
    const published = await rollover("publish", ...update());
    assert.deepEqual([published.status, published.err], [0, ""]);
    const tooSoon = await rollover("switch");
    assert.equal(tooSoon.status, 1);
    assert.match(tooSoon.err, /not safe now: caches may still hold .*safe from 20/);
    const switched = await rollover("switch", "--wait");
    assert.equal(switched.status, 0, switched.err);
    const retiredTooSoon = await rollover("retire", ...update());
    assert.equal(retiredTooSoon.status, 1);
    assert.match(retiredTooSoon.err, /shows the retired key, not the active key: install its certificate there/);
    const key = await readFile(join(directory, "mx1", "active.key"), "utf8");
    double.script.starttls = identity(makeLeaf({ commonName: `mx1.${ZONE}`, keys: keyPair(key) }));
    await delivered(double.domain, 3);
    const retired = await rollover("retire", ...update());
    assert.equal(retired.status, 0, retired.err);
    // The old record leaves the caches.
    await delay(2 * TTL_SECONDS * 1000);
    await delivered(double.domain, 3);
    const status = await rollover("status", "--wait");
    assert.match(status.out, /active .*published everywhere since .*; shown by 127\./);
    assert.match(status.out, /2 TLSA records, TTL 3/);
    assert.equal(status.status, 0, status.out);
    assert.deepEqual(
      deliveries(double.domain).filter((event) => event.outcome !== "delivered" || event.dane !== "authenticated"),
      [],
    );
  });

  test("the TTL that is published now counts, also where the lines that take its place are only printed", async () => {
    const again = ["--dir", join(directory, "again")];
    const begun = await rollover("init", "--host", `mx2.${ZONE}`, "--port", `${PORT}`, ...again);
    assert.equal(begun.status, 0, begun.err);
    const printed = await rollover("publish", "--ttl", "1", ...again);
    assert.match(printed.out, / 1 IN TLSA 3 1 1 /, printed.err);
    const { largestTtlSeconds } = JSON.parse(await readFile(join(directory, "again", "rollover.json"), "utf8"));
    assert.equal(largestTtlSeconds, TTL_SECONDS);
  });

  test("certbot's hook: the same key needs nothing; a key that nobody announced waits for its record", async () => {
    const lineage = await mkdtemp(join(directory, "lineage-"));
    const hook = async (keyPem: string, ...more: readonly string[]) => {
      await writeFile(join(lineage, "privkey.pem"), keyPem);
      process.env.RENEWED_LINEAGE = lineage;
      try {
        return await rollover("hook", ...update(), ...more);
      } finally {
        delete process.env.RENEWED_LINEAGE;
      }
    };
    const same = await hook(await readFile(join(directory, "mx1", "active.key"), "utf8"));
    assert.deepEqual([same.status, same.out], [0, "the certificate was renewed with the active key: its record stays true\n"]);
    const renewed = makeLeaf({ commonName: `mx1.${ZONE}` });
    const early = await hook(renewed.keyPem);
    assert.equal(early.status, 1);
    assert.match(early.out, /a key that was not announced.*\nthe zone is updated/);
    assert.match(early.err, /not safe now: /);
    const waited = await hook(renewed.keyPem, "--wait");
    assert.equal(waited.status, 0, waited.err);
    double.script.starttls = identity(renewed);
    await delivered(double.domain, 3);
    const retired = await rollover("retire", ...update());
    assert.equal(retired.status, 0, retired.err);
    await delivered(double.domain, 3);
    assert.deepEqual(
      deliveries(double.domain).filter((event) => event.outcome !== "delivered" || event.dane !== "authenticated"),
      [],
    );
  });

  test("the naive rollover fails until the old record has left the caches", async () => {
    const next = makeLeaf({ commonName: `mx2.${ZONE}` });
    const owner = `_${PORT}._tcp.mx2.${ZONE}.`;
    // A fresh TTL in the relay's cache: the delivery before the change is the last look at the old record.
    await delivered(naive.domain, 2);
    naive.script.starttls = { ...identity(next) };
    execFileSync("nsupdate", ["-k", keyFile], {
      input: `server ${nameServer}\nzone ${ZONE}\nupdate delete ${owner} TLSA\nupdate add ${owner} ${TTL_SECONDS} TLSA ${presentTlsa(tlsaFor(next, 3, 1, 1))}\nsend\n`,
    });
    const mismatches = () => deliveries(naive.domain).filter(({ tls }) => tls === "!dane:nocertmatch");
    const deadline = performance.now() + PATIENCE_MILLISECONDS;
    while (mismatches().length === 0 && performance.now() < deadline) await delay(50);
    assert.ok(mismatches().length > 0, "no delivery failed");
    const refused = mismatches().length;
    await delivered(naive.domain, 5);
    assert.ok(refused > 0);
  });

  test("without the key the zone can't be changed, and that is said", async () => {
    await writeFile(join(directory, "other.key"), (await readFile(keyFile, "utf8")).replace(/secret "[^"]*"/, 'secret "AAAA"'));
    const wrong = await rollover("publish", "--update", "auto", "--tsig", join(directory, "other.key"));
    assert.equal(wrong.status, 1);
    assert.match(wrong.err, /the update was not made: .*NOTAUTH/);
    const unsigned = await rollover("publish", "--update", "auto");
    assert.equal(unsigned.status, 1);
    assert.match(unsigned.err, /the update was not made: /);
  });
});
