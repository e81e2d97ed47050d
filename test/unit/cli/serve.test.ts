import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";

/** `serve` as an orchestrator has it: a process, its lines on standard output, its health, its end. */

const MAIN = join(import.meta.dirname, "..", "..", "..", "src", "main.ts");
const FOLDER = mkdtempSync(join(tmpdir(), "dane-relay-serve-"));
after(() => rmSync(FOLDER, { recursive: true, force: true }));

type Line = { event: string; level: string; because?: string; reason?: string };

/** Nothing answers at the upstream's address: validation is broken, and the relay serves all the same. */
function serve(address: string): { child: ChildProcess; until: (event: string) => Promise<Line> } {
  const child = spawn(process.execPath, [MAIN, "serve"], {
    cwd: FOLDER,
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      DANE_RELAY_HOSTNAME: "relay.example",
      DANE_RELAY_SUBMISSION_LISTEN: `${address}:2525`,
      DANE_RELAY_ADMIN_LISTEN: `${address}:9025`,
      DANE_RELAY_SPOOL: `file:${join(FOLDER, address)}`,
      DANE_RELAY_RESOLVER_MODE: "forward",
      DANE_RELAY_RESOLVER_UPSTREAMS: "127.18.3.254",
    },
  });
  const seen: Line[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (text) => seen.push(JSON.parse(text)));
  const until = async (event: string): Promise<Line> => {
    for (;;) {
      const found = seen.find((line) => line.event === event);
      if (found !== undefined) return found;
      await once(lines, "line", { signal: AbortSignal.timeout(60_000) });
    }
  };
  return { child, until };
}

test("serves, is ready though DNSSEC is broken, and ends with 0 at SIGTERM", async () => {
  const { child, until } = serve("127.18.3.1");
  const exit = once(child, "exit");
  await until("start");
  const dnssec = await until("dnssec");
  assert.equal(dnssec.level, "error");
  const lenient = await fetch("http://127.18.3.1:9025/readyz");
  assert.equal(lenient.status, 200);
  assert.match(await lenient.text(), /^ready, but degraded\n[\s\S]*degraded dnssec: /);
  assert.equal((await fetch("http://127.18.3.1:9025/readyz?strict")).status, 503);
  assert.match(await (await fetch("http://127.18.3.1:9025/metrics")).text(), /^dane_relay_dnssec_validating 0$/m);
  child.kill("SIGTERM");
  assert.equal((await until("stop")).because, "signal");
  assert.deepEqual(await exit, [0, null]);
});

test("an address that is taken: 1, and the log says which", async () => {
  const taken = createServer().listen(2525, "127.18.3.2");
  await once(taken, "listening");
  const { child, until } = serve("127.18.3.2");
  const exit = once(child, "exit");
  const stop = await until("stop");
  assert.equal(stop.level, "error");
  assert.match(stop.reason ?? "", /^the relay could not start: .*EADDRINUSE.*127\.18\.3\.2:2525/);
  assert.deepEqual(await exit, [1, null]);
  taken.close();
});
