import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { dispatch } from "../../../src/cli/dispatch.ts";
import { loadConfig } from "../../../src/config/load.ts";
import type { SurveyResult } from "../../../src/diagnosis/survey.ts";
import { RR_TYPE } from "../../../src/dns/message.ts";
import { presentRdata } from "../../../src/dns/rdataText.ts";
import { scan } from "../../../src/relay/scan.ts";
import { encodeMessage } from "../../fake/dnsWire.ts";
import { type Ecosystem, KINDS, type KindName, startEcosystem } from "../../fake/ecosystem.ts";
import { udpServer } from "../resolver/dnsServer.ts";

/** 200 planted domains on real sockets: a recursor that validates nothing, mail hosts, and the command as an operator calls it. */
const DOMAINS = 200;
/** Addresses of mail hosts of each sort: one host at each a second. */
const PEERS = 30;
const MAIN = join(import.meta.dirname, "..", "..", "..", "src", "main.ts");
/** Some domains' worth. */
const WRITTEN_OCTETS = 60_000;
const NETWORK = `127.121.${1 + (process.pid % 250)}.`;
const clock = { now: () => Date.now(), monotonic: () => performance.now() };

/** Octets that a scan of another process has written. */
function writtenIn(kept: string): number {
  return statSync(join(kept, "scan.db-wal"), { throwIfNoEntry: false })?.size ?? 0;
}

/** Domains that are done. */
function rowsIn(kept: string): number {
  const database = new DatabaseSync(join(kept, "scan.db"));
  const rows = Number(database.prepare("SELECT count(*) AS n FROM result").get()?.n);
  database.close();
  return rows;
}

