import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { hostname } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { systemClock, systemRandom } from "../../src/clock.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";
import type { Explanation } from "../../src/diagnosis/explanation.ts";
import { explanationText } from "../../src/diagnosis/explanationText.ts";
import type { Actor, FailureClass } from "../../src/diagnosis/finding.ts";
import { type ExplainAlone, openExplain } from "../../src/relay/explainAlone.ts";
import { PLACES } from "./addresses.ts";
import { type Lab, startLab } from "./lab.ts";
import { relayConfiguration, writeRelayConfiguration } from "./relayConfiguration.ts";
import { recipientIn } from "./rowCheck.ts";
import type { Scenario } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";

/**
 * `explain` in front of the whole table: it comes to what a delivery comes to, and names the class.
 */

/** What is wrong with a row, and who mends it. That what is to be done helps is in remedies.test.ts. */
const TROUBLES: Readonly<Record<string, { class: FailureClass; actor: Actor }>> = {
  "mismatch.lab": { class: "tlsa-mismatch", actor: "dns-operator" },
  "empty-digest.lab": { class: "tlsa-empty-digest", actor: "dns-operator" },
  "ta-former-key.lab": { class: "tlsa-wrong-ca-key", actor: "dns-operator" },
  "wrong-selector.lab": { class: "tlsa-wrong-parameters", actor: "dns-operator" },
  "shared-by-mistake.lab": { class: "tlsa-shared-by-mistake", actor: "dns-operator" },
  "rollover-certificate-only.lab": { class: "tlsa-mismatch", actor: "dns-operator" },
  "ta-self-signed.lab": { class: "tlsa-mismatch", actor: "dns-operator" },
  "unusable.lab": { class: "tlsa-unusable", actor: "dns-operator" },
  "no-ds.lab": { class: "dnssec-no-ds", actor: "parent-zone" },
  "wrong-ds.lab": { class: "dnssec-unknown-key", actor: "parent-zone" },
  "expired.lab": { class: "dnssec-expired", actor: "dns-operator" },
  "future.lab": { class: "dnssec-not-yet-valid", actor: "dns-operator" },
  "bogus-tlsa.lab": { class: "dnssec-bad-signature", actor: "dns-operator" },
  "unsigned-tlsa.lab": { class: "dnssec-bad-signature", actor: "dns-operator" },
  "bogus-mx.lab": { class: "dnssec-bad-signature", actor: "dns-operator" },
  "bogus-denial.lab": { class: "dnssec-bad-denial", actor: "dns-operator" },
  "unsigned.lab": { class: "dnssec-unsigned", actor: "dns-operator" },
  "mx-servfail.lab": { class: "dnssec-lookup-failed", actor: "dns-operator" },
  "tlsa-servfail.lab": { class: "dnssec-lookup-failed", actor: "dns-operator" },
  "no-starttls.lab": { class: "starttls-missing", actor: "mail-operator" },
  "stripped.lab": { class: "starttls-missing", actor: "mail-operator" },
  "starttls-454.lab": { class: "starttls-refused", actor: "mail-operator" },
  "handshake-fails.lab": { class: "handshake-failed", actor: "mail-operator" },
  "ta-expired.lab": { class: "certificate-expired", actor: "mail-operator" },
  "ta-wrong-name.lab": { class: "certificate-name-mismatch", actor: "mail-operator" },
  "ta-not-sent.lab": { class: "certificate-path", actor: "mail-operator" },
  "ee-expired.lab": { class: "rollover-at-risk", actor: "mail-operator" },
  "null-mx.lab": { class: "null-mx", actor: "dns-operator" },
  "nxdomain.lab": { class: "mx-unresolvable", actor: "dns-operator" },
  "no-address.lab": { class: "mx-unresolvable", actor: "dns-operator" },
  "closed.lab": { class: "host-unreachable", actor: "mail-operator" },
  "sts-mx-mismatch.lab": { class: "sts-mismatch", actor: "mail-operator" },
};
const PARALLEL = 6;

function configurationIn(lab: Lab): Config {
  const host = lab.block.address(PLACES.relay);
  const settings = {
    upstreams: [lab.validatingRecursor],
    trustAnchorFile: lab.trustAnchorFile,
    rootHintsFile: lab.rootHintsFile,
    caFile: lab.caFile,
    submission: `${host}:2525`,
    admin: `${host}:9025`,
    spool: join(lab.directory, "explain-spool"),
  } as const;
  const text = JSON.stringify(relayConfiguration(settings));
  const loaded = loadConfig({ environment: {}, readFile: () => ({ kind: "text", text }), hostname: hostname(), file: "lab" });
  if (loaded.kind === "invalid") throw new Error(JSON.stringify(loaded.errors));
  return loaded.config;
}

