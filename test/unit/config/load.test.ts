import assert from "node:assert/strict";
import { test } from "node:test";
import type { Environment } from "../../../src/config/environment.ts";
import { errorLine, type LoadResult, loadConfig } from "../../../src/config/load.ts";
import type { Config } from "../../../src/config/schema.ts";

/** Loads `yaml` as relay.yaml, among `files` (path -> text). */
function load(yaml: string | undefined, environment: Environment = {}, files: Readonly<Record<string, string>> = {}): LoadResult {
  const all = new Map(Object.entries({ "/etc/resolv.conf": "nameserver 192.0.2.53\n", ...files }));
  if (yaml !== undefined) all.set("relay.yaml", yaml);
  return loadConfig({
    ...(yaml === undefined ? {} : { file: "relay.yaml" }),
    environment,
    hostname: "mx.example.org",
    readFile: (path) => {
      const text = all.get(path);
      return text === undefined ? { kind: "missing" } : { kind: "text", text };
    },
  });
}

function configOf(result: LoadResult): Config {
  assert.equal(result.kind, "config", result.kind === "invalid" ? result.errors.map(errorLine).join("\n") : "");
  return result.config;
}

function errorsOf(result: LoadResult): readonly string[] {
  assert.equal(result.kind, "invalid");
  return result.errors.map(errorLine);
}

test("defaults: those of design.md §4", () => {
  const config = configOf(load(undefined));
  assert.deepEqual(config, {
    hostname: "mx.example.org",
    submission: {
      listen: [{ address: "127.0.0.1", port: 2525 }],
      tls: { certificateFile: undefined, keyFile: undefined, listen: [], clientCaFile: undefined, clientNames: [] },
      trustedNetworks: [
        { address: "127.0.0.0", prefixLength: 8, family: 4 },
        { address: "::1", prefixLength: 128, family: 6 },
      ],
      maxMessageBytes: 26_214_400,
      maxRecipients: 1000,
      maxConnections: 1000,
      maxConnectionsPerClient: undefined,
      usersFile: undefined,
      authWithoutTls: "never",
      proxyProtocolNetworks: [],
      senderRewrites: [],
      rate: { messagesPerMinute: undefined, recipientsPerMinute: undefined },
    },
    spool: { kind: "file", directory: "./spool" },
    stateDirectory: undefined,
    postgres: { passwordFile: undefined, maxConnections: 10, leaseSeconds: 30 },
    workers: 1,
    resolver: {
      mode: "auto",
      upstreams: [{ address: "192.0.2.53", port: 53 }],
      trustAnchorFile: undefined,
      rootHintsFile: undefined,
      sha1: "insecure",
      forwardZones: [],
      insecureZones: [],
      nsec3Iterations: { insecureAbove: 100, bogusAbove: 500 },
      timeoutSeconds: 10,
      probe: { good: undefined, bad: undefined },
    },
    delivery: {
      port: 25,
      insecureMx: "dane",
      allowLoopback: false,
      sourceAddresses: [],
      tlsPolicies: [],
      routes: [],
      tlsRequiredNo: "honour",
      opportunisticTlsVersion: "TLSv1",
      maxConnections: 200,
      maxConnectionsPerDestination: 20,
      rates: [],
      drain: "transactions",
      drainSeconds: 20,
      retry: { initialSeconds: 300, maximumSeconds: 14_400, lifetimeHours: 120, delayWarningHours: 4 },
      timeouts: { connectSeconds: 30, commandSeconds: undefined },
    },
    tlsrpt: { contact: undefined, organization: undefined },
    dkim: { domain: undefined, selector: undefined, keyFile: undefined, sign: [] },
    mtaSts: { enabled: true, caFile: undefined },
    history: { days: 400 },
    admin: { listen: { address: "127.0.0.1", port: 9025 }, tokenFile: undefined },
    log: { level: "info", format: "json", recipients: "full" },
  });
});

