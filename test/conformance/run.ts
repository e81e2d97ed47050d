import { existsSync } from "node:fs";
import { playDnssec, type Tally } from "./dnssec.ts";

/** `npm run conformance -- dnssec [DIR]` and `npm run conformance -- dane FILE`. */
const DEFAULT_DNSSEC = "../shared/conformance/dnssec";

async function play(kind: string | undefined, path: string | undefined): Promise<Tally | string> {
  const file = path ?? DEFAULT_DNSSEC;
  if ((kind === "dnssec" || kind === "dane") && !existsSync(file)) return `${file} does not exist`;
  if (kind === "dnssec") return await playDnssec(file, (line) => console.log(line));
  if (kind === "dane" && path !== undefined) return await (await import("./dane.ts")).playDane(path);
  return "usage: npm run conformance -- dnssec [DIR] | dane FILE";
}

const [kind, path] = process.argv.slice(2);
const result = await play(kind, path);
if (typeof result === "string") {
  console.error(result);
  process.exitCode = 2;
} else {
  console.log(`${result.passed} passed, ${result.failed} failed`);
  process.exitCode = result.failed === 0 ? 0 : 1;
}
