import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** The files of the DNSSEC and resolver conformance set, as their README describes them. */
export type Expectation = {
  status: "secure" | "insecure" | "bogus" | "servfail";
  unvalidated?: boolean;
  rcode: string;
  answer: readonly string[] | null;
};

export type Step = {
  step: number;
  elapseSeconds: number;
  qname: string;
  qtype: string;
  cd: boolean;
  fromCache?: boolean;
  expect: Expectation;
};

export type ServerEntry = {
  match: readonly string[];
  qname: string | null;
  qtype: string | null;
  adjust: readonly string[];
  response?: string;
  noAnswer?: boolean;
  sleepSeconds?: number;
};

export type Phase = {
  fromStep: number;
  upstream?: readonly { qname: string; qtype: string; response: string }[];
  servers?: readonly { addresses: readonly string[] | null; entries: readonly ServerEntry[] }[];
};

export type Fixture = {
  name: string;
  title: string;
  category: string;
  mode: "forwarding" | "iterative";
  clock: string | null;
  trustAnchors: readonly string[];
  nsec3MaxIterations: number | null;
  testAlgorithms: readonly string[];
  options: Readonly<Record<string, unknown>> & {
    hardenAlgorithmDowngrade?: boolean;
    hardenDnssecStripped?: boolean;
    domainInsecure?: readonly string[];
    aggressiveNsec?: boolean;
    qnameMinimisation?: boolean;
    ipv6?: boolean;
  };
  phases: readonly Phase[];
  steps: readonly Step[];
  rootHints?: readonly { name: string; address: string }[];
  stubZones?: readonly { zone: string; addresses: readonly string[] }[];
  forwardZones?: readonly { zone: string; addresses: readonly string[] }[];
};

/** Every fixture below `directory`, in order of path; or the one that is the file of this name. */
export function readFixtures(directory: string): Fixture[] {
  if (statSync(directory).isFile()) return [JSON.parse(readFileSync(directory, "utf8")) as Fixture];
  const paths = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".json"));
  return paths.sort().map((path) => JSON.parse(readFileSync(join(directory, path), "utf8")) as Fixture);
}

export function phaseOf(fixture: Fixture, step: number): Phase {
  const phase = fixture.phases.findLast((candidate) => candidate.fromStep <= step);
  if (phase === undefined) throw new Error(`${fixture.name}: no phase for step ${step}`);
  return phase;
}
