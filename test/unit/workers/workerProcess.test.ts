import assert from "node:assert/strict";
import cluster from "node:cluster";
import { test } from "node:test";
import { systemClock } from "../../../src/clock.ts";
import { Supervisor, type SupervisorEvent } from "../../../src/workers/supervisor.ts";
import { WorkerProcess } from "../../../src/workers/workerProcess.ts";

const SILENT = { out: () => undefined, err: () => undefined };

/** A program that cannot be run stands for a system that makes no process. */
async function withoutProcesses(run: () => Promise<void>): Promise<void> {
  const program = process.execPath;
  process.execPath = "/nonexistent/node";
  try {
    await run();
  } finally {
    process.execPath = program;
    cluster.setupPrimary({ execPath: program } as Parameters<typeof cluster.setupPrimary>[0]);
  }
}

test("a worker that the system makes no process for has ended, and answers nothing", async () => {
  await withoutProcesses(async () => {
    const worker = new WorkerProcess({ arguments: [], ...SILENT });
    assert.equal(await worker.ready, "ended");
    const end = await worker.ended;
    assert.ok(end.kind === "not-begun");
    assert.match(end.reason, /ENOENT/);
    assert.deepEqual(await worker.ask("checks"), { what: "failed", reason: "it has ended" });
  });
});

test("a supervisor that gets no process says so at its start", async () => {
  await withoutProcesses(async () => {
    const events: SupervisorEvent[] = [];
    const supervisor = new Supervisor({
      shards: [{ name: "shard-1", directory: "spool/shard-1" }],
      leftOver: [],
      argumentsFor: () => [],
      clock: systemClock,
      ...SILENT,
      onEvent: (event) => events.push(event),
      queued: () => undefined,
    });
    await assert.rejects(
      supervisor.start(),
      /worker of spool\/shard-1 ended at its start \(the system made no process: .*ENOENT/,
    );
    assert.deepEqual(events, []);
  });
});
