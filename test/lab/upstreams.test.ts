import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { PLACES } from "./addresses.ts";
import { startDnsmasq } from "./dnsmasq.ts";
import type { Interference } from "./dnsProxy.ts";
import { type Lab, RESOLVER_NAME, startLab } from "./lab.ts";
import { without } from "./lies.ts";
import type { RelaySettings } from "./relayConfiguration.ts";
import { type RelayEvent, type RelayProcess, relayPorts, startRelayProcess } from "./relayProcess.ts";
import { SCENARIOS } from "./scenarios.ts";

/**
 * Whatever resolver a machine happens to have, mail must go out with DANE: through it where it passes DNSSEC, around it where it does
 * not. And where the operator insists on a resolver that cannot, mail waits and the relay says why.
 */
const DOMAINS: readonly string[] = [
  "ee-spki-sha256.lab",
  "signed.optout",
  "no-tlsa-nsec3.lab",
  "unsigned.lab",
  "mismatch.lab",
  "bogus-tlsa.lab",
];
const ROWS = SCENARIOS.filter(({ domain }) => DOMAINS.includes(domain));
const PARALLEL = 4;
const DNSSEC_TYPES: ReadonlySet<string> = new Set(["RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "DS"]);

/** `source`: what the relay must say that it uses; `upstream` makes the way to the data. */
type Way = {
  name: string;
  mode: NonNullable<RelaySettings["mode"]>;
  upstream: (lab: Lab) => Promise<string>;
  source: RegExp;
};

function liar(interference: Interference): (lab: Lab) => Promise<string> {
  return async (lab) => (await lab.startLiar(interference)).address;
}

const FORWARD = /^asking upstreams/;
const RECURSIVE = /^resolving from the root/;

const WAYS: readonly Way[] = [
  { name: "Unbound that validates", mode: "auto", upstream: async (lab) => lab.validatingRecursor, source: FORWARD },
  { name: "Unbound that does not validate", mode: "auto", upstream: async (lab) => lab.plainRecursor, source: FORWARD },
  {
    name: "Unbound over TLS",
    mode: "auto",
    upstream: async (lab) => `tls://${lab.validatingRecursor}#${RESOLVER_NAME}`,
    source: FORWARD,
  },
  {
    name: "a forwarder whose datagrams are all truncated",
    mode: "auto",
    upstream: liar({ truncatesDatagrams: "yes" }),
    source: FORWARD,
  },
  {
    name: "a forwarder that strips signatures",
    mode: "auto",
    upstream: liar({ answer: without(new Set(["RRSIG", "NSEC", "NSEC3"])) }),
    source: RECURSIVE,
  },
  {
    name: "a forwarder that strips signatures and sets AD",
    mode: "auto",
    upstream: liar({ claimsAuthentic: "yes", answer: without(DNSSEC_TYPES) }),
    source: RECURSIVE,
  },
  {
    name: "a forwarder without EDNS",
    mode: "auto",
    upstream: liar({ answer: without(new Set([...DNSSEC_TYPES, "OPT"])) }),
    source: RECURSIVE,
  },
  { name: "a forwarder that refuses", mode: "auto", upstream: liar({ question: () => "refused" }), source: RECURSIVE },
  { name: "a forwarder that is silent", mode: "auto", upstream: liar({ question: () => "drop" }), source: RECURSIVE },
  { name: "nobody: recursion", mode: "recursive", upstream: liar({ question: () => "drop" }), source: RECURSIVE },
];

function deliveryOf(recipient: string): (event: RelayEvent) => boolean {
  return (event) => event.event === "delivery" && event.recipient === recipient;
}

describe("DANE through whatever resolver there is", { concurrency: PARALLEL }, () => {
  let lab: Lab;
  let authorities: string;
  let relays = 0;

  before(async () => {
    lab = await startLab(ROWS);
    authorities = join(lab.directory, "ca.pem");
    await writeFile(authorities, lab.pki.ca.certificatePem);
  });

  after(async () => {
    await lab?.stop();
  });

  const startRelay = (settings: Partial<RelaySettings>): Promise<RelayProcess> => {
    relays += 1;
    const own = { ...relayPorts(lab, relays), ...settings };
    return startRelayProcess(lab, `relay-${relays}`, own, { NODE_EXTRA_CA_CERTS: authorities });
  };

  const deliverAll = async (relay: RelayProcess, local: string): Promise<void> => {
    const to = (domain: string): string => `${local}@${domain}`;
    await relay.submit(
      ROWS.map(({ domain }) => ({ sender: "", recipient: to(domain), content: "Subject: a way\r\n\r\nto the data\r\n" })),
    );
    for (const { domain, expected } of ROWS) {
      const event = await relay.event(`delivery to ${to(domain)}`, deliveryOf(to(domain)));
      assert.deepEqual(
        { outcome: event.outcome, tls: event.tls, dane: event.dane },
        { outcome: expected.outcome, tls: expected.tls, dane: expected.dane },
        JSON.stringify(event),
      );
    }
    const expected = ROWS.filter((row) => row.expected.receivedBy !== undefined).map(({ domain }) => to(domain));
    const held = async (): Promise<string[]> =>
      (await lab.stored()).map(({ recipient }) => recipient).filter((recipient) => recipient.startsWith(`${local}@`));
    const deadline = performance.now() + 10_000;
    while ((await held()).length < expected.length && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual((await held()).toSorted(), expected.toSorted());
  };

  const tryWay = async (way: Way, local: string): Promise<void> => {
    const relay = await startRelay({ mode: way.mode, upstreams: [await way.upstream(lab)] });
    try {
      const validating = await relay.event("the probe", ({ event, state }) => event === "dnssec" && state === "validating");
      assert.match(String(validating.source), way.source);
      await deliverAll(relay, local);
    } finally {
      await relay.stop();
    }
  };

  for (const [number, way] of WAYS.entries()) test(`${way.name} (${way.mode})`, () => tryWay(way, `way${number}`));

  test("dnsmasq (auto)", async () => {
    const address = lab.block.address(PLACES.dnsmasq);
    const dnsmasq = await startDnsmasq({ directory: lab.directory, address, upstream: lab.validatingRecursor });
    try {
      await tryWay({ name: "dnsmasq", mode: "auto", upstream: async () => address, source: FORWARD }, "dnsmasq");
    } finally {
      await dnsmasq.stop();
    }
  });

  test("an operator who insists on a forwarder that strips signatures is told so, and mail waits", async () => {
    const stripping = await lab.startLiar({ answer: without(new Set(["RRSIG", "NSEC", "NSEC3"])) });
    const relay = await startRelay({ mode: "forward", upstreams: [stripping.address] });
    try {
      const said = await relay.event("the probe", ({ event, state }) => event === "dnssec" && state === "not-validating");
      assert.match(JSON.stringify(said), /signature/i);
      const lenient = await fetch(`http://${relay.admin}/readyz`);
      const text = await lenient.text();
      assert.equal(lenient.status, 200);
      assert.match(text, /^degraded dnssec: .*(signature|RRSIG)/m);
      assert.equal((await fetch(`http://${relay.admin}/readyz?strict`)).status, 503);
      const metrics = await (await fetch(`http://${relay.admin}/metrics`)).text();
      assert.match(metrics, /^dane_relay_dnssec_validating 0$/m);
      await relay.submit([{ sender: "", recipient: "stripped@ee-spki-sha256.lab", content: "Subject: x\r\n\r\nx\r\n" }]);
      const event = await relay.event("delivery", deliveryOf("stripped@ee-spki-sha256.lab"));
      assert.deepEqual({ outcome: event.outcome, dane: event.dane }, { outcome: "deferred", dane: "bogus" });
      const held = (await lab.stored()).filter(({ recipient }) => recipient.startsWith("stripped@"));
      assert.deepEqual(held, []);
    } finally {
      await relay.stop();
    }
  });
});
