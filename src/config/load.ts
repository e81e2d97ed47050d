import { inconsistencies, type ReadFile } from "./consistency.ts";
import { CONFIG_FILE_VARIABLE, type Environment, fromEnvironment, type Given, type GivenProblem } from "./environment.ts";
import { type FileContent, readConfigFile } from "./file.ts";
import { nameserversOf, RESOLV_CONF } from "./resolvConf.ts";
import { type Config, KEYED_SETTINGS } from "./schema.ts";
import type { Setting, Surroundings } from "./setting.ts";

export const DEFAULT_CONFIG_FILE = "config/relay.yaml";

export type LoadOptions = {
  /** `--config`; without it $DANE_RELAY_CONFIG, then `config/relay.yaml`, which alone may be missing. */
  file?: string;
  environment: Environment;
  readFile: ReadFile;
  /** The machine's name. */
  hostname: string;
};

/** `key` is "" where the trouble is with the whole file. */
export type ConfigError = { key: string; where: string; message: string };

/** One setting in force: as it was written, and by what it was set. */
export type InForce = { key: string; written: unknown; value: unknown; where: string };

export type LoadResult =
  | { kind: "config"; config: Config; inForce: readonly InForce[]; source: string }
  | { kind: "invalid"; errors: readonly [ConfigError, ...ConfigError[]] };

const NOTHING: FileContent = { given: [], problems: [], whereOf: () => "" };

/** Defaults, then the file, then the environment. Every error is found at once; a value that the environment overrides is checked too. */
export function loadConfig(options: LoadOptions): LoadResult {
  const { content, source, errors } = readFileOf(options);
  const environment = fromEnvironment(options.environment);
  const surroundings = surroundingsOf(options);
  for (const found of [...content.problems, ...environment.problems]) errors.push(errorFrom(found));
  const inForce: InForce[] = [];
  for (const { key, setting } of KEYED_SETTINGS) {
    const candidates = [fallbackOf(key, setting, surroundings), ...content.given, ...environment.given].filter(
      (given) => given.key === key,
    );
    let effective: InForce = { key, written: undefined, value: undefined, where: "default" };
    for (const given of candidates) {
      if (given.written === undefined) continue;
      const parsed = setting.type.parse(given.written);
      if (parsed.kind === "value") effective = { ...given, value: parsed.value };
      else
        for (const problem of parsed.problems)
          errors.push(errorFrom({ key, where: placeOf(given, problem.path, content), problem }));
    }
    inForce.push(effective);
  }
  const config = configOf(inForce);
  const broken = new Set(errors.map((error) => error.key.replace(/\[.*$/, "")));
  for (const { keys, message } of inconsistencies(config, options.readFile)) {
    // What is wrong by itself was said; what follows from it would only confuse.
    if (keys.some((key) => broken.has(key))) continue;
    errors.push({ key: keys[0], where: inForce.find((setting) => setting.key === keys[0])?.where ?? "", message });
  }
  const [first, ...rest] = errors;
  return first === undefined ? { kind: "config", config, inForce, source } : { kind: "invalid", errors: [first, ...rest] };
}

/** One error as a line: where, key, message. */
export function errorLine(error: ConfigError): string {
  return [error.where, error.key === error.where.replace("environment variable ", "") ? "" : error.key]
    .filter((part) => part !== "")
    .concat(error.message)
    .join(": ");
}

function readFileOf({ file, environment, readFile }: LoadOptions): {
  content: FileContent;
  source: string;
  errors: ConfigError[];
} {
  const named = file ?? environment[CONFIG_FILE_VARIABLE];
  const path = named ?? DEFAULT_CONFIG_FILE;
  const read = readFile(path);
  if (read.kind === "text") return { content: readConfigFile(path, read.text), source: path, errors: [] };
  if (read.kind === "missing" && named === undefined) return { content: NOTHING, source: "defaults and environment", errors: [] };
  const message = read.kind === "missing" ? "does not exist" : `cannot be read: ${read.reason}`;
  return { content: NOTHING, source: path, errors: [{ key: "", where: path, message }] };
}

/** Without a resolv.conf, or one that cannot be read, no name server is known; resolver.mode says what that means. */
function surroundingsOf({ hostname, readFile }: LoadOptions): Surroundings {
  const read = readFile(RESOLV_CONF);
  return { hostname, nameservers: read.kind === "text" ? nameserversOf(read.text) : [] };
}

function fallbackOf(key: string, { fallback }: Setting<unknown>, surroundings: Surroundings): Given {
  switch (fallback.kind) {
    case "written":
      return { key, written: fallback.written, where: "default" };
    case "derived":
      return { key, written: fallback.from(surroundings), where: `default: ${fallback.meaning}` };
    case "unset":
      return { key, written: undefined, where: "default" };
    default:
      return fallback satisfies never;
  }
}

function placeOf(given: Given, path: readonly (string | number)[], content: FileContent): string {
  return content.given.includes(given) ? content.whereOf(given.key, path) : given.where;
}

function errorFrom({ key, where, problem }: GivenProblem): ConfigError {
  const inside = problem.path.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`)).join("");
  return { key: key + inside, where, message: problem.message };
}

/** The nested shape of the table. Every setting has a value of its own type here: its parser's, or undefined where that is its default. */
export function configOf(inForce: readonly InForce[]): Config {
  const root: Record<string, unknown> = {};
  for (const { key, value } of inForce) {
    const steps = key.split(".");
    const last = steps.pop() ?? key;
    let section = root;
    for (const step of steps) {
      section[step] ??= {};
      section = section[step] as Record<string, unknown>;
    }
    section[last] = value;
  }
  return root as Config;
}