test("file: every kind of value is read", () => {
  const config = configOf(
    load(
      [
        "hostname: Relay.Example.ORG.",
        "submission:",
        "  listen: ['0.0.0.0:25', '[2001:db8::1]:2525']",
        "  trustedNetworks: [10.0.0.0/8, 192.0.2.7, 'FD00::/8']",
        "resolver:",
        "  upstreams: [192.0.2.1, '192.0.2.2:5353', '[2001:db8::53]:5300', '2001:db8::54', 'tls://192.0.2.3#Dns.Example', 'tls://[2001:db8::5]:8853#d']",
        "  insecureZones: [bücher.example, '_x.example.']",
        "  forwardZones: [{zone: cluster.local, upstreams: [10.96.0.10]}, {zone: ., upstreams: [192.0.2.9]}]",
        "delivery:",
        "  sourceAddresses: [192.0.2.10, '2001:DB8::10']",
        "  tlsPolicies:",
        "    - {domain: .example.net, level: may, reason: stale, expires: 2027-01-31}",
        "    - {domain: example.net, level: none, expires: '2027-01-31T12:00:00+01:00'}",
        "    - {domain: example.org, level: dane-only}",
        "  routes:",
        "    - {domain: example.com, nextHop: Smart.example:587}",
        "    - {domain: .example.com, nextHop: '[mx.example]', tls: implicit}",
        "    - {domain: '*', nextHop: '[192.0.2.1]:2525'}",
        "    - {domain: v6.example, nextHop: '[IPv6:2001:DB8::1]'}",
        "    - {domain: hub.example, nextHop: '[hub.example]:587', auth: {username: u, password: ' p '}}",
      ].join("\n"),
    ),
  );
  assert.equal(config.hostname, "relay.example.org");
  assert.deepEqual(config.submission.listen, [
    { address: "0.0.0.0", port: 25 },
    { address: "2001:db8::1", port: 2525 },
  ]);
  assert.deepEqual(config.submission.trustedNetworks, [
    { address: "10.0.0.0", prefixLength: 8, family: 4 },
    { address: "192.0.2.7", prefixLength: 32, family: 4 },
    { address: "fd00::", prefixLength: 8, family: 6 },
  ]);
  assert.deepEqual(config.resolver.upstreams, [
    { address: "192.0.2.1", port: 53 },
    { address: "192.0.2.2", port: 5353 },
    { address: "2001:db8::53", port: 5300 },
    { address: "2001:db8::54", port: 53 },
    { address: "192.0.2.3", port: 853, tls: { name: "dns.example" } },
    { address: "2001:db8::5", port: 8853, tls: { name: "d" } },
  ]);
  assert.deepEqual(config.resolver.insecureZones, ["xn--bcher-kva.example", "_x.example"]);
  assert.deepEqual(config.resolver.forwardZones, [
    { zone: "cluster.local", upstreams: [{ address: "10.96.0.10", port: 53 }] },
    { zone: ".", upstreams: [{ address: "192.0.2.9", port: 53 }] },
  ]);
  assert.deepEqual(config.delivery.sourceAddresses, ["192.0.2.10", "2001:db8::10"]);
  assert.deepEqual(config.delivery.tlsPolicies, [
    { domain: ".example.net", level: "may", reason: "stale", expiresAt: Date.UTC(2027, 0, 31) },
    { domain: "example.net", level: "none", expiresAt: Date.UTC(2027, 0, 31, 11) },
    { domain: "example.org", level: "dane-only" },
  ]);
  assert.deepEqual(config.delivery.routes, [
    { domain: "example.com", nextHop: "smart.example:587", tls: "starttls" },
    { domain: ".example.com", nextHop: "[mx.example]", tls: "implicit" },
    { domain: "*", nextHop: "[192.0.2.1]:2525", tls: "starttls" },
    { domain: "v6.example", nextHop: "[2001:db8::1]", tls: "starttls" },
    { domain: "hub.example", nextHop: "[hub.example]:587", tls: "starttls", auth: { username: "u", password: " p " } },
  ]);
});

