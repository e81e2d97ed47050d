import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Lab, startLab } from "./lab.ts";
import type { Stored } from "./postfix.ts";
import { type RelayEvent, type RelayProcess, startRelayProcess } from "./relayProcess.ts";
import type { Scenario } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";

/**
 * One message to each row of the table, through the real relay process and the lab's real servers. Each row is judged twice: by what the
 * relay says (its delivery event), and by what the receivers hold, which the relay has no say in.
 */
const SENDER = "tester@no-tlsa.lab";
const STORE_SECONDS = 15;

function contentFor(recipient: string): string {
  return [
    `From: <${SENDER}>`,
    `To: <${recipient}>`,
    `Subject: to ${recipient}`,
    "Date: Sat, 21 Nov 2026 12:00:00 +0000",
    `Message-ID: <${recipient.replaceAll(/[@[\]]/g, ".")}@tester.invalid>`,
    "",
    "From here on every octet counts.",
    ".a line with a dot, and one that is a dot only:",
    ".",
    "..",
    "\ttabs and  spaces  ",
    "",
  ].join("\r\n");
}

/** A status like "4.7.*" as an expression. */
function statusPattern(status: string): RegExp {
  return new RegExp(`^${status.replaceAll(".", "\\.").replaceAll("*", "\\d+")}$`);
}

function statusOf(event: RelayEvent): string {
  return typeof event.status === "string" ? event.status : "";
}

describe("each row of the lab ends as the decision table says", () => {
  let lab: Lab;
  let relay: RelayProcess;

  before(async () => {
    lab = await startLab(SCENARIOS);
    relay = await startRelayProcess(lab, "relay");
    await relay.submit(
      lab.world.scenarios.map(({ recipient = "" }) => ({ sender: SENDER, recipient, content: contentFor(recipient) })),
    );
  });

  after(async () => {
    await relay?.stop();
    await lab?.stop();
  });

  const recipientOf = (domain: string): string => lab.world.scenarios.find((row) => row.domain === domain)?.recipient ?? "";

  /** What the receivers hold for the recipient; waits for it where something is expected. */
  const heldFor = async (recipient: string, expectSome: boolean): Promise<Stored[]> => {
    const deadline = performance.now() + STORE_SECONDS * 1000;
    for (;;) {
      const held = (await lab.stored()).filter((stored) => stored.recipient === recipient);
      if (!expectSome || held.length > 0 || performance.now() > deadline) return held;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };

  const check = async ({ domain, expected }: Scenario): Promise<void> => {
    const recipient = recipientOf(domain);
    const event = await relay.event(
      `delivery to ${recipient}`,
      (seen) => seen.event === "delivery" && seen.recipient === recipient,
    );
    assert.deepEqual(
      { outcome: event.outcome, tls: event.tls, dane: event.dane, dnssec: event.dnssec },
      { outcome: expected.outcome, tls: expected.tls, dane: expected.dane, dnssec: expected.dnssec },
      `${JSON.stringify(event)}`,
    );
    assert.match(statusOf(event), statusPattern(expected.status));
    const held = await heldFor(recipient, expected.receivedBy !== undefined);
    assert.deepEqual(
      held.map(({ host, channel }) => ({ host, channel })),
      expected.receivedBy === undefined ? [] : [{ host: expected.receivedBy, channel: expected.channel }],
    );
    const body = contentFor(recipient).replaceAll("\r\n", "\n");
    for (const { content } of held) assert.ok(content.replaceAll("\r\n", "\n").endsWith(body), content);
  };

  for (const scenario of SCENARIOS)
    test(`${scenario.domain}: ${scenario.shows}: ${scenario.expected.outcome}, ${scenario.expected.tls}`, () => check(scenario));

  test("nobody holds anything else, but for one bounce for each failed recipient", async () => {
    const failed = SCENARIOS.filter(({ expected }) => expected.outcome === "failed").map(({ domain }) => recipientOf(domain));
    const bounces = async (): Promise<Stored[]> => (await lab.stored()).filter(({ recipient }) => recipient === SENDER);
    const deadline = performance.now() + STORE_SECONDS * 1000;
    while ((await bounces()).length < failed.length && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 50));
    const about = (await bounces()).map(({ content }) => /^Final-Recipient: rfc822;\s*(.*)$/im.exec(content)?.[1]);
    assert.deepEqual(about.toSorted(), failed.toSorted());
    const expected = SCENARIOS.filter(({ expected: { receivedBy } }) => receivedBy !== undefined).length + failed.length;
    assert.equal((await lab.stored()).length, expected);
  });
});
