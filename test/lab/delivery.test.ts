import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Lab, startLab } from "./lab.ts";
import type { Stored } from "./postfix.ts";
import { type RelayProcess, startRelayProcess } from "./relayProcess.ts";
import { checkRow, contentFor, recipientIn, SENDER, STORE_SECONDS } from "./rowCheck.ts";
import { SCENARIOS } from "./scenarios.ts";

/**
 * One message to each row of the table, through the real relay process and the lab's real servers. Each row is judged twice: by what the
 * relay says (its delivery event), and by what the receivers hold, which the relay has no say in.
 */
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

  const recipientOf = (domain: string): string => recipientIn(lab, domain);

  for (const scenario of SCENARIOS)
    test(`${scenario.domain}: ${scenario.shows}: ${scenario.expected.outcome}, ${scenario.expected.tls}`, () =>
      checkRow(scenario, lab, relay));

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
