import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Peer, type PeerSession, startPeer } from "../fake/smtpPeer.ts";
import { type Lab, startLab } from "./lab.ts";
import { type RelayEvent, type RelayProcess, startRelayProcess } from "./relayProcess.ts";
import { type Host, type Scenario, tlsa } from "./scenario.ts";

/**
 * Next hops on other ports than 25, with credentials, and exceptions of the operator, through the real relay and real, signed DNS. The next
 * hops are scripted: they want AUTH before MAIL.
 */
const NOT_JUDGED = {
  outcome: "delivered",
  tls: "dane",
  dane: "authenticated",
  dnssec: { mx: "secure", address: "secure", tlsa: "secure" },
  status: "2.*.*",
} as const;

function scenario(domain: string, host: Omit<Host, "name">): Scenario {
  return { domain, shows: "", hosts: [{ name: `mx.${domain}`, ...host }], expected: NOT_JUDGED };
}

const SCENARIOS: readonly Scenario[] = [
  scenario("starttls.lab", {
    server: "closed",
    certificate: { issuer: "self" },
    tlsa: [tlsa("3 1 1", "leaf", "_587._tcp.mx.starttls.lab"), tlsa("3 1 1", "another-certificate")],
  }),
  scenario("implicit.lab", { server: "closed", tlsa: [tlsa("2 0 1", "ca", "_465._tcp.mx.implicit.lab")] }),
  scenario("pkix.lab", { server: "closed" }),
  scenario("renewed.lab", {
    server: "closed",
    tlsa: [tlsa("3 1 1", "another-certificate", "_587._tcp.mx.renewed.lab"), tlsa("3 1 1")],
  }),
  scenario("broken.lab", { server: "postfix", tlsa: [tlsa("3 1 1", "another-certificate")] }),
  scenario("mended.lab", { server: "postfix", tlsa: [tlsa("3 1 1")] }),
];
const USER = "relay@starttls.lab";
const PLAIN = `AUTH PLAIN ${Buffer.from(`\0${USER}\0a secret`).toString("base64")}`;
const AUTH = ["AUTH PLAIN", "8BITMIME", "SMTPUTF8"];

/** Each hop's domain, its port, and what must become of a message for `user@to-<domain>`. */
const HOPS = [
  { domain: "starttls.lab", port: 587, tls: "starttls", expected: "delivered dane authenticated" },
  { domain: "implicit.lab", port: 465, tls: "implicit", expected: "delivered dane authenticated" },
  { domain: "pkix.lab", port: 587, tls: "starttls", expected: "delivered pkix no-tlsa" },
  { domain: "renewed.lab", port: 587, tls: "starttls", expected: "deferred !dane:nocertmatch mismatch" },
] as const;

function wantsAuth(_: string, session: PeerSession): string {
  return session.commands.some(({ line, inTls }) => inTls && line === PLAIN) ? "250 2.1.0 ok" : "530 5.7.0 authenticate first";
}

describe("next hops with credentials, and exceptions", () => {
  let lab: Lab;
  let relay: RelayProcess;
  const hops = new Map<string, Peer>();

  before(async () => {
    lab = await startLab(SCENARIOS);
    for (const { domain, port, tls } of HOPS) {
      const receiver = lab.world.receivers.find(({ name }) => name === `mx.${domain}`);
      assert.ok(receiver !== undefined);
      const accept = { key: receiver.identity.leaf.keyPem, cert: receiver.identity.chainPem };
      const channel = tls === "implicit" ? { implicitTls: accept } : { starttls: { accept } };
      const replies = { AUTH: (line: string) => (line === PLAIN ? "235 2.7.0 ok" : "535 5.7.8 no"), MAIL: wantsAuth };
      hops.set(domain, await startPeer({ address: receiver.address, port, ...channel, extensions: AUTH, replies }));
    }
    relay = await startRelayProcess(lab, "relay", {
      caFile: lab.caFile,
      delivery: {
        routes: HOPS.map(({ domain, port, tls }) => ({
          domain: `to-${domain}`,
          nextHop: `[mx.${domain}]:${port}`,
          tls,
          auth: { username: USER, password: "a secret" },
        })),
        tlsPolicies: ["broken.lab", "mended.lab"].map((domain) => ({
          domain,
          level: "may",
          reason: "ticket 7",
          expires: "2999-01-01",
        })),
      },
    });
  });

  after(async () => {
    await relay?.stop();
    for (const peer of hops.values()) await peer.close();
    await lab?.stop();
  });

  const deliver = async (recipient: string): Promise<RelayEvent> => {
    await relay.submit([{ sender: "", recipient, content: "Subject: x\r\n\r\nbody\r\n" }]);
    return await relay.event(recipient, (seen) => seen.event === "delivery" && seen.recipient === recipient);
  };

  for (const { domain, port, tls, expected } of HOPS)
    test(`${tls} on port ${port}, ${domain}: ${expected}`, async () => {
      const event = await deliver(`user@to-${domain}`);
      assert.equal(`${event.outcome} ${event.tls} ${event.dane}`, expected, JSON.stringify(event));
      const peer = hops.get(domain);
      assert.ok(peer !== undefined);
      assert.equal(peer.messages.length, event.outcome === "delivered" ? 1 : 0);
      const secrets = peer.sessions.flatMap(({ commands }) => commands.filter(({ line }) => line.startsWith("AUTH")));
      assert.ok(secrets.every(({ inTls }) => inTls));
      assert.equal(secrets.length, event.outcome === "delivered" ? 1 : 0, "credentials went to nobody else");
      assert.ok(!relay.daemon.log().includes("a secret") && !relay.daemon.log().includes(PLAIN.slice(11)));
    });

  test("exceptions: the log says at the start which of them is still needed, and mail goes out under them", async () => {
    const told = (domain: string) =>
      relay.event(`the exception for ${domain}`, ({ event, reason }) => event === "config" && String(reason).includes(domain));
    const broken = await told("broken.lab");
    assert.match(String(broken.reason), /is still needed: without it mail would wait, since mx\.broken\.lab .*ticket 7$/);
    const mended = await told("mended.lab");
    assert.match(
      String(mended.reason),
      /is not needed any more: mx\.mended\.lab: tls dane, dane authenticated: remove it; its reason was: ticket 7$/,
    );
    const event = await deliver("user@broken.lab");
    assert.equal(`${event.outcome} ${event.tls} ${event.dane}`, "delivered may:encrypt exempt", JSON.stringify(event));
    const metrics = await (await fetch(`http://${relay.admin}/metrics`)).text();
    assert.match(metrics, /^dane_relay_policy_exceptions_active 2$/m);
  });
});
