import { after, before, describe, test } from "node:test";
import { type Lab, startLab } from "./lab.ts";
import { type RelayProcess, startRelayProcess } from "./relayProcess.ts";
import { checkRow, contentFor, SENDER } from "./rowCheck.ts";
import { CLIENT_MATRIX } from "./scenarios/clientMatrix.ts";

/** The same demands on Postfix, Exim and OpenSMTPD as receivers: two TLS libraries (OpenSSL, GnuTLS), three ways to speak SMTP, one outcome. */
describe("each real server ends as RFC 7672 says", () => {
  let lab: Lab;
  let relay: RelayProcess;

  before(async () => {
    lab = await startLab(CLIENT_MATRIX);
    relay = await startRelayProcess(lab, "relay");
    await relay.submit(
      lab.world.scenarios.map(({ recipient = "" }) => ({ sender: SENDER, recipient, content: contentFor(recipient) })),
    );
  });

  after(async () => {
    await relay?.stop();
    await lab?.stop();
  });

  for (const scenario of CLIENT_MATRIX)
    test(`${scenario.domain}: ${scenario.shows}: ${scenario.expected.outcome}, ${scenario.expected.tls}`, () =>
      checkRow(scenario, lab, relay));
});
