import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { errorLine, loadConfig } from "../../../src/config/load.ts";

const KEY_FILE = "-----BEGIN PRIVATE KEY-----\n";

function load(yaml: string) {
  const files = new Map([
    ["relay.yaml", yaml],
    ["/key.pem", KEY_FILE],
  ]);
  return loadConfig({
    file: "relay.yaml",
    environment: {},
    hostname: "relay.example.org",
    readFile: (path) => {
      const text = files.get(path);
      return text === undefined ? { kind: "missing" } : { kind: "text", text };
    },
  });
}

const DKIM = "dkim: {domain: example.org, selector: tls1, keyFile: /key.pem}";

const good: readonly { name: string; yaml: string; contact?: string; domain?: string }[] = [
  { name: "off", yaml: "" },
  { name: "by HTTPS only", yaml: "tlsrpt: {contact: tls@example.org}", contact: "tls@example.org" },
  {
    name: "the domain in lower-case A-labels",
    yaml: "tlsrpt: {contact: TLS@Bücher.Example}",
    contact: "TLS@xn--bcher-kva.example",
  },
  {
    name: "signed by its own domain",
    yaml: `tlsrpt: {contact: tls@example.org, organization: Ex}\n${DKIM}`,
    contact: "tls@example.org",
    domain: "example.org",
  },
  {
    name: "signed by a domain above",
    yaml: `tlsrpt: {contact: tls@mail.example.org}\n${DKIM}`,
    contact: "tls@mail.example.org",
    domain: "example.org",
  },
];

const bad: readonly { name: string; yaml: string; errors: readonly string[] }[] = [
  {
    name: "no address",
    yaml: "tlsrpt: {contact: example.org}",
    errors: ['relay.yaml:1: tlsrpt.contact: must be a mail address, not "example.org"'],
  },
  {
    name: "what would be another header field",
    yaml: 'tlsrpt: {contact: "a@example.org\\r\\nBcc: b@example.org"}',
    errors: ['relay.yaml:1: tlsrpt.contact: must be a mail address, not "a@example.org\\r\\nBcc: b@example.org"'],
  },
  {
    name: "half of a signature",
    yaml: "dkim: {domain: example.org, keyFile: /key.pem}",
    errors: ["default: dkim.selector: is not set, and a signature needs all of dkim.domain, dkim.selector, dkim.keyFile"],
  },
  {
    name: "signed by another domain (RFC 8460 §3: the reporting domain)",
    yaml: `tlsrpt: {contact: tls@badexample.org}\n${DKIM}`,
    errors: [
      "relay.yaml:2: dkim.domain: is example.org, which is neither the domain of tlsrpt.contact (badexample.org) nor above it",
    ],
  },
  {
    name: "a key file that is not there",
    yaml: "dkim: {domain: example.org, selector: s, keyFile: /nowhere.pem}",
    errors: ["relay.yaml:1: dkim.keyFile: names /nowhere.pem, which does not exist"],
  },
  {
    name: "dkim.sign: a key file that is not there",
    yaml: "dkim: {sign: [{domain: example.org, selector: s, keyFile: /nowhere.pem}]}",
    errors: ["relay.yaml:1: dkim.sign: names /nowhere.pem, which does not exist"],
  },
  {
    name: "dkim.sign: entries that are none, and one that is there twice in other letters",
    yaml: [
      "dkim:",
      "  sign:",
      "    - {domain: '*', selector: s, keyFile: /key.pem}",
      "    - {domain: example.org, keyFile: /key.pem}",
      "    - {domain: example.org, selector: s t, keyFile: /key.pem}",
      "    - {domain: Bücher.example, selector: S1, keyFile: /key.pem}",
      "    - {domain: xn--bcher-kva.example, selector: s1, keyFile: /key.pem}",
    ].join("\n"),
    errors: [
      'relay.yaml:3: dkim.sign[0].domain: must be a domain, or .domain for its subdomains, not "*"',
      "relay.yaml:4: dkim.sign[1]: lacks selector",
      "relay.yaml:5: dkim.sign[2].selector: must be what stands before ._domainkey in the name of the DKIM record",
      "relay.yaml:7: dkim.sign[4]: xn--bcher-kva.example with s1 is there twice (entry 3 and entry 4)",
    ],
  },
];

describe("settings of TLS reports and of signatures", () => {
  for (const { name, yaml, contact, domain } of good) {
    test(`good: ${name}`, () => {
      const loaded = load(yaml);
      assert.ok(loaded.kind === "config", JSON.stringify(loaded));
      assert.equal(loaded.config.tlsrpt.contact, contact);
      assert.equal(loaded.config.dkim.domain, domain);
    });
  }
  for (const { name, yaml, errors } of bad) {
    test(`bad: ${name}`, () => {
      const loaded = load(yaml);
      assert.deepEqual(loaded.kind === "invalid" ? loaded.errors.map(errorLine) : [], errors);
    });
  }
});