describe("scan of an ecosystem", () => {
  let directory = "";
  let world: Ecosystem;
  let upstream: Awaited<ReturnType<typeof udpServer>>;
  let yaml = "";

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), "dane-relay-scan-test-"));
    world = await startEcosystem(DOMAINS, (i) => `${NETWORK}${i}`, PEERS, Date.now());
    upstream = await udpServer(`${NETWORK}250`, ({ query, send }) => {
      const [question] = query.questions;
      if (question === undefined) return;
      const wire = encodeMessage({ ...world.dns.answer(question.name, question.type), id: query.id });
      assert.ok(wire.length <= 4096, `${wire.length} octets`);
      send(wire);
    });
    const anchors = world.dns.anchors.map(({ rdata }) => `. IN DS ${presentRdata(RR_TYPE.DS, rdata)}\n`);
    writeFileSync(join(directory, "root.key"), anchors.join(""));
    writeFileSync(join(directory, "ca.pem"), world.caPem);
    yaml = [
      `spool: file:${join(directory, "spool")}`,
      "hostname: survey.test",
      `resolver: {mode: forward, upstreams: ["${NETWORK}250:${upstream.port}"], trustAnchorFile: ${join(directory, "root.key")}}`,
      `delivery: {port: ${world.peers[0]?.port}, allowLoopback: true}`,
      `mtaSts: {caFile: ${join(directory, "ca.pem")}}`,
    ].join("\n");
  });
  after(async () => {
    upstream.close();
    await world.close();
    rmSync(directory, { recursive: true });
  });

  const run = async (args: readonly string[], lines: readonly string[]) => {
    let [out, err] = ["", ""];
    const status = await dispatch(["scan", "domains", ...args, "--config", "relay.yaml"], {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
      environment: {},
      readFile: (path) => {
        if (path === "domains") return { kind: "text", text: lines.join("\n") };
        if (path === "relay.yaml") return { kind: "text", text: yaml };
        return path.startsWith(directory) ? { kind: "text", text: readFileSync(path, "utf8") } : { kind: "missing" };
      },
      hostname: "survey.test",
      onStopSignal: () => undefined,
      onReloadSignal: () => undefined,
    });
    return { status, out, err };
  };

  const planted = (test: (kind: KindName) => boolean): number => world.planted.filter(({ kind }) => test(kind)).length;
  const withState = (state: string): number => planted((kind) => KINDS[kind].state === state);

  test("the tables are as planted", async () => {
    const html = join(directory, "report.html");
    const all = world.planted.map(({ domain }) => domain);
    const { status, out, err } = await run(["--json", "--html", html, "--history", join(directory, "history")], all);
    assert.equal(status, 0, err);
    const lines = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.equal(lines.length, DOMAINS + 1);
    const found = new Map(lines.map((line) => [line.domain, line]));
    for (const { domain, kind } of world.planted) {
      const wanted: { state: string; cause?: string; class?: string } = KINDS[kind];
      const standing = found.get(domain)?.standing as Record<string, unknown>;
      const shown = `${domain} (${kind}): ${JSON.stringify(found.get(domain))}`;
      assert.equal(standing.state, wanted.state, shown);
      assert.equal(standing.cause, wanted.cause, shown);
      if (wanted.class !== undefined) assert.equal(standing.class, wanted.class, shown);
    }
    const summary = lines.at(-1)?.summary as SurveyResult;
    for (const state of ["none", "correct", "halfdane", "incorrect", "unknown"] as const)
      assert.equal(summary.states[state], withState(state), state);
    const causes = new Map(summary.causes.map(({ name, count }) => [name, count]));
    for (const cause of ["dnssec", "mismatch", "starttls", "unusable"])
      assert.equal(
        causes.get(cause),
        planted((kind) => "cause" in KINDS[kind] && KINDS[kind].cause === cause),
        cause,
      );
    assert.equal(
      summary.byTld.reduce((sum, { domains }) => sum + domains, 0),
      DOMAINS,
    );
    const own = world.planted.filter(({ ownHost }) => ownHost === "yes").length;
    const byEntity = new Map(summary.byEntity.map((group) => [group.name, group]));
    assert.equal(byEntity.get("mail outsourced, names outsourced")?.domains, DOMAINS - own);
    assert.equal(byEntity.get("mail self, names self")?.domains, own - planted((kind) => kind === "expired"));
    const issuers = new Map(summary.issuers.map(({ name, count }) => [name, count]));
    assert.equal(issuers.get("public-ca"), 3);
    assert.equal(
      issuers.get("self-signed"),
      planted((kind) => kind === "own host"),
    );
    const report = readFileSync(html, "utf8");
    assert.match(report, /<svg /);
    assert.doesNotMatch(report, /<script|href=|src=|url\(/);
  });

  test("each mail host was connected to once, and heard nothing of mail", () => {
    const commands = world.peers.flatMap(({ sessions }) =>
      sessions.flatMap((session) => session.commands.map(({ line }) => line)),
    );
    assert.ok(!commands.some((line) => /^(?:MAIL|RCPT|DATA|BDAT|AUTH)/i.test(line)));
    const connections = world.peers.reduce((sum, { sessions }) => sum + sessions.length, 0);
    const own = world.planted.filter(({ ownHost, kind }) => ownHost === "yes" && kind !== "expired").length;
    assert.equal(connections, own + 4);
  });

  test("an interrupted scan goes on where it was", async () => {
    const loaded = loadConfig({
      environment: {},
      readFile: (path) =>
        path === "relay.yaml" ? { kind: "text", text: yaml } : { kind: "text", text: readFileSync(path, "utf8") },
      hostname: "survey.test",
      file: "relay.yaml",
    });
    assert.equal(loaded.kind, "config");
    if (loaded.kind !== "config") return;
    const domains = world.planted.filter(({ ownHost }) => ownHost === "no").map(({ domain }) => domain);
    let done = 0;
    const options = {
      config: loaded.config,
      domains,
      connecting: "no",
      concurrency: 4,
      directory: join(directory, "resumed"),
      clock,
      random: { below: (most: number) => most - 1 },
      onProgress: (count: number) => {
        done = count;
      },
    } as const;
    const first = await scan({ ...options, fresh: "no", stopped: () => (done >= 20 ? "yes" : "no") });
    assert.ok(first.state === "interrupted", first.state);
    const seen = [...first.rows()].length;
    await first.close();
    assert.ok(seen >= 20 && seen < 30, String(seen));
    const starts: number[] = [];
    const second = await scan({ ...options, fresh: "no", stopped: () => "no", onProgress: (count) => starts.push(count) });
    assert.ok(second.state === "done", second.state);
    assert.equal(starts[0], seen);
    assert.equal(second.survey.domains, domains.length);
    await second.close();
    const again = await scan({ ...options, fresh: "no", domains: domains.slice(0, 3), stopped: () => "no" });
    assert.ok(again.state === "done", again.state);
    assert.equal(again.survey.domains, 3);
    await again.close();
  });

  test("a scan that is killed goes on where it was, and its history is whole", async () => {
    const kept = join(directory, "killed");
    const [list, file] = [join(directory, "domains"), join(directory, "relay.yaml")];
    const shared = world.planted.filter(({ ownHost }) => ownHost === "no");
    const all = shared.slice(0, 60).map(({ domain }) => domain);
    writeFileSync(list, all.join("\n"));
    writeFileSync(file, yaml);
    const begin = () => {
      const args = ["scan", list, "--json", "--no-connect", "--concurrency", "4", "--history", kept, "--config", file];
      return spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    };
    const killed = begin();
    const gone = once(killed, "exit");
    const deadline = performance.now() + 180_000;
    while (writtenIn(kept) < WRITTEN_OCTETS && killed.exitCode === null && performance.now() < deadline) await delay(5);
    killed.kill("SIGKILL");
    assert.deepEqual(await gone, [null, "SIGKILL"]);
    const before = rowsIn(kept);
    assert.ok(before > 0 && before < all.length, String(before));
    const second = begin();
    const [out, err, [status]] = await Promise.all([text(second.stdout), text(second.stderr), once(second, "exit")]);
    assert.equal(status, 0, err);
    assert.match(err, new RegExp(`^${before} of ${all.length} domains`));
    const scanned = out
      .trimEnd()
      .split("\n")
      .slice(0, -1)
      .map((line) => (JSON.parse(line) as { domain: string }).domain);
    assert.deepEqual(scanned.sort(), [...all].sort());
    for (const database of ["scan.db", "history.db"]) {
      const opened = new DatabaseSync(join(kept, database), { readOnly: true });
      assert.deepEqual(Object.values(opened.prepare("PRAGMA integrity_check").get() ?? {}), ["ok"]);
      opened.close();
    }
  });

  test("text, CSV, bad lines, and what is no usage", async () => {
    const lines = ["# two domains", "", "d1.se  # one", "D1.SE.", "not a domain", "[192.0.2.1]", "d2.com"];
    const { status, out, err } = await run(["--no-connect"], lines);
    assert.equal(status, 0, err);
    assert.match(out, /^2 domains\n/);
    assert.match(err, /domains:5: left out: /);
    assert.match(err, /domains:6: left out: an address is no domain/);
    assert.match(err, /1 duplicates/);
    const csv = await run(["--csv", "--no-connect"], ["d1.se", "d2.com"]);
    assert.match(csv.out, /^domain,at,.*\nd1\.se,.*\nd2\.com,.*\n$/);
    for (const args of [["--json", "--csv"], ["--concurrency", "0"], ["--fresh"], ["more"]])
      assert.equal((await run(args, ["d1.se"])).status, 2, args.join(" "));
    assert.equal((await run([], ["# nothing"])).status, 2);
  });
});
