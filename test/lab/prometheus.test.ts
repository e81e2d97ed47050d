import assert from "node:assert/strict";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createTransport } from "nodemailer";
import { stringify } from "yaml";
import { makeUser, writeUsers } from "../fake/submissionUsers.ts";
import { type Daemon, startDaemon } from "./daemon.ts";
import { type Lab, startLab } from "./lab.ts";
import { issue } from "./pki.ts";
import { relayConfiguration } from "./relayConfiguration.ts";
import { type Scenario, tlsa } from "./scenario.ts";
import { breakSignatures } from "./scenarios/security.ts";

/**
 * Prometheus itself scrapes two relays that get into trouble, and each alert fires on the condition that it names. What promtool plays with made-up
 * series happens here for once: `lonely` has no resolver, and one exception that ends soon; `busy` has mail for hosts that are not
 * what DNS says, loses its files, and then its disk.
 */
const ROOT = join(import.meta.dirname, "..", "..");
const MAIN = join(ROOT, "src", "main.ts");
const ALERTS = join(ROOT, "deploy", "helm", "dane-relay", "files", "alerts.yaml");
const WAIT_MILLISECONDS = 60_000;
const POLL_MILLISECONDS = 100;
/** Alerts that wait for hours are not for a test: each time in the rules is shorter by this, and nothing else in them is another. */
const FASTER = 720;
/** Of an hour ago nothing is known yet, or little: a burst that was not seen in time is over when the next one begins. */
const BURST = 60;
const BURST_MILLISECONDS = 10_000;
const SPOOL_MEBIBYTES = 64;
const TOKEN = "the-token-of-the-prometheus-test";

/** Any domain below these has the same mail host. */
function wildcard(domain: string, shows: Omit<Scenario, "domain" | "shows" | "records" | "expected">): Scenario {
  const expected = { outcome: "deferred", tls: "", dane: "mismatch", status: "" } as const;
  return {
    ...{ domain, shows: "", records: [`*.${domain} MX 10 mx.${domain}.`], ...shows },
    expected: { ...expected, dnssec: { mx: "secure", address: "secure", tlsa: "secure" } },
  };
}

const SCENARIOS: readonly Scenario[] = [
  wildcard("mismatch.lab", {
    hosts: [{ name: "mx.mismatch.lab", server: "postfix", tlsa: [tlsa("3 1 1", "another-certificate")] }],
  }),
  // Its records pin a certificate that has ended: good for DANE-EE until it is renewed.
  wildcard("renewal.lab", {
    hosts: [{ name: "mx.renewal.lab", server: "postfix", certificate: { validity: "expired" }, tlsa: [tlsa("3 1 1")] }],
  }),
  wildcard("bogus.lab", {
    hosts: [{ name: "mx.bogus.lab", server: "closed", tlsa: [tlsa("3 1 1")] }],
    zone: { spoil: breakSignatures("TLSA") },
  }),
];

