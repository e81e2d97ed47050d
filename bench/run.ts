import { parseArgs } from "node:util";
import { endToEnd, type Scenario } from "./endToEnd.ts";
import { machineLines } from "./machine.ts";

/** `npm run bench [-- --rounds N --messages N]`: needs root (Postfix) and Debian's postfix package (smtp-source, smtp-sink). */
const { values } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, messages: { type: "string", default: "5000" } },
});
const messages = Number(values.messages);
const SCENARIOS: readonly Scenario[] = [
  { title: "plain", messages, bytes: 4096, sessions: 20, reuse: "a connection per message" },
  { title: "plain", messages, bytes: 4096, sessions: 20, reuse: "reused connections" },
];
for (const text of machineLines()) console.log(text);
for (const scenario of SCENARIOS) for (const text of await endToEnd(scenario, Number(values.rounds))) console.log(text);
