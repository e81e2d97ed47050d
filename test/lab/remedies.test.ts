import assert from "node:assert/strict";
import { hostname } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { systemClock, systemRandom } from "../../src/clock.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { Explanation } from "../../src/diagnosis/explanation.ts";
import { explanationText } from "../../src/diagnosis/explanationText.ts";
import { FAILURE_CLASSES, type Finding } from "../../src/diagnosis/finding.ts";
import { openExplain } from "../../src/relay/explainAlone.ts";
import { serves } from "../fake/policyHost.ts";
import { PLACES } from "./addresses.ts";
import { type Lab, startLab } from "./lab.ts";
import { startStrippingNamed } from "./named.ts";
import { relayConfiguration } from "./relayConfiguration.ts";
import { type RelayProcess, startRelayProcess } from "./relayProcess.ts";
import { RENEWED, STRIPPED, TROUBLES, type Trouble } from "./remedies.ts";
import { republish, signFirst } from "./republish.ts";
import { contentFor, heldFor, SENDER } from "./rowCheck.ts";
import { SCENARIOS } from "./scenarios.ts";
import type { Receiver } from "./world.ts";

/**
 * Every failure class on real servers: `explain` names it, the link and what to do; that is done, to the letter; then `explain` and the relay
 * find the domain as it should be, and the mail arrives.
 */
const ROWS = SCENARIOS.filter(({ domain }) => TROUBLES.some((trouble) => trouble.domain === domain));
const PARALLEL = 6;
const PATIENCE_SECONDS = 120;
const LOOKUP_SECONDS = 30;
const SPOOL = "remedies-spool";

function shown({ class: name }: Trouble): string {
  return name;
}