const BAD: readonly { name: string; yaml: string; environment?: Environment; errors: readonly string[] }[] = [
  {
    name: "not YAML",
    yaml: "submission: [",
    errors: ["relay.yaml:1: is not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]"],
  },
  {
    name: "the same key twice",
    yaml: "spool: file:a\nspool: file:b",
    errors: ["relay.yaml:2: is not valid YAML: Map keys must be unique"],
  },
  {
    name: "two documents",
    yaml: "spool: file:a\n---\nspool: file:b",
    errors: ["relay.yaml:2: is not valid YAML: Source contains multiple documents; please use YAML.parseAllDocuments()"],
  },
  {
    name: "aliases",
    yaml: "submission:\n  listen: &a ['127.0.0.1:1']\nspool: *a",
    errors: ["relay.yaml:3: YAML aliases (*a) are not supported"],
  },
  { name: "no settings", yaml: "- a", errors: ["relay.yaml:1: must hold settings, as key: value"] },
  {
    name: "a section that is a value",
    yaml: "\nresolver: auto",
    errors: ["relay.yaml:2: resolver: is a section: it must hold settings, as key: value"],
  },
  {
    name: "a key without a value",
    yaml: "spool:",
    errors: ["relay.yaml:1: spool: has no value: comment the line out to leave it at its default"],
  },
  {
    name: "unknown key, far from any",
    yaml: "log:\n  colour: red",
    errors: ["relay.yaml:2: log.colour: is unknown; keys of log are level, format, recipients"],
  },
  {
    name: "unknown key, one letter off",
    yaml: "submission:\n  maxMessagesBytes: 1",
    errors: ["relay.yaml:2: submission.maxMessagesBytes: is unknown; is submission.maxMessageBytes meant?"],
  },
  {
    name: "unknown key, other case",
    yaml: "delivery: {insecureMX: may}",
    errors: ["relay.yaml:1: delivery.insecureMX: is unknown; is delivery.insecureMx meant?"],
  },
  {
    name: "a feature that there is not",
    yaml: "dashboards: 2",
    errors: [
      "relay.yaml:1: dashboards: is unknown; known keys are hostname, submission, spool, stateDirectory, postgres, resolver, delivery, workers, tlsrpt, dkim, mtaSts, history, admin, log",
    ],
  },
  {
    name: "a shared spool with a typing error in sslmode",
    yaml: "spool: postgres://u:secret@h/db?sslmod=verify-full",
    errors: ["relay.yaml:1: spool: has the parameter sslmod: known are host, sslmode, sslrootcert"],
  },
  {
    name: "a shared spool whose certificate nobody would check",
    yaml: "spool: postgres://u:secret@h/db?sslmode=require",
    errors: ["relay.yaml:1: spool: has sslmode=require: only disable and verify-full say what they do"],
  },
  {
    name: "a CA without TLS",
    yaml: "spool: postgres://h/db?sslrootcert=/ca.pem",
    errors: ["relay.yaml:1: spool: has sslrootcert without sslmode=verify-full"],
  },
  {
    name: "a shared spool without a database",
    yaml: "spool: postgres://u:secret@h",
    errors: [
      "relay.yaml:1: spool: must be postgres://USER@HOST:PORT/DATABASE, with ?sslmode=verify-full&sslrootcert=FILE for TLS",
    ],
  },
  {
    name: "a secret in a spool that is none",
    yaml: "spool: mysql://u:secr@et@h/db",
    errors: ['relay.yaml:1: spool: must be file:DIRECTORY or postgres://USER:PASSWORD@HOST/DATABASE, not "mysql://u:***@h/db"'],
  },
  {
    name: "a CA and a password that are not there",
    yaml: "spool: postgres://h/db?sslmode=verify-full&sslrootcert=/no-ca\npostgres: {passwordFile: /no-password}",
    errors: [
      "relay.yaml:1: spool: names /no-ca, which does not exist",
      "relay.yaml:2: postgres.passwordFile: names /no-password, which does not exist",
    ],
  },
  {
    name: "hostname",
    yaml: "hostname: mail server",
    errors: ['relay.yaml:1: hostname: must be a domain name, not "mail server"'],
  },
  {
    name: "hostname that is an address",
    yaml: "hostname: 192.0.2.1",
    errors: ['relay.yaml:1: hostname: must be a domain name, not "192.0.2.1"'],
  },
  {
    name: "text for a number",
    yaml: "delivery: {port: smtp}",
    errors: ['relay.yaml:1: delivery.port: must be a whole number from 1 to 65535, not "smtp"'],
  },
  {
    name: "number out of range",
    yaml: "delivery: {port: 65536}",
    errors: ["relay.yaml:1: delivery.port: must be a whole number from 1 to 65535, not 65536"],
  },
  {
    name: "fraction",
    yaml: "resolver: {timeoutSeconds: 1.5}",
    errors: ["relay.yaml:1: resolver.timeoutSeconds: must be a whole number of seconds from 1 to 120, not 1.5"],
  },
  {
    name: "yes is no truth value",
    yaml: "delivery: {allowLoopback: yes}",
    errors: ['relay.yaml:1: delivery.allowLoopback: must be true or false, not "yes"'],
  },
  {
    name: "unknown choice",
    yaml: "resolver: {mode: dnssec}",
    errors: ['relay.yaml:1: resolver.mode: must be auto | forward | recursive, not "dnssec"'],
  },
  {
    name: "no listener",
    yaml: "submission: {listen: []}",
    errors: ["relay.yaml:1: submission.listen: must be a list of ADDRESS:PORT, at least one"],
  },
  {
    name: "one value for a list",
    yaml: "submission: {listen: '127.0.0.1:25'}",
    errors: ['relay.yaml:1: submission.listen: must be a list of ADDRESS:PORT, not "127.0.0.1:25"'],
  },
  {
    name: "endpoints",
    yaml: "submission:\n  listen:\n    - 127.0.0.1\n    - localhost:25\n    - 2001:db8::1:25\n    - '[127.0.0.1]:25'\n    - 127.0.0.1:0\n    - 127.0.0.1:26\n    - 127.0.0.1:26",
    errors: [
      ...["127.0.0.1", "localhost:25", "2001:db8::1:25", "[127.0.0.1]:25", "127.0.0.1:0"].map(
        (text, i) =>
          `relay.yaml:${3 + i}: submission.listen[${i}]: must be ADDRESS:PORT, such as 127.0.0.1:2525 or [::1]:2525, not ${JSON.stringify(text)}`,
      ),
      "relay.yaml:9: submission.listen[6]: 127.0.0.1:26 is there twice (entry 5 and entry 6)",
    ],
  },
  {
    name: "networks",
    yaml: "submission:\n  trustedNetworks: [10.0.0.5/8, 10.0.0.0/33, 0.0.0.0/0, '::/0', '::ffff:10.0.0.0/104', '2000::/3', 10.1/16, '2001:db8::1/32']",
    errors: [
      'relay.yaml:2: submission.trustedNetworks[0]: "10.0.0.5/8" has bits set behind its first 8: is it a single address (without /8)?',
      'relay.yaml:2: submission.trustedNetworks[1]: must be NETWORK/BITS or an address, such as 10.0.0.0/8 or 2001:db8::/32, not "10.0.0.0/33"',
      'relay.yaml:2: submission.trustedNetworks[2]: "0.0.0.0/0" is too wide: trusting it would make an open relay (at least /8)',
      'relay.yaml:2: submission.trustedNetworks[3]: "::/0" is too wide: trusting it would make an open relay (at least /7)',
      'relay.yaml:2: submission.trustedNetworks[4]: "::ffff:10.0.0.0/104" is an IPv4 network in IPv6 form: write it as IPv4',
      'relay.yaml:2: submission.trustedNetworks[5]: "2000::/3" is too wide: trusting it would make an open relay (at least /7)',
      'relay.yaml:2: submission.trustedNetworks[6]: must be NETWORK/BITS or an address, such as 10.0.0.0/8 or 2001:db8::/32, not "10.1/16"',
      'relay.yaml:2: submission.trustedNetworks[7]: "2001:db8::1/32" has bits set behind its first 32: is it a single address (without /32)?',
    ],
  },
  {
    name: "upstreams",
    yaml: "resolver: {upstreams: [dns.example, 'tls://192.0.2.1', 'tls://192.0.2.1#a#b', '192.0.2.1#x']}",
    errors: [
      'relay.yaml:1: resolver.upstreams[0]: must be IP, IP:PORT or tls://IP#name, not "dns.example"',
      'relay.yaml:1: resolver.upstreams[1]: "tls://192.0.2.1" lacks the name to expect in the certificate: tls://IP#name',
      'relay.yaml:1: resolver.upstreams[2]: must be IP, IP:PORT or tls://IP#name, not "tls://192.0.2.1#a#b"',
      'relay.yaml:1: resolver.upstreams[3]: must be IP, IP:PORT or tls://IP#name, not "192.0.2.1#x"',
    ],
  },
  {
    name: "a zone without upstreams",
    yaml: "resolver: {forwardZones: [{zone: a.example, upstreams: []}, {zone: b.example}]}",
    errors: [
      "relay.yaml:1: resolver.forwardZones[0].upstreams: must be a list of IP, IP:PORT or tls://IP#name, at least one",
      "relay.yaml:1: resolver.forwardZones[1]: lacks upstreams",
    ],
  },
  {
    name: "policies",
    yaml: [
      "delivery:",
      "  tlsPolicies:",
      "    - {domain: a.example, level: may}",
      "    - {domain: b.example, level: dane-only, expires: 2027-01-01}",
      "    - {domain: c.example, level: strict}",
      "    - {domain: c.example, levle: may}",
      "    - {domain: '*', level: dane}",
      "    - {domain: d.example, level: none, expires: 2027-02-30}",
      "    - {domain: e.example, level: none, expires: tomorrow}",
      "    - {domain: f.example, level: dane}",
      "    - {domain: F.example., level: dane}",
    ].join("\n"),
    errors: [
      "relay.yaml:3: delivery.tlsPolicies[0]: lacks expires: level may is weaker than dane, so it must end some day",
      "relay.yaml:4: delivery.tlsPolicies[1].expires: is refused for level dane-only: a demand that ends by itself would be a silent downgrade",
      'relay.yaml:5: delivery.tlsPolicies[2].level: must be dane-only | dane | encrypt | may | none, not "strict"',
      "relay.yaml:6: delivery.tlsPolicies[3].levle: is unknown here; known are domain, level, reason, expires",
      "relay.yaml:6: delivery.tlsPolicies[3]: lacks level",
      'relay.yaml:7: delivery.tlsPolicies[4].domain: must be a domain, or .domain for its subdomains, not "*"',
      'relay.yaml:8: delivery.tlsPolicies[5].expires: "2027-02-30" is no day of the calendar',
      'relay.yaml:9: delivery.tlsPolicies[6].expires: must be a day (2027-01-31: until it begins, UTC) or an instant (2027-01-31T12:00:00Z), not "tomorrow"',
      "relay.yaml:11: delivery.tlsPolicies[8]: f.example is there twice (entry 7 and entry 8)",
    ],
  },
  {
    name: "routes",
    yaml: "delivery: {routes: [{domain: '*', nextHop: '192.0.2.1:25'}, {domain: a.example, nextHop: 'h:0'}, {domain: b.example, nextHop: '[h'}, x]}",
    errors: [
      'relay.yaml:1: delivery.routes[0].nextHop: "192.0.2.1:25" is an address: write it in brackets, such as [192.0.2.1]:25',
      'relay.yaml:1: delivery.routes[1].nextHop: must be host, host:port, [host], [host]:port or [address]:port, not "h:0"',
      'relay.yaml:1: delivery.routes[2].nextHop: must be host, host:port, [host], [host]:port or [address]:port, not "[h"',
      'relay.yaml:1: delivery.routes[3]: must be {domain, nextHop, tls?, auth?}, not "x"',
    ],
  },
  {
    name: "routes with credentials; none of them is in a message",
    yaml: [
      "delivery:",
      "  routes:",
      "    - {domain: a.example, nextHop: '[192.0.2.1]:587', auth: {username: u, password: hush}}",
      "    - {domain: b.example, nextHop: '[h.example]', auth: {username: u}}",
      "    - {domain: c.example, nextHop: '[h.example]', auth: {username: u, password: hush, passwordFile: /etc/x}}",
      "    - {domain: d.example, nextHop: '[h.example]', auth: {username: u, password: 47110815}}",
      "    - {domain: e.example, nextHop: '[h.example]', auth: [{password: hush}]}",
      "    - {domain: f.example, nextHop: '[h.example]', auth: {username: u, password: hush, user: u}}",
    ].join("\n"),
    errors: [
      "relay.yaml:3: delivery.routes[0].auth: needs a next hop with a name: a certificate is checked for it before AUTH",
      "relay.yaml:4: delivery.routes[1].auth: takes one of password and passwordFile",
      "relay.yaml:5: delivery.routes[2].auth: takes one of password and passwordFile",
      "relay.yaml:6: delivery.routes[3].auth.password: must be text, in quotes",
      'relay.yaml:7: delivery.routes[4].auth: must be {username, password?, passwordFile?}, not [{"password":"***"}]',
      "relay.yaml:8: delivery.routes[5].auth.user: is unknown here; known are username, password, passwordFile",
    ],
  },
  {
    name: "a password that cannot be read",
    yaml: "delivery: {routes: [{domain: '*', nextHop: '[h.example]', auth: {username: u, passwordFile: /nowhere}}]}",
    errors: ["relay.yaml:1: delivery.routes: names /nowhere, which does not exist"],
  },
  {
    name: "a password in broken JSON",
    yaml: "",
    environment: { DANE_RELAY_DELIVERY_ROUTES: '[{"domain":"*","auth":{"password":"hush" x}}]' },
    errors: ["environment variable DANE_RELAY_DELIVERY_ROUTES: delivery.routes: must be JSON, and is not (at position 41)"],
  },
  {
    name: "TLS without a key, without a certificate, without both",
    yaml: "submission: {tls: {listen: ['127.0.0.1:465']}}",
    errors: [
      "relay.yaml:1: submission.tls.listen: is set, and TLS needs submission.tls.certificateFile and submission.tls.keyFile",
    ],
  },
  {
    name: "a certificate without a key, which is not there either",
    yaml: "submission: {tls: {certificateFile: /nowhere}}",
    errors: [
      "default: submission.tls.keyFile: is not set, and TLS needs both submission.tls.certificateFile and submission.tls.keyFile",
      "relay.yaml:1: submission.tls.certificateFile: names /nowhere, which does not exist",
    ],
  },
  {
    name: "implicit TLS where clear text is spoken",
    yaml: "submission: {tls: {certificateFile: relay.yaml, keyFile: relay.yaml, listen: ['127.0.0.1:2525', '127.0.0.1:9025']}}",
    errors: [
      "relay.yaml:1: submission.tls.listen: is 127.0.0.1:2525, which submission.listen has too",
      "default: admin.listen: is 127.0.0.1:9025, which submission.tls.listen has too",
    ],
  },
  {
    name: "two source addresses of a family",
    yaml: "delivery: {sourceAddresses: [192.0.2.1, 192.0.2.2]}",
    errors: ["relay.yaml:1: delivery.sourceAddresses[1]: an IPv4 address is there twice (entry 0 and entry 1)"],
  },
  {
    name: "waits the wrong way round",
    yaml: "delivery:\n  retry:\n    initialSeconds: 600\n    maximumSeconds: 300",
    errors: ["relay.yaml:3: delivery.retry.initialSeconds: is 600, more than delivery.retry.maximumSeconds (300)"],
  },
  {
    name: "what follows from another error is not told",
    yaml: "delivery:\n  retry:\n    initialSeconds: 20000\n    maximumSeconds: x",
    errors: ['relay.yaml:4: delivery.retry.maximumSeconds: must be a whole number of seconds from 1 to 604800, not "x"'],
  },
  {
    name: "more per destination than in all",
    yaml: "delivery: {maxConnections: 5}",
    errors: ["default: delivery.maxConnectionsPerDestination: is 20, more than delivery.maxConnections (5)"],
  },
  {
    name: "NSEC3 iterations that would be bogus before they are insecure",
    yaml: "resolver: {nsec3Iterations: {insecureAbove: 200, bogusAbove: 150}}",
    errors: ["relay.yaml:1: resolver.nsec3Iterations.insecureAbove: is 200, more than resolver.nsec3Iterations.bogusAbove (150)"],
  },
  {
    name: "one address for two listeners",
    yaml: "admin: {listen: '127.0.0.1:2525'}",
    errors: ["relay.yaml:1: admin.listen: is 127.0.0.1:2525, which submission.listen has too"],
  },
  {
    name: "nobody to forward to",
    yaml: "resolver: {mode: forward, upstreams: []}",
    errors: ["relay.yaml:1: resolver.upstreams: is empty, so resolver.mode forward has nobody to ask"],
  },
  {
    name: "a trust anchor that is not there",
    yaml: "resolver: {trustAnchorFile: /nowhere}",
    errors: ["relay.yaml:1: resolver.trustAnchorFile: names /nowhere, which does not exist"],
  },
  {
    name: "everything at once, from file and environment",
    yaml: "spool: x\nlog: {level: loud}",
    environment: { DANE_RELAY_DELIVERY_PORT: "x", DANE_RELAY_DELIVERY_PRT: "1", DANE_RELAY_DELIVERY_ROUTES: "[{" },
    errors: [
      "environment variable DANE_RELAY_DELIVERY_PRT: is no setting of this version",
      "environment variable DANE_RELAY_DELIVERY_ROUTES: delivery.routes: must be JSON, and is not (at position 2)",
      'relay.yaml:1: spool: must be file:DIRECTORY or postgres://USER:PASSWORD@HOST/DATABASE, not "x"',
      'environment variable DANE_RELAY_DELIVERY_PORT: delivery.port: must be a whole number from 1 to 65535, not "x"',
      'relay.yaml:2: log.level: must be debug | info | warn | error, not "loud"',
    ],
  },
  {
    name: "a value that the environment overrides is checked too",
    yaml: "delivery: {port: x}",
    environment: { DANE_RELAY_DELIVERY_PORT: "25" },
    errors: ['relay.yaml:1: delivery.port: must be a whole number from 1 to 65535, not "x"'],
  },
];

