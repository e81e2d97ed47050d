import { join } from "node:path";
import { ensurePackages } from "../packages.ts";
import { startLab } from "./lab.ts";
import { writeRelayConfiguration } from "./relayConfiguration.ts";
import type { Scenario } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";

/** `npm run lab`: the lab for people. Runs until Ctrl-C; prints what there is to send to, and a configuration for the relay. */

function line(scenario: Scenario): string {
  const { outcome, tls } = scenario.expected;
  return `  ${(scenario.recipient ?? "").padEnd(36)} ${outcome.padEnd(10)} ${tls.padEnd(18)} ${scenario.shows}`;
}

ensurePackages();
const interrupted = Promise.withResolvers<void>();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => interrupted.resolve());

console.log("starting the lab ...");
const lab = await startLab(SCENARIOS);
const file = join(lab.directory, "relay.yaml");
await writeRelayConfiguration(file, {
  upstreams: [lab.validatingRecursor],
  trustAnchorFile: lab.trustAnchorFile,
  rootHintsFile: lab.rootHintsFile,
  caFile: lab.caFile,
  submission: "127.0.0.1:2525",
  admin: "127.0.0.1:9025",
  spool: join(lab.directory, "spool"),
  retryInitialSeconds: 30,
});
console.log(`
  recipient                            outcome    tls                what it shows
${lab.world.scenarios.map(line).join("\n")}

The lab runs until Ctrl-C. Resolver: ${lab.validatingRecursor} (validating), ${lab.plainRecursor} (plain).
Mail that was received: ${join(lab.directory, "postfix", "mail", "all", "new")}

In a second terminal:   npm start -- --config ${file}
In a third:             swaks --to user@ee-spki-sha256.lab --server 127.0.0.1:2525
`);
await interrupted.promise;
await lab.stop();
console.log("the lab is gone");
