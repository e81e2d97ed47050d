import assert from "node:assert/strict";
import type { Lab } from "./lab.ts";
import type { Stored } from "./postfix.ts";
import type { RelayEvent, RelayProcess } from "./relayProcess.ts";
import type { Scenario } from "./scenario.ts";

/** One row, judged twice: by what the relay says (its delivery event), and by what the receivers hold, which the relay has no say in. */
export const SENDER = "tester@no-tlsa.lab";
export const STORE_SECONDS = 60;

export function contentFor(recipient: string): string {
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

/** The row's recipient as the lab has placed it (an address literal has the receiver's address). */
export function recipientIn(lab: Lab, domain: string): string {
  return lab.world.scenarios.find((row) => row.domain === domain)?.recipient ?? "";
}

/** What the receivers hold for the recipient; waits for it where something is expected. */
export async function heldFor(recipient: string, lab: Lab, expectSome: boolean): Promise<Stored[]> {
  const deadline = performance.now() + STORE_SECONDS * 1000;
  for (;;) {
    const held = (await lab.stored()).filter((stored) => stored.recipient === recipient);
    if (!expectSome || held.length > 0 || performance.now() > deadline) return held;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function checkRow({ domain, expected }: Scenario, lab: Lab, relay: RelayProcess): Promise<void> {
  const recipient = recipientIn(lab, domain);
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
  const held = await heldFor(recipient, lab, expected.receivedBy !== undefined);
  assert.deepEqual(
    held.map(({ host, channel }) => ({ host, channel })),
    expected.receivedBy === undefined ? [] : [{ host: expected.receivedBy, channel: expected.channel }],
  );
  const body = contentFor(recipient).replaceAll("\r\n", "\n");
  for (const { content } of held) assert.ok(content.replaceAll("\r\n", "\n").endsWith(body), content);
}
