import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import type { ReportedPolicy, TlsReport } from "../../src/tlsrpt/report.ts";
import { checkDkim } from "../fake/dkimVerifier.ts";
import { type ReportReceiver, startReportReceiver } from "../fake/reportReceiver.ts";
import { type Lab, startLab } from "./lab.ts";
import { type RelayProcess, startRelayProcess } from "./relayProcess.ts";
import { authenticated, type Host, type Scenario, tlsa } from "./scenario.ts";

/**
 * TLS reports (RFC 8460) from end to end: the real relay sends mail to domains that are well, and to domains that are not, over a day with a
 * restart in it; on the next day its reports arrive at real servers, by mail and by HTTPS, and say what each domain's operator has to know.
 */

const COLLECTOR = "collector.lab";
/** Nobody takes mail there: what comes back to it is in no report. */
const SENDER = `tester@${COLLECTOR}`;
const POSTED = `https://${COLLECTOR}/v1/tlsrpt`;

/** What the report of each domain must say. `rua` of each leads to its own mailbox; `more`: and to the collector. */
type Row = {
  slug: string;
  hosts: readonly (Omit<Host, "name"> & { name?: string })[];
  more?: typeof POSTED;
  zone?: Scenario["zone"];
  mtaSts?: Scenario["mtaSts"];
  policy: string;
  /** Result type and count of each failure, for `SENDS` messages; "success": that many sessions of that kind. */
  says: Readonly<Record<string, string>>;
};

/** Each message has a connection of its own: those of before the restart are gone, and within a life one is kept open. */
const ROWS: readonly Row[] = [
  { slug: "reports-good", hosts: [{ server: "postfix", tlsa: [tlsa("3 1 1")] }], policy: "tlsa mx.reports-good.lab", says: {} },
  {
    slug: "reports-mismatch",
    hosts: [{ server: "postfix", tlsa: [tlsa("3 1 1", "another-certificate")] }],
    more: POSTED,
    policy: "tlsa mx.reports-mismatch.lab",
    says: { "certificate-not-trusted": "X509_V_ERR_DANE_NO_MATCH: presented 3 1 1 " },
  },
  {
    slug: "reports-expired",
    hosts: [{ server: "postfix", tlsa: [tlsa("2 1 1", "ca")], certificate: { validity: "expired" } }],
    policy: "tlsa mx.reports-expired.lab",
    says: { "certificate-expired": "X509_V_ERR_CERT_HAS_EXPIRED" },
  },
  {
    slug: "reports-name",
    hosts: [{ server: "postfix", tlsa: [tlsa("2 1 1", "ca")], certificate: { names: ["other.invalid"] } }],
    policy: "tlsa mx.reports-name.lab",
    says: { "certificate-host-mismatch": "X509_V_ERR_HOSTNAME_MISMATCH" },
  },
  {
    slug: "reports-clear",
    hosts: [{ server: "postfix-clear", tlsa: [tlsa("3 1 1")] }],
    more: POSTED,
    policy: "tlsa mx.reports-clear.lab",
    says: { "starttls-not-supported": "" },
  },
  {
    slug: "reports-unusable",
    hosts: [{ server: "postfix", tlsa: [tlsa("1 1 1")] }],
    policy: "tlsa mx.reports-unusable.lab",
    says: { "tlsa-invalid": "certificate usage 1 is not for SMTP" },
  },
  {
    slug: "reports-bogus",
    hosts: [{ server: "postfix", tlsa: [tlsa("3 1 1")] }],
    zone: {
      // The record says something else than its signature.
      spoil: (line) => (line.type === "TLSA" ? { ...line, text: line.text.replace(/[0-9a-f]{8}$/i, "00000000") } : line),
    },
    policy: "tlsa mx.reports-bogus.lab",
    says: { "dnssec-invalid": "" },
  },
  {
    slug: "reports-sts",
    hosts: [{ server: "postfix", certificate: { issuer: "self" } }],
    zone: { signing: "unsigned" },
    mtaSts: { mode: "enforce", mx: ["mx.reports-sts.lab"] },
    policy: "sts reports-sts.lab",
    says: { "certificate-not-trusted": "" },
  },
];

