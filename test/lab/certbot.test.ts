import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { stringify } from "yaml";
import { makeLeaf } from "../fake/certificates.ts";
import { type PeerScript, startPeer } from "../fake/smtpPeer.ts";
import { claimBlock } from "./addresses.ts";
import { startDaemon } from "./daemon.ts";
import { type DynamicZone, startDynamicZone } from "./knot.ts";

/**
 * certbot renews the certificate of a mail host at an ACME server (Pebble, RFC 8555), with `tlsa rollover hook` as its deploy hook: with the key kept, and
 * with a new one.
 */
const ZONE = "renewal.lab";
const HOST = `mx.${ZONE}`;
const PORT = 2526;
const TTL_SECONDS = 2;
const ACME_PORT = 14_000;
const COMMAND_MILLISECONDS = 120_000;
const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");

type Ended = { status: number; out: string };

function run(command: string, argv: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(command, [...argv], { timeout: COMMAND_MILLISECONDS }, (error, out, err) => {
      resolve({ status: error === null ? 0 : Number(error.code ?? -1), out: `${out}${err}` });
    });
  });
}

function listens(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

describe("renewals by certbot", () => {
  const undo: (() => Promise<unknown>)[] = [];
  let directory: string;
  let acme: string;
  let challenge: string;
  let zone: DynamicZone;
  let host: PeerScript;

  before(async () => {
    const block = await claimBlock();
    undo.push(() => block.release());
    directory = await mkdtemp(join(tmpdir(), "dane-relay-certbot-"));
    undo.push(() => rm(directory, { recursive: true, force: true }));
    host = { address: block.address(21), port: PORT };
    const peer = await startPeer(host);
    undo.push(() => peer.close());
    zone = await startDynamicZone({
      directory,
      address: block.address(4),
      zone: ZONE,
      records: [`mx A ${block.address(21)}`],
    });
    undo.push(() => zone.daemon.stop());
    await writeFile(join(directory, "anchor"), zone.trustAnchor);
    await writeFile(
      join(directory, "relay.yaml"),
      stringify({
        hostname: "relay.lab",
        spool: `file:${join(directory, "spool")}`,
        resolver: { mode: "forward", upstreams: [block.address(4)], trustAnchorFile: join(directory, "anchor") },
        delivery: { port: PORT, allowLoopback: true },
      }),
    );
    acme = `https://${block.address(2)}:${ACME_PORT}/dir`;
    challenge = block.address(3);
    await startPebble(block.address(2));
  });

  after(async () => {
    for (const step of undo.reverse()) await step();
  });

  /** An ACME server that finds every challenge fulfilled. */
  async function startPebble(address: string): Promise<void> {
    const identity = makeLeaf({ commonName: address });
    await writeFile(join(directory, "acme.pem"), identity.certificatePem);
    await writeFile(join(directory, "acme.key"), identity.keyPem);
    const pebble = {
      listenAddress: `${address}:${ACME_PORT}`,
      managementListenAddress: `${address}:${ACME_PORT + 1}`,
      certificate: join(directory, "acme.pem"),
      privateKey: join(directory, "acme.key"),
      httpPort: 5002,
      tlsPort: 5001,
    };
    await writeFile(join(directory, "pebble.json"), JSON.stringify({ pebble }));
    const daemon = await startDaemon({
      name: "pebble",
      command: "/usr/bin/pebble",
      arguments: ["-config", join(directory, "pebble.json")],
      logFile: join(directory, "pebble.log"),
      environment: { ...process.env, PEBBLE_VA_ALWAYS_VALID: "1", PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "0" },
      ready: () => listens(address, ACME_PORT),
    });
    undo.push(() => daemon.stop());
  }

  function certbot(...argv: readonly string[]): Promise<Ended> {
    const places = ["config", "work", "logs"].flatMap((place) => [`--${place}-dir`, join(directory, `certbot-${place}`)]);
    return run("certbot", [...argv, ...places, "--non-interactive", "--no-verify-ssl", "--server", acme]);
  }

  const lineage = (file: string): string => join(directory, "certbot-config", "live", HOST, file);

  function rollover(step: string, ...more: readonly string[]): Promise<Ended> {
    const at = ["--dir", join(directory, "rollover"), "--config", join(directory, "relay.yaml")];
    return run(process.execPath, [MAIN, "tlsa", "rollover", step, ...at, ...more]);
  }

  const update = (): readonly string[] => ["--update", "auto", "--tsig", zone.keyFile, "--ttl", `${TTL_SECONDS}`];

  /** What an administrator would write behind --deploy-hook. */
  async function hookScript(): Promise<string> {
    const file = join(directory, "hook.sh");
    const words = [process.execPath, MAIN, "tlsa", "rollover", "hook", "--dir", join(directory, "rollover"), "--wait"];
    const command = [...words, "--config", join(directory, "relay.yaml"), ...update()].map((word) => `'${word}'`).join(" ");
    await writeFile(
      file,
      `#!/bin/sh\n${command} > '${join(directory, "hook.out")}' 2>&1 && echo deploy >> '${join(directory, "hook.out")}'\n`,
    );
    await chmod(file, 0o755);
    return file;
  }

  async function install(): Promise<void> {
    host.starttls = {
      accept: { cert: await readFile(lineage("fullchain.pem"), "utf8"), key: await readFile(lineage("privkey.pem"), "utf8") },
    };
  }

  test("the first certificate, and its rollover begins with the key in use", async () => {
    const issued = await certbot(
      ...["certonly", "--standalone", "--http-01-address", challenge, "--http-01-port", "5002", "-d", HOST],
      ...["--register-unsafely-without-email", "--agree-tos", "--key-type", "ecdsa"],
    );
    assert.equal(issued.status, 0, issued.out);
    await install();
    const begun = await rollover("init", "--host", HOST, "--port", `${PORT}`, "--key", lineage("privkey.pem"));
    assert.equal(begun.status, 0, begun.out);
    const published = await rollover("publish", ...update());
    assert.equal(published.status, 0, published.out);
  });

  test("a renewal that keeps the key needs nothing", async () => {
    const renewed = await certbot(
      "renew",
      "--force-renewal",
      "--no-random-sleep-on-renew",
      "--reuse-key",
      "--deploy-hook",
      await hookScript(),
    );
    assert.equal(renewed.status, 0, renewed.out);
    assert.equal(
      await readFile(join(directory, "hook.out"), "utf8"),
      "the certificate was renewed with the active key: its record stays true\ndeploy\n",
    );
  });

  test("a renewal with a new key waits in the hook until its record is in every cache; then it may be deployed, and the old one goes", async () => {
    const before = await readFile(lineage("privkey.pem"), "utf8");
    const renewed = await certbot(
      "renew",
      "--force-renewal",
      "--no-random-sleep-on-renew",
      "--new-key",
      "--deploy-hook",
      await hookScript(),
    );
    assert.equal(renewed.status, 0, renewed.out);
    assert.notEqual(await readFile(lineage("privkey.pem"), "utf8"), before);
    const said = await readFile(join(directory, "hook.out"), "utf8");
    assert.match(
      said,
      /a key that was not announced.*the zone is updated.*waiting: caches may still hold.*is now the key to show.*deploy\n$/s,
    );
    const early = await rollover("retire", ...update());
    assert.match(early.out, /shows the retired key, not the active key/);
    await install();
    const retired = await rollover("retire", ...update());
    assert.equal(retired.status, 0, retired.out);
    const status = await rollover("status", "--wait");
    assert.match(status.out, /active .*; shown by 127\./);
    assert.equal(status.status, 0, status.out);
  });
});
