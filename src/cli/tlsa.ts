import { adviceOn, type OwnRecord, ownRecords, RECOMMENDED, type TlsaParameters } from "../dane/ownRecords.ts";
import { presentTlsa } from "../dane/tlsa.ts";
import { type DomainName, displayName, isName, parseName } from "../dns/name.ts";
import { type KeyMaterial, readKeyMaterial } from "../x509/keyMaterial.ts";
import { type Command, type ExitStatus, readArguments, type Terminal, UsageError } from "./command.ts";
import { rollover } from "./tlsaRollover.ts";

const SMTP_PORT = 25;
const MAX_PORT = 65_535;
const DEFAULT_TTL = 3600;
const MAX_TTL = 0x7fff_ffff;

/** `tlsa`: records for one's own servers, and their rollover. */
export const tlsaCommand: Command = {
  name: "tlsa",
  synopsis: [
    "tlsa FILE [--host NAME]... [--port 25] [--usage 3 --selector 1 --matching 1] [--ttl 3600]",
    "tlsa rollover init|status|publish|switch|retire|hook --dir DIR [...]",
  ],
  summary:
    "TLSA records, ready to paste, for a certificate with its chain, a key or a certificate request (PEM or DER); the host names are those of the " +
    "certificate when none is given. rollover: changes the key of one's own host without one refused delivery (see README). Exit status: 1 not safe now, 2 usage.",
  run,
};

async function run(args: readonly string[], terminal: Terminal): Promise<ExitStatus> {
  if (args[0] === "rollover") return rollover(args.slice(1), terminal);
  const { values, positionals } = readArguments(args, {
    host: { type: "string", multiple: true },
    port: { type: "string" },
    usage: { type: "string" },
    selector: { type: "string" },
    matching: { type: "string" },
    ttl: { type: "string" },
  });
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) throw new UsageError("tlsa takes one file");
  const parameters: TlsaParameters = {
    usage: numberOf(values.usage, "--usage", 0, 3) ?? RECOMMENDED.usage,
    selector: numberOf(values.selector, "--selector", 0, 1) ?? RECOMMENDED.selector,
    matchingType: numberOf(values.matching, "--matching", 0, 2) ?? RECOMMENDED.matchingType,
  };
  const port = numberOf(values.port, "--port", 1, MAX_PORT) ?? SMTP_PORT;
  const ttl = numberOf(values.ttl, "--ttl", 0, MAX_TTL) ?? DEFAULT_TTL;
  const material = await readMaterial(file);
  if (material.kind === "unreadable") throw new UsageError(`${file}: ${material.because}`);
  const made = ownRecords(material, parameters);
  if (made.kind === "impossible") throw new UsageError(`${file}: ${made.because}`);
  const hosts = hostsOf(values.host, material);
  for (const { record, of } of made.records) {
    if (made.records.length > 1) terminal.out(`; ${of}\n`);
    for (const host of hosts) terminal.out(`_${port}._tcp.${displayName(host)}. ${ttl} IN TLSA ${presentTlsa(record)}\n`);
  }
  for (const line of [...adviceOn(parameters, port), ...expiries(made.records)]) terminal.err(`note: ${line}\n`);
  return 0;
}

async function readMaterial(file: string) {
  const { readFile } = await import("node:fs/promises");
  const content = await readFile(file).catch((error: NodeJS.ErrnoException) => error);
  return content instanceof Error ? ({ kind: "unreadable", because: content.message } as const) : readKeyMaterial(content);
}

/** A whole number from `least` to `most`; undefined when it is not given. */
function numberOf(text: string | undefined, option: string, least: number, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most))
    throw new UsageError(`${option} takes a number from ${least} to ${most}, not ${JSON.stringify(text)}`);
  return value;
}

/** Those that were asked for, else the DNS names of the certificate; a wildcard names no host. */
function hostsOf(given: readonly string[] | undefined, material: KeyMaterial): readonly DomainName[] {
  if (given !== undefined) return given.map(hostOf);
  const names = material.kind === "certificates" ? subjectAltNames(material.certificates[0].x509.subjectAltName) : [];
  const hosts = names.filter((text) => !text.includes("*")).map(hostOf);
  if (hosts.length > 0) return hosts;
  throw new UsageError(
    names.length > 0
      ? `--host is needed: the certificate names ${names.join(", ")}, and TLSA records belong to a host`
      : "--host is needed: the name of the host that the records are for",
  );
}

function subjectAltNames(text: string | undefined): readonly string[] {
  return [...(text ?? "").matchAll(/(?:^|, )DNS:([^,"]+)/g)].map((match) => match[1] ?? "");
}

function hostOf(text: string): DomainName {
  const host = parseName(text);
  if (isName(host)) return host;
  throw new UsageError(`${JSON.stringify(text)} is no host name: ${host.reason}`);
}

/** Records that end with a certificate should say when. */
function expiries(records: readonly OwnRecord[]): readonly string[] {
  return records.flatMap(({ record, certificate, of }) =>
    certificate === undefined || record.selector !== 0
      ? []
      : [
          `the certificate of ${of} ends on ${certificate.x509.validToDate.toISOString().slice(0, 10)}, and with it this record's use.`,
        ],
  );
}