function scenarioOf({ slug, hosts, more, zone, mtaSts }: Row): Scenario {
  const domain = `${slug}.lab`;
  const rua = [`mailto:tls%2Breports@${domain}`, ...(more === undefined ? [] : [more])].join(",");
  return {
    domain,
    shows: "TLS reports",
    hosts: hosts.map((host) => ({ name: `mx.${domain}`, ...host })),
    ...(zone === undefined ? {} : { zone }),
    ...(mtaSts === undefined ? {} : { mtaSts }),
    records: [`_smtp._tls.${domain} TXT "v=TLSRPTv1; rua=${rua}"`],
    // Each domain is judged by its report here, and not by the delivery.
    expected: authenticated(`mx.${domain}`),
  };
}

const COLLECTOR_ROW: Scenario = {
  domain: COLLECTOR,
  shows: "where reports are posted to",
  hosts: [{ name: COLLECTOR, mx: "none", server: "closed" }],
  expected: authenticated(COLLECTOR),
};

const DAY_MILLISECONDS = 86_400_000;
const LIVES = 2;
const KEYS = generateKeyPairSync("ed25519");
const CLOCK = join(import.meta.dirname, "shiftedClock.ts");
const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");

describe("TLS reports after a day of good and bad sessions", () => {
  let lab: Lab;
  let collector: ReportReceiver;
  let relay: RelayProcess | undefined;
  let environment: NodeJS.ProcessEnv;
  /** Added to the relay's clock: noon of today, UTC. */
  const now = Date.now();
  const day = Math.floor(now / DAY_MILLISECONDS) * DAY_MILLISECONDS;
  const untilNoon = day + DAY_MILLISECONDS / 2 - now;
  /** Behind the longest random delay of the reports. */
  const untilNextMorning = untilNoon + DAY_MILLISECONDS * (17 / 24);
  const dayText = new Date(day).toISOString().slice(0, 10);

  before(async () => {
    lab = await startLab([...ROWS.map(scenarioOf), COLLECTOR_ROW]);
    const host = lab.world.receivers.find(({ name }) => name === COLLECTOR);
    assert.ok(host !== undefined);
    const { leaf, chainPem } = host.identity;
    collector = await startReportReceiver({ address: host.address, port: 443, certificate: { keyPem: leaf.keyPem, chainPem } });
    const keyFile = join(lab.directory, "dkim.pem");
    writeFileSync(keyFile, KEYS.privateKey.export({ type: "pkcs8", format: "pem" }));
    environment = {
      NODE_OPTIONS: `--import=${CLOCK}`,
      DANE_RELAY_TLSRPT_CONTACT: "tls-reports@relay.lab",
      DANE_RELAY_TLSRPT_ORGANIZATION: "The Lab",
      DANE_RELAY_DKIM_DOMAIN: "relay.lab",
      DANE_RELAY_DKIM_SELECTOR: "tls1",
      DANE_RELAY_DKIM_KEY_FILE: keyFile,
    };
  });
  after(async () => {
    await relay?.stop();
    await collector?.close();
    await lab?.stop();
  });

  const start = async (ahead: number): Promise<RelayProcess> => {
    relay = await startRelayProcess(lab, "relay", {}, { ...environment, TEST_CLOCK_AHEAD: String(ahead) });
    return relay;
  };
  /** One message to each domain, each attempted. */
  const sendAll = async (life: number): Promise<void> => {
    const running = await start(untilNoon);
    const messages = ROWS.map(({ slug }) => ({
      sender: SENDER,
      recipient: `life${life}@${slug}.lab`,
      content: "Subject: x\r\n\r\nx\r\n",
    }));
    await running.submit(messages);
    for (const { recipient } of messages)
      await running.event(recipient, (event) => event.event === "delivery" && event.recipient === recipient);
  };

  /** What the command `tlsrpt` shows. */
  const shownReports = async (ahead: number): Promise<{ day: string; reports: readonly TlsReport[] }> => {
    // Counts are written down every two seconds.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    const command = [MAIN, "tlsrpt", "--json", "--config", join(lab.directory, "relay.yaml")];
    const env = { ...process.env, ...environment, TEST_CLOCK_AHEAD: String(ahead) };
    const { stdout } = await promisify(execFile)(process.execPath, command, { env });
    return JSON.parse(stdout) as { day: string; reports: readonly TlsReport[] };
  };

  const reportAbout = (reports: readonly TlsReport[], slug: string): TlsReport => {
    const found = reports.filter(({ policies }) =>
      policies.some(({ policy }) => policy["policy-domain"].endsWith(`${slug}.lab`)),
    );
    assert.equal(found.length, 1, slug);
    return found[0] as TlsReport;
  };

  test("a day with a restart in it; its counts are to be seen while the relay runs", async () => {
    await sendAll(1);
    await relay?.stop();
    await sendAll(2);
    const shown = await shownReports(untilNoon);
    assert.equal(shown.day, dayText);
    assert.equal(shown.reports.length, ROWS.length);
    const [policy] = reportAbout(shown.reports, "reports-mismatch").policies;
    assert.equal(policy?.summary["total-failure-session-count"], LIVES);
    await relay?.stop();
  });

  test("the next day the reports arrive, by mail at servers that the reports are about, and by HTTPS", async () => {
    const running = await start(untilNextMorning);
    const wanted = ROWS.flatMap(({ slug, more }) => [`${slug} mailed`, ...(more === undefined ? [] : [`${slug} posted`])]);
    for (const [slug, result] of wanted.map((text) => text.split(" ")))
      await running.event(
        `${slug} ${result}`,
        (event) => event.event === "tlsrpt" && event.domain === `${slug}.lab` && event.result === result,
      );
    for (const { slug } of ROWS) {
      const recipient = `tls+reports@${slug}.lab`;
      const delivery = await running.event(recipient, (event) => event.event === "delivery" && event.recipient === recipient);
      // RFC 8460 §3: despite any failure of TLS, and in the log as what it is.
      assert.deepEqual([delivery.outcome, delivery.dane], ["delivered", "exempt"], JSON.stringify(delivery));
    }
    assert.deepEqual(
      collector.requests.map(({ path, headers }) => `${path} ${headers["content-type"]}`),
      ["POST /v1/tlsrpt application/tlsrpt+gzip", "POST /v1/tlsrpt application/tlsrpt+gzip"],
    );
    const metrics = await (await fetch(`http://${running.admin}/metrics`)).text();
    assert.match(metrics, new RegExp(`^dane_relay_tlsrpt_reports_total\\{result="mailed"\\} ${ROWS.length}$`, "m"));
    assert.match(metrics, /^dane_relay_tlsrpt_reports_total\{result="posted"\} 2$/m);
  });

  test("sessions for reports are in no report (RFC 8460 §3)", async () => {
    const waited = "life1@reports-mismatch.lab";
    await relay?.event(waited, (event) => event.event === "delivery" && event.recipient === waited && event.attempt === 2);
    const next = await shownReports(untilNextMorning);
    const domains = next.reports.flatMap(({ policies }) => policies.map(({ policy }) => policy["policy-domain"]));
    // Mail that waits was tried again on that day; to the domain that is well only the report was sent.
    assert.ok(next.day > dayText && domains.includes("mx.reports-mismatch.lab"), JSON.stringify(next));
    assert.ok(!domains.includes("mx.reports-good.lab") && !domains.includes("reports-good.lab"), JSON.stringify(next));
  });

  const mailAbout = async (slug: string): Promise<string> => {
    const recipient = `tls+reports@${slug}.lab`;
    for (let i = 0; i < 200; i += 1) {
      const [mail] = (await lab.stored()).filter((stored) => stored.recipient === recipient);
      if (mail !== undefined) return mail.content;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`no mail for ${recipient}`);
  };

  for (const row of ROWS) {
    const { slug, says, policy: about, more } = row;
    test(`the report about ${slug}: ${Object.keys(says)[0] ?? "success"}`, async () => {
      const mail = (await mailAbout(slug)).replaceAll(/\r?\n/g, "\r\n");
      const report = reportIn(mail);
      checkStructure(report);
      assert.equal(report["date-range"]["start-datetime"], `${dayText}T00:00:00Z`);
      assert.match(
        header(mail, "Subject"),
        new RegExp(`^Report Domain: ${slug}\\.lab Submitter: relay\\.lab Report-ID: <${report["report-id"]}>$`),
      );
      assert.equal(header(mail, "TLS-Report-Domain"), `${slug}.lab`);
      assert.equal(header(mail, "TLS-Report-Submitter"), "relay.lab");
      const own = mail.slice(mail.indexOf("DKIM-Signature:"));
      const [signature] = checkDkim(Buffer.from(own, "latin1"), () => createPublicKey(KEYS.privateKey));
      assert.equal(`${signature?.bodyHash} ${signature?.signature} ${signature?.tags.get("d")}`, "holds holds relay.lab");
      const [policy, ...others] = report.policies;
      assert.deepEqual(others, []);
      assert.ok(policy !== undefined);
      assert.equal(`${policy.policy["policy-type"]} ${policy.policy["policy-domain"]}`, about);
      checkCounts(policy, says, lab.block.prefix);
      if (more !== undefined) assert.deepEqual(reportAbout(collector.reports(), slug), report);
    });
  }

  test("a mismatch names the record that has to be published, and the policy those that are", async () => {
    const receiver = lab.world.receivers.find(({ name }) => name === "mx.reports-mismatch.lab");
    const { policy, "failure-details": details } = reportIn(await mailAbout("reports-mismatch")).policies[0] as ReportedPolicy;
    const { tlsaText } = await import("./pki.ts");
    assert.ok(receiver !== undefined);
    assert.deepEqual(policy["policy-string"], [tlsaText(tlsa("3 1 1", "another-certificate"), receiver.identity, lab.pki)]);
    assert.equal(
      details[0]?.["failure-reason-code"],
      `X509_V_ERR_DANE_NO_MATCH: presented ${tlsaText(tlsa("3 1 1"), receiver.identity, lab.pki)}`,
    );
  });
});

