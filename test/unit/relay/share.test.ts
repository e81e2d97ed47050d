import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { loadConfig } from "../../../src/config/load.ts";
import type { Config } from "../../../src/config/schema.ts";
import { shareOf } from "../../../src/relay/share.ts";

function configOf(yaml: string): Config {
  const loaded = loadConfig({
    file: "relay.yaml",
    environment: {},
    readFile: (path) => (path === "relay.yaml" ? { kind: "text", text: yaml } : { kind: "missing" }),
    hostname: "mx.example.org",
  });
  assert.equal(loaded.kind, "config", JSON.stringify(loaded));
  return loaded.config;
}

const YAML = `
workers: 3
spool: file:/var/spool/relay
submission: { maxConnections: 1000, maxConnectionsPerClient: 50, rate: { messagesPerMinute: 10 } }
delivery: { maxConnections: 200, maxConnectionsPerDestination: 20, rates: [{ domain: example.org, messagesPerMinute: 1 }] }
tlsrpt: { contact: tls@example.org }
resolver: { mode: forward, upstreams: ["127.0.0.1:9"] }
`;

test("a worker has its own part of the spool, and of each limit a part rounded up", () => {
  const config = configOf(YAML);
  const share = shareOf(config, { shard: "shard-2", of: 3, role: "accepts" });
  assert.deepEqual(share.spool, { kind: "file", directory: join("/var/spool/relay", "shard-2") });
  assert.equal(share.stateDirectory, undefined);
  const { submission, delivery } = share;
  assert.deepEqual(
    [
      submission.maxConnections,
      submission.maxConnectionsPerClient,
      submission.rate.messagesPerMinute,
      submission.rate.recipientsPerMinute,
    ],
    [334, 17, 4, undefined],
  );
  assert.deepEqual([delivery.maxConnections, delivery.maxConnectionsPerDestination], [67, 7]);
  assert.deepEqual(delivery.rates, [{ domain: "example.org", messagesPerMinute: 1 / 3 }]);
  assert.equal(share.tlsrpt.contact, "tls@example.org");
  assert.deepEqual(share.submission.listen, config.submission.listen);
});

test("who only empties a shard sends no reports of its own", () => {
  const config = configOf(YAML);
  assert.equal(shareOf(config, { shard: "shard-3", of: 3, role: "empties" }).tlsrpt.contact, undefined);
});

test("a shared spool stays one; what is no mail is beside each worker", () => {
  const config = configOf(
    "workers: 2\nspool: postgres://u@h/db\nstateDirectory: /state\nresolver: { mode: forward, upstreams: ['127.0.0.1:9'] }\n",
  );
  const share = shareOf(config, { shard: "shard-1", of: 2, role: "accepts" });
  assert.deepEqual(share.spool, config.spool);
  assert.equal(share.stateDirectory, join("/state", "shard-1"));
  assert.deepEqual([share.delivery.maxConnections, share.delivery.maxConnectionsPerDestination], [100, 20]);
});

test("one worker has the whole", () => {
  const config = configOf(YAML);
  assert.deepEqual(shareOf(config, { shard: ".", of: 1, role: "accepts" }), config);
});
