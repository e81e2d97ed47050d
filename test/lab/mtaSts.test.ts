import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Interference } from "./dnsProxy.ts";
import { type Lab, startLab } from "./lab.ts";
import { type RelayEvent, type RelayProcess, relayPorts, startRelayProcess } from "./relayProcess.ts";
import type { Scenario } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";

/**
 * RFC 8461 §10.2 with the real relay: an attacker who forges MX records and blocks TXT and HTTPS gets the mail of a sender who never heard of
 * the policy, and none of a sender who has it in the cache, restarts included.
 */
const SENDER = "tester@sts.lab";
const TRAP: Scenario = {
  domain: "trap.lab",
  shows: "where the attacker wants the mail",
  hosts: [{ name: "mx.trap.lab", server: "postfix-clear" }],
  expected: {
    outcome: "delivered",
    tls: "",
    dane: "no-tlsa",
    dnssec: { mx: "secure", address: "secure", tlsa: "secure" },
    status: "2",
  },
};

/** Unsigned names may be forged; what is about MTA-STS is not answered. */
const ATTACK: Interference = {
  question: ({ name, type }) => {
    if (/^_?mta-sts\./.test(name)) return "servfail";
    if (name !== "sts.lab" || type !== "MX") return "pass";
    return { forge: { answers: [{ name, type: "MX", ttl: 300, data: { preference: 5, exchange: "mx.trap.lab" } }] } };
  },
};

describe("an attacker who blocks MTA-STS", () => {
  let lab: Lab;

  before(async () => {
    lab = await startLab([...SCENARIOS.filter(({ domain }) => domain === "sts.lab"), TRAP]);
  });

  after(async () => {
    await lab?.stop();
  });

  const send = async (relay: RelayProcess, recipient: string): Promise<RelayEvent> => {
    await relay.submit([{ sender: SENDER, recipient, content: "Subject: x\r\n\r\nx\r\n" }]);
    return relay.event(`delivery to ${recipient}`, (event) => event.event === "delivery" && event.recipient === recipient);
  };

  const trapped = async (): Promise<string[]> =>
    (await lab.stored()).filter(({ host }) => host === "mx.trap.lab").map(({ recipient }) => recipient);

  test("a cached policy holds over a restart; without one the attack succeeds", async () => {
    const honest = await startRelayProcess(lab, "relay", relayPorts(lab, 0));
    try {
      const first = await send(honest, "first@sts.lab");
      assert.deepEqual([first.outcome, first.tls, first.sts], ["delivered", "sts", { mode: "enforce", result: "success" }]);
      const learned = await honest.event("the policy", (event) => event.event === "sts");
      assert.deepEqual([learned.state, learned.domain, learned.mode], ["policy", "sts.lab", "enforce"]);
    } finally {
      await honest.stop();
    }

    const attacker = await lab.startLiar(ATTACK);
    const upstreams = [attacker.address];
    const attacked = await startRelayProcess(lab, "relay", { ...relayPorts(lab, 0), upstreams });
    const ignorant = await startRelayProcess(lab, "ignorant", { ...relayPorts(lab, 1), upstreams });
    try {
      const second = await send(attacked, "second@sts.lab");
      assert.deepEqual([second.outcome, second.tls, second.host], ["deferred", "!sts:noconnect", "mx.trap.lab"]);
      assert.match(String(second.reason), /not among the mail hosts that the MTA-STS policy of sts\.lab allows/);
      const third = await send(ignorant, "third@sts.lab");
      assert.deepEqual([third.outcome, third.tls, third.host], ["delivered", "may:none", "mx.trap.lab"]);
      const deadline = performance.now() + 10_000;
      while ((await trapped()).length === 0 && performance.now() < deadline)
        await new Promise((resolve) => setTimeout(resolve, 50));
      assert.deepEqual(await trapped(), ["third@sts.lab"]);
    } finally {
      await attacked.stop();
      await ignorant.stop();
      await attacker.stop();
    }
  });
});