function header(mail: string, name: string): string {
  const top = mail.slice(0, mail.indexOf("\r\n\r\n")).replaceAll(/\r\n[ \t]+/g, " ");
  return new RegExp(`^${name}: (.*)$`, "im").exec(top)?.[1]?.trim() ?? "";
}

function reportIn(mail: string): TlsReport {
  const part = mail.replaceAll("\r\n", "\n").split("Content-Type: application/tlsrpt+gzip")[1] ?? "";
  const base64 = part.slice(part.indexOf("\n\n"), part.indexOf("\n--"));
  return JSON.parse(gunzipSync(Buffer.from(base64, "base64")).toString()) as TlsReport;
}

/** RFC 8460 §4.4, field by field: what must be there, of which type, and nothing else. */
function checkStructure(report: TlsReport): void {
  const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
  assert.deepEqual(Object.keys(report).toSorted(), ["contact-info", "date-range", "organization-name", "policies", "report-id"]);
  assert.equal(report["organization-name"], "The Lab");
  assert.equal(report["contact-info"], "tls-reports@relay.lab");
  assert.match(report["report-id"], /^[^\s<>@]+@relay\.lab$/);
  assert.match(report["date-range"]["start-datetime"], instant);
  assert.match(report["date-range"]["end-datetime"], instant);
  assert.ok(report.policies.length > 0);
  for (const { policy, summary, "failure-details": details } of report.policies) {
    assert.ok(["tlsa", "sts", "no-policy-found"].includes(policy["policy-type"]));
    assert.ok(Array.isArray(policy["policy-string"]));
    assert.equal(policy["policy-type"] === "sts", Array.isArray(policy["mx-host"]));
    for (const count of Object.values(summary)) assert.ok(Number.isSafeInteger(count) && count >= 0);
    const failed = details.reduce((sum, detail) => sum + detail["failed-session-count"], 0);
    assert.equal(failed, summary["total-failure-session-count"]);
  }
}

function checkCounts({ policy, summary, "failure-details": details }: ReportedPolicy, says: Row["says"], network: string): void {
  const types = Object.keys(says);
  // With the day's end no life's count is lost.
  const expected = types.length === 0 ? [LIVES, 0] : [0, LIVES];
  assert.deepEqual([summary["total-successful-session-count"], summary["total-failure-session-count"]], expected);
  assert.deepEqual(
    details.map((detail) => detail["result-type"]),
    types,
  );
  for (const detail of details) {
    const reason = detail["failure-reason-code"] ?? "";
    assert.ok(reason.startsWith(says[detail["result-type"]] ?? ""), reason);
    assert.match(detail["receiving-mx-hostname"] ?? "", /^mx\.reports-[a-z]+\.lab$/);
    // Nobody was connected to where DNSSEC kept the relay away.
    if (detail["result-type"] === "dnssec-invalid") continue;
    assert.ok(detail["receiving-ip"]?.startsWith(network), JSON.stringify(policy));
    assert.match(detail["sending-mta-ip"] ?? "", /^127\./);
    assert.match(detail["receiving-mx-helo"] ?? "", /\./);
  }
}
