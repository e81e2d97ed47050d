import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { createTransport } from "nodemailer";
import { stringify } from "yaml";
import { type AddressBlock, claimBlock } from "./addresses.ts";
import { type Daemon, startDaemon } from "./daemon.ts";

/** Prometheus itself scrapes a relay that is in trouble, and its alerts say so. What promtool plays with made-up series happens here for once. */
const ROOT = join(import.meta.dirname, "..", "..");
const ALERTS = join(ROOT, "deploy", "helm", "dane-relay", "files", "alerts.yaml");
const WAIT_MILLISECONDS = 60_000;
const POLL_MILLISECONDS = 200;
const DAY_MILLISECONDS = 86_400_000;

type Alert = { state: string; labels: { alertname: string }; annotations: { summary: string } };

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

/** The rules as they are, but for how long a condition has to last: a test can't wait for hours. */
async function impatient(): Promise<string> {
  const rules = await readFile(ALERTS, "utf8");
  return rules.replaceAll(/for: \w+/g, "for: 0s").replace("> 4 * 3600", "> 1");
}

describe("Prometheus and a relay in trouble", () => {
  const open: Daemon[] = [];
  let block: AddressBlock;
  let directory: string;
  let prometheus: string;
  let relay: Daemon;

  before(async () => {
    block = await claimBlock();
    directory = await mkdtemp(join(tmpdir(), "dane-relay-prometheus-"));
    const admin = `${block.address(1)}:9025`;
    await writeFile(
      join(directory, "relay.yaml"),
      stringify({
        hostname: "relay.lab",
        submission: { listen: [`${block.address(1)}:2525`] },
        admin: { listen: admin },
        spool: `file:${join(directory, "spool")}`,
        // Nobody listens there: no look-up succeeds, so nothing is validated and mail waits.
        resolver: { mode: "forward", upstreams: [block.address(9)], timeoutSeconds: 1 },
        delivery: {
          tlsPolicies: [
            {
              domain: "old.example",
              level: "may",
              reason: "their renewal",
              expires: new Date(Date.now() + DAY_MILLISECONDS).toISOString().replace(/\.\d+Z$/, "Z"),
            },
          ],
        },
      }),
    );
    relay = await startDaemon({
      name: "relay",
      command: process.execPath,
      arguments: [join(ROOT, "src", "main.ts"), "serve", "--config", join(directory, "relay.yaml")],
      logFile: join(directory, "relay.log"),
      ready: () => answers(`http://${admin}/readyz`),
    });
    open.push(relay);
    prometheus = `${block.address(2)}:9090`;
    await writeFile(join(directory, "alerts.yaml"), await impatient());
    await writeFile(
      join(directory, "prometheus.yaml"),
      stringify({
        global: { scrape_interval: "1s", evaluation_interval: "1s" },
        rule_files: ["alerts.yaml"],
        scrape_configs: [{ job_name: "dane-relay", static_configs: [{ targets: [admin] }] }],
      }),
    );
    open.push(
      await startDaemon({
        name: "prometheus",
        command: "prometheus",
        arguments: [
          `--config.file=${join(directory, "prometheus.yaml")}`,
          `--storage.tsdb.path=${join(directory, "series")}`,
          `--web.listen-address=${prometheus}`,
        ],
        logFile: join(directory, "prometheus.log"),
        ready: () => answers(`http://${prometheus}/-/ready`),
      }),
    );
  });

  after(async () => {
    for (const daemon of open.reverse()) await daemon.stop();
    await block.release();
    await rm(directory, { recursive: true, force: true });
  });

  async function ask(path: string): Promise<unknown> {
    const response = await fetch(`http://${prometheus}/api/v1/${path}`);
    assert.equal(response.status, 200, path);
    return ((await response.json()) as { data: unknown }).data;
  }

  async function firing(): Promise<readonly string[]> {
    const { alerts } = (await ask("alerts")) as { alerts: Alert[] };
    return alerts.flatMap(({ state, labels }) => (state === "firing" ? [labels.alertname] : [])).sort();
  }

  async function until(wanted: readonly string[]): Promise<void> {
    const deadline = performance.now() + WAIT_MILLISECONDS;
    for (;;) {
      const seen = await firing();
      if (isDeepStrictEqual(seen, [...wanted].sort())) return;
      assert.ok(performance.now() < deadline, `firing: ${seen.join(" ")}; wanted: ${wanted.join(" ")}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
    }
  }

  test("it scrapes the relay without a complaint", async () => {
    const deadline = performance.now() + WAIT_MILLISECONDS;
    for (;;) {
      const { activeTargets } = (await ask("targets")) as { activeTargets: { health: string; lastError: string }[] };
      const [target] = activeTargets;
      if (target?.health === "up") break;
      assert.ok(performance.now() < deadline, target?.lastError ?? "no target");
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
    }
    const names = (await ask("label/__name__/values")) as string[];
    assert.ok(names.includes("dane_relay_queue_messages"));
    assert.ok(names.includes("dane_relay_queue_wait_seconds_bucket"));
  });

  test("mail that waits, validation that is broken, an exception that ends: those alerts, and no other", async () => {
    const transport = createTransport({ host: block.address(1), port: 2525, ignoreTLS: true });
    await transport.sendMail({ from: "a@relay.lab", to: "b@waits.example", subject: "waits", text: "for a resolver" });
    transport.close();
    await until(["DaneRelayExceptionExpires", "DaneRelayQueueOld", "DaneRelayValidationBroken"]);
    const { alerts } = (await ask("alerts")) as { alerts: Alert[] };
    for (const { annotations } of alerts) assert.doesNotMatch(annotations.summary, /<no value>|error/);
  });

  test("a relay that is gone", async () => {
    await relay.stop();
    await until(["DaneRelayNotReady"]);
  });
});