type Alert = {
  state: string;
  labels: { alertname: string; instance?: string; job?: string; file?: string };
  annotations: { summary: string };
};

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** The rules as they are shipped, FASTER times as fast: for how long, over what time, since when; and "2 * 3600" or "3 * 86400" seconds. */
function faster(rules: string): string {
  const shortened = (count: string, unit: string): string =>
    `${Math.round((Number(count) * (UNIT_SECONDS[unit] ?? Number.NaN) * 1000) / FASTER)}ms`;
  return rules
    .replaceAll(
      /(for: |\[|offset )(\d+)([smhd])\b/g,
      (_, before: string, count: string, unit: string) => before + shortened(count, unit),
    )
    .replaceAll(/\* (3600|86400)\b/g, (_, seconds: string) => `* ${Number(seconds) / FASTER}`);
}

test("the rules are made faster, and nothing else is done to them", async () => {
  const shipped = await readFile(ALERTS, "utf8");
  const times = /\b\d+(?:\.\d+)?(?:ms|[smhd])\b|\* [\d.]+$/gm;
  assert.equal(faster(shipped).replaceAll(times, "TIME"), shipped.replaceAll(times, "TIME"));
  assert.equal(faster("for: 10m"), "for: 833ms");
  assert.equal(faster("(x[30m] offset 1h)) > 4 * 3600"), "(x[2500ms] offset 5000ms)) > 4 * 5");
  assert.doesNotMatch(faster(shipped), /(?:for: |\[|offset )\d+[smhd]\b|\* (?:3600|86400)\b/);
});

describe("Prometheus and two relays in trouble", () => {
  const open: Daemon[] = [];
  const relays = new Map<"lonely" | "busy", Daemon>();
  let lab: Lab;
  let prometheus: string;
  const place = (file: string): string => join(lab.directory, file);
  const addressOf = (relay: "lonely" | "busy", port: number): string =>
    `${lab.block.address(relay === "lonely" ? 12 : 13)}:${port}`;

  async function startRelay(name: "lonely" | "busy", settings: object, command: readonly [string, ...string[]]): Promise<void> {
    await writeFile(place(`${name}.yaml`), stringify(settings));
    const [program, ...words] = command;
    const daemon = await startDaemon({
      name,
      command: program,
      arguments: words,
      logFile: place(`${name}.log`),
      ready: () => answers(`http://${addressOf(name, 9025)}/readyz`),
    });
    open.push(daemon);
    relays.set(name, daemon);
  }

  const common = (name: "lonely" | "busy", upstream: string): { delivery?: object } =>
    relayConfiguration({
      upstreams: [upstream],
      trustAnchorFile: lab.trustAnchorFile,
      rootHintsFile: lab.rootHintsFile,
      submission: addressOf(name, 2525),
      admin: addressOf(name, 9025),
      spool: place(`${name}-spool`),
      lookupSeconds: name === "lonely" ? 1 : 10,
    });

  /** Nobody listens where it asks: no look-up succeeds, nothing is validated, and mail waits. */
  async function startLonely(): Promise<void> {
    const settings = common("lonely", lab.block.address(14));
    const expires = new Date(Date.now() + 350_000).toISOString().replace(/\.\d+Z$/, "Z");
    const tlsPolicies = [{ domain: "old.example", level: "may", reason: "their renewal", expires }];
    const all = { ...settings, delivery: { ...settings.delivery, tlsPolicies } };
    await startRelay("lonely", all, [process.execPath, MAIN, "serve", "--config", place("lonely.yaml")]);
  }

  /** Its spool is on a small disk, that something else fills once there is a file named "fill". */
  async function startBusy(): Promise<void> {
    await mkdir(place("busy-spool"), { recursive: true });
    const { leaf, chainPem } = issue(lab.pki, "relay.lab", {});
    await writeFile(place("certificate.pem"), chainPem);
    await writeFile(place("key.pem"), leaf.keyPem, { mode: 0o600 });
    await writeFile(place("token"), TOKEN, { mode: 0o600 });
    writeUsers(place("users"), [await makeUser("shop", "password")]);
    const settings = {
      ...common("busy", lab.validatingRecursor),
      stateDirectory: place("busy-state"),
      submission: {
        listen: [addressOf("busy", 2525)],
        tls: { certificateFile: place("certificate.pem"), keyFile: place("key.pem") },
        usersFile: place("users"),
      },
      admin: { listen: addressOf("busy", 9025), tokenFile: place("token") },
    };
    const script = [
      `set -e; cd '${lab.directory}'`,
      `mount -t tmpfs -o size=${SPOOL_MEBIBYTES}m none busy-spool`,
      `(until [ -e fill ]; do sleep 0.2; done; head -c ${SPOOL_MEBIBYTES - 3}M /dev/zero >busy-spool/other) &`,
      `echo $$ >busy.pid`,
      `exec '${process.execPath}' '${MAIN}' serve --config busy.yaml`,
    ].join("\n");
    await startRelay("busy", settings, ["unshare", "--mount", "sh", "-c", script]);
  }

  async function stopRelay(name: "lonely" | "busy"): Promise<void> {
    const daemon = relays.get(name);
    assert.ok(daemon !== undefined);
    await daemon.stop();
    open.splice(open.indexOf(daemon), 1);
  }

  /** What it has seen of hosts is counted at a start, and then every ten minutes. */
  async function seeHostAtRisk(): Promise<void> {
    await submit("busy", ["u@renewal.lab"]);
    const deadline = performance.now() + WAIT_MILLISECONDS;
    while (!/"outcome":"delivered"/.test(relays.get("busy")?.log() ?? "")) {
      assert.ok(performance.now() < deadline, relays.get("busy")?.log().slice(-1500));
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
    }
    await stopRelay("busy");
  }

  async function startPrometheus(): Promise<void> {
    prometheus = `${lab.block.address(15)}:9090`;
    await writeFile(place("alerts.yaml"), faster(await readFile(ALERTS, "utf8")));
    const targets = [addressOf("lonely", 9025), addressOf("busy", 9025)];
    const configuration = {
      global: { scrape_interval: "500ms", scrape_timeout: "500ms", evaluation_interval: "250ms" },
      rule_files: ["alerts.yaml"],
      // As the pods' annotations have it: the job says nothing of what it is.
      scrape_configs: [{ job_name: "kubernetes-pods", static_configs: [{ targets }] }],
    };
    await writeFile(place("prometheus.yaml"), stringify(configuration));
    open.push(
      await startDaemon({
        name: "prometheus",
        command: "prometheus",
        arguments: [
          `--config.file=${place("prometheus.yaml")}`,
          `--storage.tsdb.path=${place("series")}`,
          `--web.listen-address=${prometheus}`,
        ],
        logFile: place("prometheus.log"),
        ready: () => answers(`http://${prometheus}/-/ready`),
      }),
    );
  }

  before(async () => {
    lab = await startLab(SCENARIOS);
    await startLonely();
    await submit("lonely", ["b@waits.example"]);
    await startBusy();
    await seeHostAtRisk();
    await startBusy();
    await startPrometheus();
  });

  after(async () => {
    for (const daemon of open.reverse()) await daemon.stop();
    await lab?.stop();
  });

  async function submit(relay: "lonely" | "busy", to: readonly string[], auth?: { user: string; pass: string }): Promise<void> {
    const [host, port] = addressOf(relay, 2525).split(":");
    const transport = createTransport({
      host,
      port: Number(port),
      tls: { rejectUnauthorized: false },
      ...(auth === undefined ? { ignoreTLS: true } : { auth }),
    });
    try {
      await transport.sendMail({ from: "a@relay.lab", to: [...to], subject: "waits", text: "for better times" });
    } finally {
      transport.close();
    }
  }

  async function ask(path: string): Promise<unknown> {
    const response = await fetch(`http://${prometheus}/api/v1/${path}`);
    assert.equal(response.status, 200, path);
    return ((await response.json()) as { data: unknown }).data;
  }

  async function firing(): Promise<readonly Alert[]> {
    const { alerts } = (await ask("alerts")) as { alerts: Alert[] };
    return alerts.filter(({ state }) => state === "firing");
  }

  /** Alert and relay, or job where it is of all replicas, and file. */
  function nameOf({ labels: { alertname, instance, job = "", file } }: Alert): string {
    const relay = (["lonely", "busy"] as const).find((one) => addressOf(one, 9025) === instance);
    return [alertname.replace("DaneRelay", ""), relay ?? job, ...(file === undefined ? [] : [file])].join(" ");
  }

  /** Waits until `wanted` holds of what fires; rejects with what fires when it does not in time. */
  async function until(
    wanted: (names: readonly string[]) => boolean,
    milliseconds = WAIT_MILLISECONDS,
  ): Promise<readonly Alert[]> {
    const deadline = performance.now() + milliseconds;
    for (;;) {
      const alerts = await firing();
      const names = alerts.map(nameOf).sort();
      if (wanted(names)) return alerts;
      assert.ok(performance.now() < deadline, `firing: ${names.join(", ")}\n${relays.get("busy")?.log().slice(-1500)}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
    }
  }

  async function untilFiring(name: string, milliseconds?: number): Promise<Alert> {
    const found = (await until((names) => names.includes(name), milliseconds)).find((alert) => nameOf(alert) === name);
    assert.ok(found !== undefined && !/<no value>|error/.test(found.annotations.summary), found?.annotations.summary);
    return found;
  }

  /** Not yet, or no more: a scrape that was late on a busy machine is no trouble of the relay's. */
  async function untilSilent(alert: string): Promise<void> {
    await until((names) => !names.some((name) => name.startsWith(alert)));
  }

  /** The log's `config` lines: key and reason. */
  const configLines = (): readonly string[] =>
    (relays.get("busy")?.log() ?? "").split("\n").filter((line) => line.includes('"event":"config"'));

  test("it scrapes both without a complaint", async () => {
    const deadline = performance.now() + WAIT_MILLISECONDS;
    for (;;) {
      const { activeTargets } = (await ask("targets")) as { activeTargets: { health: string; lastError: string }[] };
      if (activeTargets.length === 2 && activeTargets.every(({ health }) => health === "up")) break;
      assert.ok(performance.now() < deadline, activeTargets.map(({ lastError }) => lastError).join());
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
    }
    const names = (await ask("label/__name__/values")) as string[];
    assert.ok(names.includes("dane_relay_queue_messages"));
    assert.ok(names.includes("dane_relay_queue_wait_seconds_bucket"));
  });

  test("mail that waits, validation that is broken, an exception that ends, a host at risk: those alerts, and no other", async () => {
    await until((names) => names.join() === "ExceptionExpires lonely,HostsAtRisk busy,QueueOld lonely,ValidationBroken lonely");
    const readyz = await (await fetch(`http://${addressOf("lonely", 9025)}/readyz`)).text();
    assert.match(
      readyz,
      new RegExp(`degraded dnssec: .*${lab.block.address(14).replaceAll(".", "\\.")}`),
      "the line says which resolver is asked",
    );
  });

  test("refusals for one cause rise", async () => {
    await untilSilent("DaneDeferralsRising");
    const deadline = performance.now() + WAIT_MILLISECONDS;
    for (let burst = 0; ; burst += 1) {
      await submit(
        "busy",
        Array.from({ length: BURST }, (_, number) => `u@d${burst * BURST + number}.bogus.lab`),
      );
      try {
        const { annotations } = await untilFiring("DaneDeferralsRising kubernetes-pods", BURST_MILLISECONDS);
        assert.match(annotations.summary, /^kubernetes-pods: hosts were refused for bogus [\d.]+ times /);
        return;
      } catch (error) {
        if (performance.now() > deadline) throw error;
      }
    }
  });

  test("much mail waits for one host whose certificate does not match; the API says which", async () => {
    await untilSilent("MismatchAtBusyDestination");
    for (let number = 0; number < 22; number += 1) await submit("busy", ["u@shop.mismatch.lab"]);
    const { annotations } = await untilFiring("MismatchAtBusyDestination busy");
    assert.match(annotations.summary, /: 2[12] messages wait for one destination,/);
    const headers = { authorization: `Bearer ${TOKEN}` };
    const response = await fetch(`http://${addressOf("busy", 9025)}/api/v1/queue/statistics?by=destination`, { headers });
    const { statistics } = (await response.json()) as { statistics: { key: string; reason?: string }[] };
    assert.equal(statistics[0]?.key, "shop.mismatch.lab", JSON.stringify(statistics[0]));
    assert.match(statistics[0]?.reason ?? "", /certificate/);
  });

  test("files that were there when the relay started, and can't be used now; what was read before stays in use", async () => {
    await untilSilent("FileUnreadable");
    await writeFile(place("certificate.pem"), "-----BEGIN CERTIFICATE-----\n");
    process.kill(Number(await readFile(place("busy.pid"), "utf8")), "SIGHUP");
    await untilFiring("FileUnreadable busy certificate");
    await rm(place("users"));
    await writeFile(place("token"), "short");
    await submit("busy", ["u@shop.mismatch.lab"], { user: "shop", pass: "password" });
    for (const file of ["users", "token"]) await untilFiring(`FileUnreadable busy ${file}`);
    await writeFile(place("token"), TOKEN, { mode: 0o600 });
    await until((names) => !names.includes("FileUnreadable busy token") && names.includes("FileUnreadable busy users"));
    for (const key of ["submission.usersFile", "admin.tokenFile", "submission.tls.certificateFile"])
      assert.ok(
        configLines().some((line) => line.includes(key) && line.includes("in use stay")),
        `${key}: ${configLines().join("\n")}`,
      );
  });

  test("something fills the spool's disk; clients keep their mail", async () => {
    await untilSilent("SpoolNearlyFull");
    await writeFile(place("fill"), "");
    await untilFiring("SpoolNearlyFull busy");
    await assert.rejects(submit("busy", ["u@shop.mismatch.lab"]), /452/);
  });

  test("a relay that is gone", async () => {
    await untilSilent("NotReady");
    await stopRelay("busy");
    await untilFiring("NotReady busy");
    assert.match(relays.get("busy")?.log() ?? "", /"event":"stop"/);
  });
});
