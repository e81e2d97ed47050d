import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { dispatch } from "../../../src/cli/dispatch.ts";
import { TlsrptStore } from "../../../src/reporting/tlsrptStore.ts";

const DAY = Date.UTC(2027, 0, 31);

describe("the command tlsrpt", () => {
  let directory = "";
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "h2-tlsrpt-cli-"));
    mkdirSync(join(directory, "spool"));
    const counts = new TlsrptStore({
      file: join(directory, "spool", "tlsrpt.db"),
      clock: { now: () => DAY, monotonic: () => 0 },
      onTrouble: (error) => {
        throw error;
      },
    });
    const policy = { type: "tlsa", domain: "mx.example.org", strings: ["3 1 1 ab"] } as const;
    const failure = { resultType: "certificate-expired", reason: "X509_V_ERR_CERT_HAS_EXPIRED" } as const;
    counts.record({ domain: "example.org", policy, outcome: { kind: "success" } });
    for (let i = 0; i < 2; i += 1)
      counts.record({
        domain: "example.org",
        policy,
        outcome: { kind: "failure", failure, ends: { host: "mx.example.org", address: "192.0.2.1" } },
      });
    counts.record({
      domain: "example.net",
      policy: { type: "no-policy-found", domain: "example.net" },
      outcome: { kind: "success" },
    });
    counts.close();
  });
  after(() => rmSync(directory, { recursive: true }));

  const run = async (args: readonly string[], contact = "tls@example.com") => {
    let [out, err] = ["", ""];
    const yaml = `spool: file:${join(directory, "spool")}\nhostname: relay.example.com\n${contact === "" ? "" : `tlsrpt: {contact: ${contact}}`}`;
    const status = await dispatch(["tlsrpt", ...args, "--config", "relay.yaml"], {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
      environment: {},
      readFile: (path) => (path === "relay.yaml" ? { kind: "text", text: yaml } : { kind: "missing" }),
      hostname: "relay.example.com",
      onStopSignal: () => undefined,
      onReloadSignal: () => undefined,
    });
    return { status, out, err };
  };

  test("a day as text", async () => {
    assert.deepEqual(await run(["--day", "2027-01-31"]), {
      status: 0,
      err: "",
      out: [
        "example.net",
        "  no-policy-found: 1 successful, 0 failed",
        "",
        "example.org",
        "  tlsa of mx.example.org: 1 successful, 2 failed",
        "    2 certificate-expired mx.example.org 192.0.2.1 (X509_V_ERR_CERT_HAS_EXPIRED)",
        "",
      ].join("\n"),
    });
  });

  test("a day as JSON: the reports as they would be sent", async () => {
    const { status, out } = await run(["--json", "--day", "2027-01-31"]);
    assert.equal(status, 0);
    const shown = JSON.parse(out) as { day: string; reports: readonly Record<string, unknown>[] };
    assert.equal(shown.day, "2027-01-31");
    assert.deepEqual(
      shown.reports.map((report) => report["contact-info"]),
      ["tls@example.com", "tls@example.com"],
    );
  });

  test("today, a day without sessions", async () => {
    const { status, out } = await run([]);
    assert.equal(status, 0);
    assert.match(out, /^no TLS sessions on \d{4}-\d\d-\d\d\n$/);
  });

  test("switched off", async () => {
    assert.equal((await run([], "")).out, "TLS reports are off: tlsrpt.contact is not set\n");
    assert.deepEqual((JSON.parse((await run(["--json"], "")).out) as { reports: unknown }).reports, []);
  });

  test("a file that cannot be read: 1", async () => {
    const file = join(directory, "spool", "tlsrpt.db");
    renameSync(file, `${file}.kept`);
    writeFileSync(file, "this is no database, but long enough to be taken for one".repeat(100));
    const { status, err } = await run([]);
    rmSync(file);
    renameSync(`${file}.kept`, file);
    assert.equal(status, 1);
    assert.match(err, /^dane-relay tlsrpt: .*tlsrpt\.db: .*not a database/);
  });

  test("usage errors and errors of the configuration: 2", async () => {
    for (const args of [["--day", "yesterday"], ["--day", "2027-13-01"], ["now"], ["--xml"]]) {
      const { status, err } = await run(args);
      assert.equal(status, 2, args.join(" "));
      assert.match(err, /usage:\n {2}dane-relay tlsrpt/);
    }
    assert.equal((await run([], "nobody")).status, 2);
  });
});
