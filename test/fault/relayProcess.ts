import { readFileSync } from "node:fs";
import { systemClock, systemRandom } from "../../src/clock.ts";
import { loadConfig } from "../../src/config/load.ts";
import { createLog } from "../../src/log.ts";
import { startRelay } from "../../src/relay.ts";

/**
 * The relay in a process to be killed: `relayProcess.ts CONFIG_FILE [COMMIT_POINTS_MODULE]`. It says "ready" to the process that forked it, and
 * ends when that one does; SIGTERM stops it in order.
 */
const [file = "", commitPoints] = process.argv.slice(2);

const loaded = loadConfig({
  file,
  environment: {},
  readFile: (path) => ({ kind: "text", text: readFileSync(path, "utf8") }),
  hostname: "relay.example",
});
if (loaded.kind === "invalid") throw new Error(JSON.stringify(loaded.errors));
const { config } = loaded;
const log = createLog({ ...config.log, now: systemClock.now });
process.once("disconnect", () => process.exit(1));
const relay = await startRelay({
  config,
  clock: systemClock,
  random: systemRandom,
  log,
  ...(commitPoints === undefined ? {} : { commitPoints }),
});
process.once("SIGTERM", () => {
  void relay.stop().then(() => process.exit(0));
});
void relay.failed.then(() => process.exit(1));
process.send?.("ready");
