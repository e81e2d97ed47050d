import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { parse } from "yaml";
import { dispatch } from "../../../src/cli/dispatch.ts";
import { createExposition } from "../../../src/metrics/endpoint.ts";
import { createInstruments } from "../../../src/metrics/instruments.ts";
import { ROOT } from "./kubernetesObjects.ts";

/** The alert rules and the dashboard, against promtool and against the metrics that the relay really has. */
const FILES = join(ROOT, "deploy", "helm", "dane-relay", "files");
const ALERTS = join(FILES, "alerts.yaml");
const CASES = join(import.meta.dirname, "alertCases.yaml");

type Rule = { alert: string; expr: string; annotations: { summary: string; description: string } };
type Panel = { title: string; type: string; targets?: { expr: string; legendFormat: string }[] };

function promtool(...argv: readonly string[]): { status: number | null; output: string } {
  const { status, stdout, stderr, error } = spawnSync("promtool", argv, { encoding: "utf8" });
  assert.equal(error, undefined, "promtool is missing: apt-get install prometheus");
  return { status, output: `${stdout}${stderr}` };
}

function rules(): readonly Rule[] {
  return (parse(readFileSync(ALERTS, "utf8")) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules);
}

function panels(): readonly Panel[] {
  return (JSON.parse(readFileSync(join(FILES, "dashboard.json"), "utf8")) as { panels: Panel[] }).panels;
}

/** Series names with the values of each label, from a relay's own exposition. */
async function exposed(): Promise<ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>> {
  const text = await createExposition(createInstruments(), () =>
    Promise.resolve({
      queue: { incoming: 1, active: 0, deferred: 0, held: 0 },
      oldestMessageAgeSeconds: 1,
      connections: { inbound: 1, outbound: 1 },
      policyExceptions: 1,
      nextExceptionExpiry: 1,
      spoolDisk: { free: 1, size: 1 },
      unreadableFiles: [],
      dnssecCache: { hits: 1, misses: 1 },
    }),
  )();
  const series = new Map<string, Map<string, Set<string>>>();
  for (const line of text.split("\n")) {
    const found = /^([a-z_0-9]+)(?:\{(.*)\})? /.exec(line);
    if (found === null) continue;
    const labels = series.get(found[1] ?? "") ?? new Map<string, Set<string>>();
    series.set(found[1] ?? "", labels);
    for (const [, label = "", value = ""] of (found[2] ?? "").matchAll(/(\w+)="([^"]*)"/g)) {
      labels.set(label, (labels.get(label) ?? new Set()).add(value));
    }
  }
  return series;
}

/** Added by the scrape, or by the rule itself. */
const FROM_SCRAPE = new Set(["instance", "job"]);

