import { isUtf8 } from "node:buffer";
import { type DomainName, displayName } from "../dns/name.ts";
import { withoutWhiteSpace } from "./whiteSpace.ts";

/**
 * The policy file of MTA-STS (RFC 8461 §3.2), and which hosts it allows (§4.1).
 *
 * Policy domain: the next-hop domain that the policy is about. Policy host: `mta-sts.<policy domain>`, which serves it by HTTPS.
 */
export type StsMode = "enforce" | "testing" | "none";

export type StsPolicy = {
  mode: StsMode;
  /** At most `MAX_AGE_SECONDS`. */
  maxAgeSeconds: number;
  /** Host names and `*.suffix`, lower case, without a trailing dot; empty only where mode is none. */
  mx: readonly string[];
};

export type ParsedPolicy = { kind: "policy"; policy: StsPolicy } | { kind: "invalid"; reason: string };

/** RFC 8461 §3.3 suggests this limit. */
export const MAX_POLICY_OCTETS = 64 * 1024;
/** RFC 8461 §3.2: a longer max_age is cut to this, a bit more than a year. */
export const MAX_AGE_SECONDS = 31_557_600;

const FIELD = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):(.*)$/;
/** sts-policy-vchar and spaces; octets from 0x80 on are those of UTF-8, which is checked for the file as a whole. */
const VALUE = /^[\x20-\x7e\x80-\xff]+$/;
const MODES: readonly StsMode[] = ["enforce", "testing", "none"];
const MAX_AGE = /^[0-9]{1,10}$/;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const MAX_NAME_CHARACTERS = 253;
const WILDCARD = "*.";

function invalid(reason: string): ParsedPolicy {
  return { kind: "invalid", reason };
}

/** Reads a policy file, strictly by its ABNF; unknown fields are ignored, and of a field that is there twice the first counts. */
export function parsePolicy(body: Buffer): ParsedPolicy {
  if (body.length > MAX_POLICY_OCTETS) return invalid(`${body.length} octets (at most ${MAX_POLICY_OCTETS})`);
  if (!isUtf8(body)) return invalid("not UTF-8");
  const lines = body.toString("latin1").split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  const first = new Map<string, string>();
  const patterns = new Set<string>();
  for (const [i, line] of lines.entries()) {
    const [, key = "", rest = ""] = FIELD.exec(line) ?? [];
    const value = withoutWhiteSpace(rest);
    if (key === "" || !VALUE.test(value)) return invalid(`line ${i + 1} is no field`);
    if (key === "mx") {
      const pattern = mxPattern(value);
      if (pattern === undefined) return invalid(`line ${i + 1}: mx is no host name, with or without "*." before it`);
      patterns.add(pattern);
    } else if (!first.has(key)) first.set(key, value);
  }
  return policyOf(first, [...patterns]);
}

function policyOf(fields: ReadonlyMap<string, string>, mx: readonly string[]): ParsedPolicy {
  if (fields.get("version") !== "STSv1") return invalid("version is not STSv1");
  const mode = MODES.find((known) => known === fields.get("mode"));
  if (mode === undefined) return invalid("mode is none of enforce, testing, none");
  const maxAge = fields.get("max_age") ?? "";
  if (!MAX_AGE.test(maxAge)) return invalid("max_age is no number of seconds");
  if (mx.length === 0 && mode !== "none") return invalid(`mode ${mode} needs at least one mx`);
  return { kind: "policy", policy: { mode, maxAgeSeconds: Math.min(Number(maxAge), MAX_AGE_SECONDS), mx } };
}

/** `["*."] Domain` (RFC 5321 §4.1.2: letters, digits, hyphens) in lower case. */
function mxPattern(value: string): string | undefined {
  const pattern = value.toLowerCase();
  const name = pattern.startsWith(WILDCARD) ? pattern.slice(WILDCARD.length) : pattern;
  return name.length <= MAX_NAME_CHARACTERS && name.split(".").every((label) => LABEL.test(label)) ? pattern : undefined;
}

/** RFC 8461 §4.1: verbatim, or `*.` for exactly one label; never for the suffix itself. */
export function allowsHost(policy: StsPolicy, host: DomainName): boolean {
  const name = displayName(host);
  const dot = name.indexOf(".");
  const byWildcard = dot > 0 ? `*${name.slice(dot)}` : undefined;
  return policy.mx.some((pattern) => pattern === name || pattern === byWildcard);
}

/** The policy as the lines of a policy file: how the cache and reports (RFC 8460 §4.4, policy-string) write it. */
export function policyLines({ mode, mx, maxAgeSeconds }: StsPolicy): readonly string[] {
  return ["version: STSv1", `mode: ${mode}`, ...mx.map((pattern) => `mx: ${pattern}`), `max_age: ${maxAgeSeconds}`];
}