for (const { name, yaml, environment, errors } of BAD) {
  test(`bad: ${name}`, () => {
    assert.deepEqual(errorsOf(load(yaml, environment)), errors);
  });
}

for (const { text, message } of [
  { text: undefined, message: "names /token, which does not exist" },
  {
    text: "short\n",
    message: "names /token, whose token has 5 characters; at least 20 are needed (openssl rand -base64 32)",
  },
  { text: `${"x".repeat(20)}\n${"y".repeat(20)}`, message: "names /token, which is not one line of visible ASCII characters" },
]) {
  test(`bad: a token file that ${message}`, () => {
    const files: Record<string, string> = text === undefined ? {} : { "/token": text };
    assert.deepEqual(errorsOf(load("admin: {tokenFile: /token}", {}, files)), [`relay.yaml:1: admin.tokenFile: ${message}`]);
  });
}

test("a token file that is good", () => {
  const config = configOf(load("admin: {tokenFile: /token}", {}, { "/token": `${"x".repeat(20)}\n` }));
  assert.equal(config.admin.tokenFile, "/token");
});

test("environment: wins over the file; lists are comma separated, lists of mappings JSON", () => {
  const config = configOf(
    load("delivery: {port: 26}\nlog: {level: warn}", {
      DANE_RELAY_DELIVERY_PORT: "2500",
      DANE_RELAY_SUBMISSION_LISTEN: "127.0.0.1:25, [::1]:25",
      DANE_RELAY_SUBMISSION_TRUSTED_NETWORKS: "",
      DANE_RELAY_SUBMISSION_MAX_MESSAGE_BYTES: "65536",
      DANE_RELAY_DELIVERY_ALLOW_LOOPBACK: "true",
      DANE_RELAY_DELIVERY_ROUTES: '[{"domain":"*","nextHop":"[h.example]:25"}]',
      DANE_RELAY_RESOLVER_PROBE_GOOD: "good.example",
      HOME: "/root",
    }),
  );
  assert.equal(config.delivery.port, 2500);
  assert.equal(config.log.level, "warn");
  assert.deepEqual(
    config.submission.listen.map((endpoint) => endpoint.address),
    ["127.0.0.1", "::1"],
  );
  assert.deepEqual(config.submission.trustedNetworks, []);
  assert.equal(config.submission.maxMessageBytes, 65_536);
  assert.equal(config.delivery.allowLoopback, true);
  assert.deepEqual(config.delivery.routes, [{ domain: "*", nextHop: "[h.example]:25", tls: "starttls" }]);
  assert.equal(config.resolver.probe.good, "good.example");
});

