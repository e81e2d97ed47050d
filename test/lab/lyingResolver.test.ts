import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Lab, startLab } from "./lab.ts";
import { LIES, type Lie } from "./lies.ts";
import { type RelayEvent, relayPorts, startRelayProcess } from "./relayProcess.ts";
import type { Scenario } from "./scenario.ts";
import { tlsa } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";

/**
 * A relay whose only resolver lies. The receivers are the judges: whatever the relay says, the trap must stay empty, and mail for the
 * victims may only be with their own hosts, and only if it came inside TLS.
 */
const VICTIMS: readonly string[] = ["ee-spki-sha256.lab", "ta-spki-sha256.lab", "no-mx.lab", "nsec3.lab", "signed.optout"];
const SENDER = "";
/** Most of a test is waiting for the second attempt. */
const PARALLEL = 4;
/** Later attempts get the same lies; the first wait is a second. */
const ATTEMPTS = 2;
/** Where nothing is to be found anyway. */
const SHORT_LOOKUP_SECONDS = 3;
const LONG_LOOKUP_SECONDS = 10;

const TRAP: Scenario = {
  domain: "trap.lab",
  shows: "where the liars want the mail",
  hosts: [{ name: "mx.trap.lab", server: "postfix", tlsa: [tlsa("3 1 1")] }],
  expected: {
    outcome: "delivered",
    tls: "dane",
    dane: "authenticated",
    dnssec: { mx: "secure", address: "secure", tlsa: "secure" },
    status: "2.*.*",
  },
};

function isDelivery(event: RelayEvent, recipient: string): boolean {
  return event.event === "delivery" && event.recipient === recipient;
}

describe("a resolver that lies", { concurrency: PARALLEL }, () => {
  let lab: Lab;

  before(async () => {
    lab = await startLab([...SCENARIOS.filter(({ domain }) => VICTIMS.includes(domain)), TRAP]);
  });

  after(async () => {
    await lab?.stop();
  });

  const tell = async (lie: Lie, number: number): Promise<void> => {
    const trap = lab.world.receivers.find(({ name }) => name === "mx.trap.lab");
    assert.ok(trap !== undefined);
    const liar = await lab.startLiar(lie.interference({ victims: VICTIMS, trap }));
    const relay = await startRelayProcess(lab, `relay-${number}`, {
      upstreams: [liar.address],
      ...relayPorts(lab, number),
      retryInitialSeconds: 1,
      lookupSeconds: lie.expected === "deferred" ? SHORT_LOOKUP_SECONDS : LONG_LOOKUP_SECONDS,
    });
    try {
      const recipients = VICTIMS.map((domain) => `lie${number}@${domain}`);
      await relay.submit(
        recipients.map((recipient) => ({ sender: SENDER, recipient, content: `Subject: lie ${number}\r\n\r\n${lie.name}\r\n` })),
      );
      for (const recipient of recipients) {
        const seen = await relay.event(
          `attempt for ${recipient}`,
          (event) => isDelivery(event, recipient) && (event.attempt === ATTEMPTS || event.outcome !== "deferred"),
        );
        assert.equal(seen.outcome === "delivered" ? seen.dane : seen.outcome, lie.expected, JSON.stringify(seen));
      }
      await assertReceivers(recipients, lie.expected);
      assert.ok(liar.interfered() >= VICTIMS.length, "the lie was told");
    } finally {
      await relay.stop();
      await liar.stop();
    }
  };

  const assertReceivers = async (recipients: readonly string[], outcome: Lie["expected"]): Promise<void> => {
    const wanted = outcome === "authenticated" ? recipients.length : 0;
    const held = async () => (await lab.stored()).filter(({ recipient }) => recipients.includes(recipient));
    const deadline = performance.now() + 10_000;
    while ((await held()).length < wanted && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 50));
    const all = await held();
    assert.equal(all.length, wanted);
    for (const { recipient, host, channel } of all) {
      const victim = VICTIMS.find((domain) => recipient.endsWith(`@${domain}`)) ?? "";
      assert.ok(host.endsWith(victim), `${recipient} is with ${host}`);
      assert.equal(channel, "tls");
    }
    const trapped = (await lab.stored()).filter(({ host }) => host === "mx.trap.lab");
    assert.deepEqual(trapped, []);
  };

  for (const [number, lie] of LIES.entries()) test(`${lie.name}: ${lie.expected}`, () => tell(lie, number));

  test("when the lies end, what was held back is delivered with DANE", async () => {
    let honest = false;
    const liar = await lab.startLiar({ question: ({ type }) => (honest || type !== "TLSA" ? "pass" : "servfail") });
    const relay = await startRelayProcess(lab, "relay-recovering", {
      upstreams: [liar.address],
      ...relayPorts(lab, LIES.length),
      retryInitialSeconds: 1,
    });
    const recipients = VICTIMS.map((domain) => `patient@${domain}`);
    const deliveries = (recipient: string, outcome: string) => (event: RelayEvent) =>
      isDelivery(event, recipient) && event.outcome === outcome;
    try {
      await relay.submit(
        recipients.map((recipient) => ({ sender: SENDER, recipient, content: "Subject: patience\r\n\r\nx\r\n" })),
      );
      for (const recipient of recipients) await relay.event(`${recipient} held back`, deliveries(recipient, "deferred"));
      honest = true;
      for (const recipient of recipients) {
        const event = await relay.event(`${recipient} delivered`, deliveries(recipient, "delivered"));
        assert.equal(event.dane, "authenticated");
      }
      await assertReceivers(recipients, "authenticated");
    } finally {
      await relay.stop();
      await liar.stop();
    }
  });
});
