import { KEYED_SETTINGS } from "./schema.ts";
import type { KeyedSetting } from "./setting.ts";
import type { Problem } from "./value.ts";

/** Settings from environment variables: `submission.maxMessageBytes` is DANE_RELAY_SUBMISSION_MAX_MESSAGE_BYTES. */

export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = "DANE_RELAY_";
/** Names the configuration file; no setting itself. */
export const CONFIG_FILE_VARIABLE = "DANE_RELAY_CONFIG";

/** What Kubernetes injects into every pod for a Service named dane-relay or dane-relay-SOMETHING. */
const SERVICE_VARIABLE = /^DANE_RELAY_(?:.+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_.+)?|PORT|PORT_[0-9]+_.+)$/;
const SERVICE_VALUE = /^(?:tcp|udp|sctp):\/\//;

export function variableName(key: string): string {
  return PREFIX + key.replaceAll(".", "_").replace(/[A-Z]/g, "_$&").toUpperCase();
}

/** A value given for a key, and by what. */
export type Given = { key: string; written: unknown; where: string };
export type GivenProblem = { key: string; where: string; problem: Problem };

const BY_VARIABLE: ReadonlyMap<string, KeyedSetting> = new Map(KEYED_SETTINGS.map((keyed) => [variableName(keyed.key), keyed]));

/** The settings in `environment`, and what of its DANE_RELAY_ names and texts cannot be understood. */
export function fromEnvironment(environment: Environment): { given: readonly Given[]; problems: readonly GivenProblem[] } {
  const given: Given[] = [];
  const problems: GivenProblem[] = [];
  for (const [name, text] of Object.entries(environment).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (text === undefined || !name.startsWith(PREFIX) || name === CONFIG_FILE_VARIABLE) continue;
    const keyed = BY_VARIABLE.get(name);
    if (SERVICE_VARIABLE.test(name) && (keyed === undefined || SERVICE_VALUE.test(text))) continue;
    const where = `environment variable ${name}`;
    if (keyed === undefined) {
      problems.push({ key: name, where, problem: { path: [], message: "is no setting of this version" } });
      continue;
    }
    const read = readText(keyed.setting.type.form, text);
    if (read.kind === "written") given.push({ key: keyed.key, written: read.written, where });
    else problems.push({ key: keyed.key, where, problem: { path: [], message: read.message } });
  }
  return { given, problems };
}

function readText(
  form: "scalar" | "list" | "objects",
  text: string,
): { kind: "written"; written: unknown } | { kind: "unreadable"; message: string } {
  switch (form) {
    case "scalar":
      return { kind: "written", written: text };
    case "list":
      return { kind: "written", written: text.trim() === "" ? [] : text.split(",").map((entry) => entry.trim()) };
    case "objects":
      try {
        return { kind: "written", written: JSON.parse(text) };
      } catch (error) {
        // JSON.parse quotes what it was given, and that may hold a password.
        const position = /at position \d+/.exec(String(error))?.[0] ?? "at its end";
        return { kind: "unreadable", message: `must be JSON, and is not (${position})` };
      }
    default:
      return form satisfies never;
  }
}