async function explainedBy({ explain }: ExplainAlone, target: string): Promise<Explanation> {
  const explanation = await explain(target);
  if (explanation.kind === "error") throw new Error(explanation.reason);
  return explanation;
}

describe("explain in the lab", () => {
  let lab: Lab;
  const explained = new Map<string, Explanation>();

  before(async () => {
    lab = await startLab(SCENARIOS);
    const opened = await openExplain(configurationIn(lab), { clock: systemClock, random: systemRandom });
    const queue = [...SCENARIOS];
    const worker = async (): Promise<void> => {
      for (let row = queue.shift(); row !== undefined; row = queue.shift())
        explained.set(row.domain, await explainedBy(opened, recipientIn(lab, row.domain)));
    };
    await Promise.all(Array.from({ length: PARALLEL }, worker)).finally(opened.close);
  });

  after(() => lab?.stop());

  const explanationOf = (domain: string): Explanation => {
    const explanation = explained.get(domain);
    assert.ok(explanation !== undefined, `${domain} was not explained`);
    return explanation;
  };

  for (const { domain, expected } of SCENARIOS satisfies readonly Scenario[])
    test(`${domain}: comes to what the delivery comes to (${expected.outcome}, ${expected.tls})`, () => {
      const explanation = explanationOf(domain);
      const { outcome, tls, dane, dnssec } = explanation.verdict;
      const { outcome: wanted, tls: wantedTls, dane: wantedDane, dnssec: wantedDnssec } = expected;
      assert.deepEqual(
        { outcome, tls, dane, dnssec },
        { outcome: wanted, tls: wantedTls, dane: wantedDane, dnssec: wantedDnssec },
        explanationText(explanation),
      );
      if (outcome === "delivered") assert.equal(explanation.verdict.kind, "deliverable");
      else assert.notEqual(explanation.verdict.kind, "deliverable");
    });

  for (const [domain, trouble] of Object.entries(TROUBLES))
    test(`${domain}: ${trouble.class}, for the ${trouble.actor}`, () => {
      const { findings } = explanationOf(domain);
      const found = findings.find((finding) => finding.class === trouble.class);
      assert.equal(found?.actor, trouble.actor, JSON.stringify(findings));
    });

  test("nothing was sent", async () => {
    assert.deepEqual(await lab.stored(), []);
  });

  test("the command: text, JSON, and its exit status", async () => {
    const file = join(lab.directory, "explain.yaml");
    const host = lab.block.address(PLACES.relay);
    await writeRelayConfiguration(file, {
      upstreams: [lab.validatingRecursor],
      trustAnchorFile: lab.trustAnchorFile,
      rootHintsFile: lab.rootHintsFile,
      submission: `${host}:2525`,
      admin: `${host}:9025`,
      spool: join(lab.directory, "explain-spool"),
    });
    const main = join(import.meta.dirname, "..", "..", "src", "main.ts");
    const run = async (...args: readonly string[]): Promise<{ status: number; out: string }> => {
      const command = promisify(execFile)(process.execPath, [main, "explain", "--config", file, ...args]);
      const ended = command.then(
        ({ stdout }) => ({ status: 0, out: stdout }),
        (error: { code: number; stdout: string }) => ({ status: error.code, out: error.stdout }),
      );
      return await ended;
    };
    const good = await run("ee-spki-sha256.lab");
    assert.equal(good.status, 0);
    assert.match(
      good.out,
      /^ee-spki-sha256\.lab, as of .*\n\nDELIVERABLE: by DANE, authenticated and encrypted to mx\.ee-spki-sha256\.lab\.\n/,
    );
    assert.ok(good.out.split("\n").length < 25, "the good case is one screen");
    const bad = await run("user@ta-expired.lab", "--json");
    assert.equal(bad.status, 1);
    const { target, deliverable, hosts, findings } = JSON.parse(bad.out);
    assert.deepEqual({ target, deliverable }, { target: "user@ta-expired.lab", deliverable: false });
    assert.deepEqual(
      { host: hosts[0].host, tls: hosts[0].tls, dane: hosts[0].dane },
      { host: "mx.ta-expired.lab", tls: "!dane:nocertmatch", dane: "mismatch" },
    );
    assert.deepEqual(Object.keys(findings[0]).sort(), ["actor", "class", "explanation", "host", "remedy", "rfc", "severity"]);
    assert.equal((await run("closed.lab")).status, 3);
    assert.equal((await run("ee-spki-sha256.lab", "--no-connect")).status, 3);
    assert.equal((await run("not a domain")).status, 2);
    assert.equal((await run("ee-spki-sha256.lab", "--at", "soon")).status, 2);
    const later = await run("ee-spki-sha256.lab", "--at", "+400d");
    assert.equal(later.status, 1);
    assert.match(later.out, /error: dnssec-expired/);
  });
});