describe("what explain says to do, for every failure class", () => {
  let lab: Lab;
  let named: Awaited<ReturnType<typeof startStrippingNamed>>;
  const found = new Map<Trouble, { finding: Finding | undefined; explanation: Explanation }>();
  const mended = new Map<Trouble, Explanation>();
  let relay: RelayProcess;

  /** Asks anew, with the state that the relay has left. */
  const explained = async (target: string, way: "the root" | "the stripping resolver"): Promise<Explanation> => {
    const host = lab.block.address(PLACES.relay);
    const settings = {
      upstreams: [named.upstream],
      trustAnchorFile: lab.trustAnchorFile,
      rootHintsFile: lab.rootHintsFile,
      caFile: lab.caFile,
      submission: `${host}:2525`,
      admin: `${host}:9025`,
      spool: join(lab.directory, SPOOL),
      mode: way === "the root" ? "recursive" : "forward",
      lookupSeconds: LOOKUP_SECONDS,
    } as const;
    const text = JSON.stringify(relayConfiguration(settings));
    const loaded = loadConfig({ environment: {}, readFile: () => ({ kind: "text", text }), hostname: hostname(), file: "lab" });
    if (loaded.kind === "invalid") throw new Error(JSON.stringify(loaded.errors));
    const opened = await openExplain(loaded.config, { clock: systemClock, random: systemRandom });
    const explanation = await opened.explain(target).finally(opened.close);
    if (explanation.kind === "error") throw new Error(explanation.reason);
    return explanation;
  };

  /** Until the servers have loaded what was changed. */
  const explainedAs = async (
    target: string,
    way: "the root" | "the stripping resolver",
    wanted: (explanation: Explanation) => boolean,
  ): Promise<Explanation> => {
    const deadline = performance.now() + PATIENCE_SECONDS * 1000;
    for (;;) {
      const explanation = await explained(target, way);
      if (wanted(explanation) || performance.now() > deadline) return explanation;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };

  const inParallel = async (work: (trouble: Trouble) => Promise<void>): Promise<void> => {
    const queue = [...TROUBLES];
    const worker = async (): Promise<void> => {
      for (let one = queue.shift(); one !== undefined; one = queue.shift()) await work(one);
    };
    await Promise.all(Array.from({ length: PARALLEL }, worker));
  };

  const startRelay = (name: string): Promise<RelayProcess> =>
    startRelayProcess(lab, name, {
      mode: "recursive",
      spool: join(lab.directory, SPOOL),
      lookupSeconds: LOOKUP_SECONDS,
      retryInitialSeconds: 2,
    });

  const deliveryTo = (recipient: string, outcome: "delivered" | "deferred") =>
    relay.event(
      `delivery to ${recipient}`,
      (seen) => seen.event === "delivery" && seen.recipient === recipient && seen.outcome === outcome,
      PATIENCE_SECONDS,
    );

  const receiverOf = (name: string): Receiver => {
    const receiver = lab.world.receivers.find((one) => one.name === name);
    if (receiver === undefined) throw new Error(`no receiver ${name}`);
    return receiver;
  };

  before(async () => {
    lab = await startLab(ROWS);
    named = await startStrippingNamed({ directory: lab.directory, upstream: lab.plainRecursor });
    // A relay delivers; then the certificate is renewed, and the policy that it has kept is the wrong one.
    relay = await startRelay("before");
    try {
      const recipients = [`before@${RENEWED.domain}`, "before@sts-mx-mismatch.lab"];
      await relay.submit(recipients.map((recipient) => ({ sender: "", recipient, content: contentFor(recipient) })));
      assert.equal((await deliveryTo(`before@${RENEWED.domain}`, "delivered")).dane, "authenticated");
      await deliveryTo("before@sts-mx-mismatch.lab", "deferred");
    } finally {
      await relay.stop();
    }
    RENEWED.change(receiverOf(RENEWED.host), lab.pki);
    await lab.reloadReceivers();
    await inParallel(async (trouble) => {
      const way = trouble.domain === STRIPPED ? "the stripping resolver" : "the root";
      // On a machine that is busy with something else any look-up may take too long: then it is asked again.
      const findingIn = ({ findings }: Explanation) =>
        findings.find((one) => one.class === trouble.class && one.host === trouble.host);
      const explanation = await explainedAs(trouble.domain, way, (seen) => findingIn(seen) !== undefined);
      found.set(trouble, { explanation, finding: findingIn(explanation) });
    });
  });

  after(async () => {
    await relay?.stop();
    await named?.daemon.stop();
    await lab?.stop();
  });

  test("each class has its domain", () => {
    assert.deepEqual(TROUBLES.map(shown).sort(), [...FAILURE_CLASSES].sort());
  });

  for (const trouble of TROUBLES)
    test(`${trouble.class}: ${trouble.domain}: the class, the link, the actor and what to do`, () => {
      const { finding, explanation } = found.get(trouble) ?? {};
      const text = explanation === undefined ? "" : explanationText(explanation);
      assert.ok(finding !== undefined, text);
      const { actor, severity, host } = finding;
      assert.deepEqual(
        { actor, severity, host },
        { actor: trouble.actor, severity: trouble.severity ?? "error", host: trouble.host },
      );
      assert.match(`${finding.explanation} ${finding.remedy}`, trouble.says);
      if (severity === "error") assert.notEqual(explanation?.verdict.kind, "deliverable", text);
    });

  test("everything is done as explain says", async () => {
    const lines: string[] = [];
    const again: string[] = [];
    for (const trouble of TROUBLES) {
      const { mend, domain, host } = trouble;
      const paste = found.get(trouble)?.finding?.paste ?? [];
      switch (mend.by) {
        case "paste":
          assert.ok(paste.length > 0, `${domain} has nothing to paste`);
          lines.push(...paste);
          break;
        case "policy": {
          const [mx = "", ...records] = paste;
          const policyHost = lab.world.policyHosts.find(({ name }) => name === `mta-sts.${domain}`);
          assert.ok(policyHost !== undefined && records.length === 1, paste.join("\n"));
          policyHost.answer = serves(["version: STSv1", "mode: enforce", mx, "max_age: 86400", ""].join("\r\n"));
          lines.push(...records);
          break;
        }
        case "sign":
          again.push(domain);
          break;
        case "sign-first":
          lines.push(...(await signFirst(lab, domain)));
          break;
        case "records":
          lines.push(...mend.records(lab.world.receivers.find(({ name }) => name === host)?.address ?? ""));
          if (mend.change !== undefined) mend.change(receiverOf(host), lab.pki);
          break;
        case "receiver":
          mend.change(receiverOf(host), lab.pki);
          break;
        case "name-servers":
          lab.repairNameServers();
          break;
        case "resolver":
          // From here on everything is asked from the root.
          break;
        default:
          mend satisfies never;
      }
    }
    await republish(lab, lines, again);
    await lab.reloadReceivers();
    await inParallel(async (trouble) => {
      const isMended = ({ verdict, findings }: Explanation): boolean =>
        verdict.kind === "deliverable" && findings.every((one) => one.class !== trouble.class);
      mended.set(trouble, await explainedAs(trouble.domain, "the root", isMended));
    });
    relay = await startRelay("after");
    const recipients = TROUBLES.map(({ domain }) => `after@${domain}`);
    await relay.submit(recipients.map((recipient) => ({ sender: SENDER, recipient, content: contentFor(recipient) })));
  });

  for (const trouble of TROUBLES)
    test(`${trouble.class}: ${trouble.domain}: mended, for explain and for the mail`, async () => {
      const explanation = mended.get(trouble);
      const text = explanation === undefined ? "" : explanationText(explanation);
      assert.equal(explanation?.verdict.kind, "deliverable", text);
      assert.equal(explanation.verdict.dane, trouble.afterwards, text);
      assert.ok(!explanation.findings.some((finding) => finding.class === trouble.class), text);
      const recipient = `after@${trouble.domain}`;
      const { dane } = await deliveryTo(recipient, "delivered");
      assert.equal(dane, trouble.afterwards);
      const [held, ...more] = await heldFor(recipient, lab, true);
      assert.deepEqual([held?.channel, more], ["tls", []]);
    });
});
