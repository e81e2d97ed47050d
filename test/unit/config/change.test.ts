import assert from "node:assert/strict";
import { test } from "node:test";
import { configChange } from "../../../src/config/change.ts";
import { type InForce, loadConfig } from "../../../src/config/load.ts";

const HEAD = "hostname: h.example\nresolver: {upstreams: [192.0.2.1]}\n";

function inForce(yaml: string): readonly InForce[] {
  const loaded = loadConfig({
    file: "relay.yaml",
    environment: {},
    hostname: "h.example",
    readFile: (path) => (path.startsWith("/etc/resolv") ? { kind: "missing" } : { kind: "text", text: HEAD + yaml }),
  });
  assert.equal(loaded.kind, "config", JSON.stringify(loaded));
  return loaded.kind === "config" ? loaded.inForce : [];
}

const BEFORE = "delivery: {tlsPolicies: [{domain: a.example, level: dane-only}]}";

const CHANGES: readonly {
  name: string;
  before?: string;
  after: string;
  live?: readonly string[];
  atRestart?: readonly string[];
}[] = [
  { name: "nothing", after: BEFORE },
  {
    name: "the same in other words",
    after: "delivery: {tlsPolicies: [{level: dane-only, domain: A.example.}], maxConnections: 200}",
  },
  {
    name: "what can change",
    after:
      "submission: {trustedNetworks: [10.0.0.0/8], maxRecipients: 200}\ndelivery: {routes: [{domain: '*', nextHop: h}], retry: {initialSeconds: 60}}\nlog: {level: warn, recipients: hash}",
    live: [
      "submission.trustedNetworks",
      "submission.maxRecipients",
      "delivery.tlsPolicies",
      "delivery.routes",
      "delivery.retry.initialSeconds",
      "log.level",
      "log.recipients",
    ],
  },
  {
    name: "what cannot",
    after: `submission: {listen: ['127.0.0.1:26']}\nspool: file:./other\nadmin: {listen: '127.0.0.1:1'}\nlog: {format: text}\n${BEFORE}`,
    atRestart: ["submission.listen", "spool", "admin.listen", "log.format"],
  },
  {
    name: "another certificate",
    before: "submission: {tls: {certificateFile: /a, keyFile: /b}}",
    after: "submission: {tls: {certificateFile: /c, keyFile: /d}}",
    live: ["submission.tls.certificateFile", "submission.tls.keyFile"],
  },
  {
    name: "TLS where there was none",
    after: `submission: {tls: {certificateFile: /c, keyFile: /d}}\n${BEFORE}`,
    atRestart: ["submission.tls.certificateFile", "submission.tls.keyFile"],
  },
  {
    name: "no TLS where there was some",
    before: "submission: {tls: {certificateFile: /a, keyFile: /b}}",
    after: "log: {level: info}",
    atRestart: ["submission.tls.certificateFile", "submission.tls.keyFile"],
  },
];

for (const { name, before = BEFORE, after, live = [], atRestart = [] } of CHANGES) {
  test(`change: ${name}`, () => {
    const change = configChange(inForce(before), inForce(after));
    assert.deepEqual({ live: change.live, atRestart: change.atRestart }, { live, atRestart });
    // What waits for a restart is told at every reload, what is in force not again.
    const again = configChange(change.inForce, inForce(after));
    assert.deepEqual({ live: again.live, atRestart: again.atRestart }, { live: [], atRestart });
  });
}

test("the configuration from now on: new where it can be, else as it was", () => {
  const { config } = configChange(inForce(BEFORE), inForce("log: {level: warn, format: text}\ndelivery: {maxConnections: 50}"));
  assert.deepEqual(config.log, { level: "warn", format: "json", recipients: "full" });
  assert.equal(config.delivery.maxConnections, 50);
  assert.deepEqual(config.delivery.tlsPolicies, []);
});