test("environment: what Kubernetes injects for Services is passed over, and nothing else", () => {
  const injected = {
    DANE_RELAY_SERVICE_HOST: "10.0.0.1",
    DANE_RELAY_SERVICE_PORT: "25",
    DANE_RELAY_SERVICE_PORT_SMTP: "25",
    DANE_RELAY_PORT: "tcp://10.0.0.1:25",
    DANE_RELAY_PORT_25_TCP: "tcp://10.0.0.1:25",
    DANE_RELAY_PORT_25_TCP_PROTO: "tcp",
    DANE_RELAY_PORT_25_TCP_PORT: "25",
    DANE_RELAY_PORT_25_TCP_ADDR: "10.0.0.1",
    // A Service named dane-relay-delivery: its variable has a setting's name.
    DANE_RELAY_DELIVERY_PORT: "tcp://10.0.0.2:25",
    DANE_RELAY_DELIVERY_SERVICE_HOST: "10.0.0.2",
  };
  assert.equal(configOf(load("", injected)).delivery.port, 25);
  assert.deepEqual(errorsOf(load("", { DANE_RELAY_PORTS: "1", DANE_RELAY_SERVICE: "x" })), [
    "environment variable DANE_RELAY_PORTS: is no setting of this version",
    "environment variable DANE_RELAY_SERVICE: is no setting of this version",
  ]);
});

