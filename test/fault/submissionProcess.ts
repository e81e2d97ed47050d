import { systemClock, systemRandom } from "../../src/clock.ts";
import { openSqliteStore } from "../../src/spool/sqliteStore.ts";
import { createListener } from "../../src/submission/listener.ts";

/** A process to be killed: the listener and the embedded spool, nothing else. `submissionProcess.ts DIRECTORY LISTEN [RESERVE_BYTES]`. */
const [directory = "", listen = "", reserve = "0"] = process.argv.slice(2);

try {
  const store = await openSqliteStore({ directory, reserveBytes: Number(reserve) });
  const listener = createListener({
    listen: [listen],
    hostname: "relay.example",
    trustedNetworks: ["127.0.0.0/8"],
    maxMessageBytes: 10_000_000,
    maxRecipients: 100,
    maxConnections: 100,
    store,
    clock: systemClock,
    random: systemRandom,
    onEvent: () => undefined,
  });
  await listener.start();
  console.log(`ready ${listener.addresses().join(" ")}`);
} catch (error) {
  console.log(`refused ${error instanceof Error ? error.message : String(error)}`);
}
