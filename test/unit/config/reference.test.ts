import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Environment, variableName } from "../../../src/config/environment.ts";
import { type LoadResult, loadConfig } from "../../../src/config/load.ts";
import { effectiveFile, exampleFile, referenceTable } from "../../../src/config/reference.ts";
import { KEYED_SETTINGS } from "../../../src/config/schema.ts";

function load(yaml: string, environment: Environment = {}): LoadResult {
  return loadConfig({
    file: "relay.yaml",
    environment,
    hostname: "mx.example.org",
    readFile: (path) => {
      // The examples name files; of the token the content counts too.
      if (path.endsWith("/admin-token")) return { kind: "text", text: "x".repeat(40) };
      return path === "relay.yaml" || path.startsWith("/etc/dane-relay/") || path.startsWith("/etc/ssl/")
        ? { kind: "text", text: yaml }
        : { kind: "missing" };
    },
  });
}

function expectConfig(result: LoadResult): Extract<LoadResult, { kind: "config" }> {
  assert.equal(result.kind, "config", JSON.stringify(result));
  return result;
}

test("config/relay.yaml is what the table makes of itself", () => {
  const shipped = readFileSync(join(import.meta.dirname, "..", "..", "..", "config", "relay.yaml"), "utf8");
  assert.equal(shipped, exampleFile(), "run: npm run -s dane-relay -- config example > config/relay.yaml");
});

test("the shipped file changes nothing, and every line of it that is uncommented is valid", () => {
  const shipped = expectConfig(load(exampleFile()));
  assert.deepEqual(shipped.config, expectConfig(load("")).config);
  const uncommented = exampleFile().replaceAll(/^( *)#(?! )/gm, "$1");
  const result = expectConfig(load(uncommented));
  assert.deepEqual(
    result.inForce.filter((setting) => !setting.where.startsWith("relay.yaml:")),
    [],
    "every setting is in the file",
  );
});

test("the examples of lists, beside their empty default, are valid too", () => {
  for (const { key, setting } of KEYED_SETTINGS) {
    if (setting.example === undefined) continue;
    assert.equal(setting.type.parse(setting.example).kind, "value", key);
  }
});

test("reference: every key, once, with its doc", () => {
  const rows = referenceTable().trimEnd().split("\n").slice(2);
  assert.deepEqual(
    rows.map((row) => /^\| `([^`]+)` \|/.exec(row)?.[1]),
    KEYED_SETTINGS.map(({ key }) => key),
  );
  for (const row of rows) assert.equal(row.replaceAll("\\|", "").split("|").length, 6, row);
  for (const { key, setting } of KEYED_SETTINGS) assert.match(setting.doc, /^[A-Z].*\.$/, key);
});

test("environment names: one for each key, none of them another's", () => {
  const names = KEYED_SETTINGS.map(({ key }) => variableName(key));
  assert.equal(new Set(names).size, names.length);
  assert.ok(names.includes("DANE_RELAY_SUBMISSION_MAX_MESSAGE_BYTES"));
  assert.ok(names.includes("DANE_RELAY_RESOLVER_SHA1"));
});

test("print: read back, it is the same configuration; each value says where it is from", () => {
  const yaml =
    "delivery:\n  tlsPolicies: [{domain: a.example, level: may, expires: 2027-01-31, reason: 'a: # b'}]\nlog: {level: warn}";
  const environment = {
    DANE_RELAY_DELIVERY_PORT: "2500",
    DANE_RELAY_SUBMISSION_LISTEN: "[::1]:25,127.0.0.1:25",
    DANE_RELAY_DELIVERY_ALLOW_LOOPBACK: "true",
  };
  const first = expectConfig(load(yaml, environment));
  const printed = effectiveFile(first.inForce);
  assert.match(printed, /^ {2}port: 2500 # environment variable DANE_RELAY_DELIVERY_PORT$/m);
  assert.match(printed, /^ {2}allowLoopback: true # environment variable /m);
  assert.match(printed, /^ {2}level: warn # relay\.yaml:3$/m);
  assert.match(printed, /^hostname: mx\.example\.org # default: the machine's name$/m);
  assert.match(
    printed,
    /^ {4}#commandSeconds: # not set: each phase has the minimum of RFC 5321 §4\.5\.3\.2 \(DANE_RELAY_DELIVERY_TIMEOUTS_COMMAND_SECONDS\)$/m,
  );
  assert.deepEqual(expectConfig(load(printed)).config, first.config);
});

test("print: a password is not printed", () => {
  const yaml = "delivery: {routes: [{domain: '*', nextHop: '[h.example]', auth: {username: me, password: hush}}]}";
  const loaded = expectConfig(load(yaml));
  assert.equal(loaded.config.delivery.routes[0]?.auth?.password, "hush");
  assert.match(effectiveFile(loaded.inForce), /auth: \{username: "me", password: "\*\*\*"\}/);
});