test("files: only the default one may be missing", () => {
  const options = { environment: {}, hostname: "h.example", readFile: () => ({ kind: "missing" as const }) };
  assert.equal(loadConfig(options).kind, "config");
  assert.deepEqual(errorsOf(loadConfig({ ...options, file: "/x.yaml" })), ["/x.yaml: does not exist"]);
  assert.deepEqual(errorsOf(loadConfig({ ...options, environment: { DANE_RELAY_CONFIG: "/y.yaml" } })), [
    "/y.yaml: does not exist",
  ]);
  const unreadable = { ...options, readFile: () => ({ kind: "unreadable" as const, reason: "EACCES" }) };
  assert.deepEqual(errorsOf(loadConfig(unreadable)), ["config/relay.yaml: cannot be read: EACCES"]);
});

test("defaults from the machine: a name or a resolv.conf that is of no use", () => {
  const resolvConf =
    "# c\nsearch x\nnameserver 192.0.2.1\nnameserver\tfe80::1%eth0\n nameserver 192.0.2.9\nnameserver bogus\nnameserver 192.0.2.1\n";
  const config = configOf(load("", {}, { "/etc/resolv.conf": resolvConf }));
  assert.deepEqual(
    config.resolver.upstreams.map((upstream) => upstream.address),
    ["192.0.2.1", "fe80::1%eth0"],
  );
  const bad = loadConfig({ environment: {}, hostname: "My Laptop", readFile: () => ({ kind: "missing" }) });
  assert.deepEqual(errorsOf(bad), ['default: the machine\'s name: hostname: must be a domain name, not "My Laptop"']);
});