describe("what Prometheus and Grafana are given", () => {
  let series: Awaited<ReturnType<typeof exposed>>;
  before(async () => {
    series = await exposed();
  });

  /** What in `expression` names a metric, label or label value that the relay does not have. */
  function strangers(expression: string): readonly string[] {
    const found: string[] = [];
    for (const [, metric = "", selector = ""] of expression.matchAll(
      /\b((?:dane_relay|process|nodejs)_[a-z0-9_]+)(?:\{([^}]*)\})?/g,
    )) {
      const labels = series.get(metric);
      if (labels === undefined) found.push(metric);
      for (const [, label = "", operator = "", value = ""] of selector.matchAll(/(\w+)(=~|=|!=|!~)"([^"]*)"/g)) {
        if (FROM_SCRAPE.has(label)) continue;
        const known = [...(labels?.get(label) ?? [])];
        const wanted = operator.endsWith("~") ? new RegExp(`^(?:${value})$`) : undefined;
        if (!known.some((one) => (wanted === undefined ? one === value : wanted.test(one))))
          found.push(`${metric}{${label}="${value}"}`);
      }
    }
    return found;
  }

  /** Labels that `sum by (...)` keeps and a text uses must be labels of something in the expression. */
  function labelsOf(expression: string): ReadonlySet<string> {
    const metrics = [...expression.matchAll(/\b(?:dane_relay|process|nodejs)_[a-z0-9_]+/g)].map(([metric]) => metric);
    return new Set([...FROM_SCRAPE, ...metrics.flatMap((metric) => [...(series.get(metric)?.keys() ?? [])])]);
  }

  test("promtool takes the rules", () => {
    const { status, output } = promtool("check", "rules", ALERTS);
    assert.equal(status, 0, output);
  });

  test("each alert fires on the condition that it names, and is silent beside it", () => {
    const { status, output } = promtool("test", "rules", CASES);
    assert.equal(status, 0, output);
    const cases = readFileSync(CASES, "utf8");
    for (const { alert } of rules()) {
      const of = cases
        .split("\n")
        .filter((line) => line.includes(`alertname: ${alert}`) || line.trim() === `alertname: ${alert}`);
      assert.ok(of.length >= 2, `${alert}: one case in which it fires, one in which it does not`);
    }
  });

  test("each alert's text says what to look at first, and the runbook goes on", () => {
    const runbook = readFileSync(join(ROOT, "deploy", "runbook.md"), "utf8");
    for (const { alert, annotations } of rules()) {
      assert.match(annotations.description, /^Look first at /, alert);
      assert.ok(runbook.includes(`### ${alert}\n`), `${alert} is in no heading of deploy/runbook.md`);
    }
  });

  test("the commands that alerts and runbook name exist, with these options", async () => {
    const texts = [
      readFileSync(join(ROOT, "deploy", "runbook.md"), "utf8"),
      ...rules().map(({ annotations }) => annotations.description),
    ];
    const named = texts.flatMap((text) => [...text.matchAll(/(?:`|^ {4})dane-relay ([a-z]+)([^`\n#]*)/gm)]);
    assert.ok(named.length > 10);
    for (const [words, command = "", rest = ""] of named) {
      let usage = "";
      const terminal = { out: (text: string) => (usage += text), err: () => undefined, environment: {}, hostname: "test" };
      const touchesNothing = {
        readFile: () => ({ kind: "missing" as const }),
        onStopSignal: () => undefined,
        onReloadSignal: () => undefined,
      };
      assert.equal(await dispatch([command, "--help"], { ...terminal, ...touchesNothing }), 0, words);
      const [subcommand = ""] = /^ ([a-z]+)/.exec(rest) ?? [];
      assert.ok(usage.includes(subcommand.trim()), words);
      for (const [option] of rest.matchAll(/--[a-z-]+/g)) assert.ok(usage.includes(option), words);
    }
  });

  test("rules name only metrics, labels and values that exist", () => {
    for (const { alert, expr } of rules()) assert.deepEqual(strangers(expr), [], alert);
  });

  test("so does the dashboard, and promtool can read its queries", () => {
    const targets = panels().flatMap((panel) => (panel.targets ?? []).map((target) => ({ ...target, title: panel.title })));
    assert.ok(targets.length > 20);
    for (const { title, expr, legendFormat } of targets) {
      assert.deepEqual(strangers(expr), [], title);
      const known = labelsOf(expr);
      const used = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g), ...expr.matchAll(/by \((\w+)(?:, (\w+))?\)/g)].flatMap((found) =>
        found.slice(1).filter((label) => label !== undefined),
      );
      assert.deepEqual(
        used.filter((label) => !known.has(label)),
        [],
        title,
      );
    }
    // promtool reads queries only where they stand as rules.
    const recorded = targets.map(({ expr }, index) => ({
      record: `query_${index}`,
      expr: expr.replaceAll("$__rate_interval", "5m").replaceAll("$instance", ".*"),
    }));
    const directory = mkdtempSync(join(tmpdir(), "dane-relay-dashboard-"));
    try {
      const file = join(directory, "rules.yaml");
      writeFileSync(file, JSON.stringify({ groups: [{ name: "dashboard", rules: recorded }] }));
      const { status, output } = promtool("check", "rules", file);
      assert.equal(status, 0, output);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  test("the check itself sees a metric, a label value and a label that do not exist", () => {
    assert.deepEqual(strangers('rate(dane_relay_deliverys_total{outcome="x"}[5m])').length > 0, true);
    assert.deepEqual(strangers('dane_relay_queue_messages{state="lost"}'), ['dane_relay_queue_messages{state="lost"}']);
    assert.ok(!labelsOf("dane_relay_queue_messages").has("domain"));
  });
});
