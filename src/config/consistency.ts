import { endpointText } from "./address.ts";
import type { Config } from "./schema.ts";

/** What no setting violates alone, but several do together. `keys`: the settings it is about, the one to blame first. */
export type Inconsistency = { keys: readonly [string, ...string[]]; message: string };

/** Reads a file that a setting names; `unreadable` says why it cannot be. */
export type ReadFile = (
  path: string,
) => { kind: "text"; text: string } | { kind: "missing" } | { kind: "unreadable"; reason: string };

export function inconsistencies(config: Config, readFile: ReadFile): readonly Inconsistency[] {
  return [
    ...retryTimes(config),
    ...connectionLimits(config),
    ...listeners(config),
    ...submissionTls(config),
    ...submissionAuth(config),
    ...clientCertificates(config),
    ...upstreams(config),
    ...nsec3Iterations(config),
    ...dkim(config),
    ...namedFiles(config, readFile),
    ...adminToken(config, readFile),
  ];
}

function retryTimes({ delivery: { retry } }: Config): Inconsistency[] {
  if (retry.initialSeconds <= retry.maximumSeconds) return [];
  return [
    {
      keys: ["delivery.retry.initialSeconds", "delivery.retry.maximumSeconds"],
      message: `is ${retry.initialSeconds}, more than delivery.retry.maximumSeconds (${retry.maximumSeconds})`,
    },
  ];
}

function connectionLimits({ delivery }: Config): Inconsistency[] {
  if (delivery.maxConnectionsPerDestination <= delivery.maxConnections) return [];
  return [
    {
      keys: ["delivery.maxConnectionsPerDestination", "delivery.maxConnections"],
      message: `is ${delivery.maxConnectionsPerDestination}, more than delivery.maxConnections (${delivery.maxConnections})`,
    },
  ];
}

/** No two of all addresses that are listened at are the same. */
function listeners({ admin, submission }: Config): Inconsistency[] {
  const all = [
    { key: "submission.listen", endpoints: submission.listen },
    { key: "submission.tls.listen", endpoints: submission.tls.listen },
    { key: "admin.listen", endpoints: [admin.listen] },
  ];
  return all.flatMap(({ key, endpoints }, i) =>
    all.slice(0, i).flatMap((other): Inconsistency[] => {
      const taken = other.endpoints.map(endpointText);
      const shared = endpoints.map(endpointText).find((endpoint) => taken.includes(endpoint));
      return shared === undefined ? [] : [{ keys: [key, other.key], message: `is ${shared}, which ${other.key} has too` }];
    }),
  );
}

function submissionTls({ submission: { tls } }: Config): Inconsistency[] {
  const { certificateFile, keyFile } = tls;
  const wanted = "submission.tls.certificateFile and submission.tls.keyFile";
  if (certificateFile !== undefined && keyFile !== undefined) return [];
  if (certificateFile !== undefined)
    return [{ keys: ["submission.tls.keyFile"], message: `is not set, and TLS needs both ${wanted}` }];
  if (keyFile !== undefined)
    return [{ keys: ["submission.tls.certificateFile"], message: `is not set, and TLS needs both ${wanted}` }];
  if (tls.clientCaFile !== undefined)
    return [{ keys: ["submission.tls.clientCaFile"], message: `is set, and TLS needs ${wanted}` }];
  if (tls.listen.length === 0) return [];
  return [{ keys: ["submission.tls.listen"], message: `is set, and TLS needs ${wanted}` }];
}

/** RFC 4954 §9: no plaintext password where it could be overheard. */
function submissionAuth({ submission: { usersFile, authWithoutTls, tls } }: Config): Inconsistency[] {
  if (usersFile === undefined || tls.certificateFile !== undefined || authWithoutTls === "loopback") return [];
  const message = "is set, and AUTH needs TLS (submission.tls.certificateFile), or submission.authWithoutTls: loopback";
  return [{ keys: ["submission.usersFile", "submission.tls.certificateFile"], message }];
}

function clientCertificates({ submission: { tls } }: Config): Inconsistency[] {
  if (tls.clientNames.length === 0 || tls.clientCaFile !== undefined) return [];
  return [
    {
      keys: ["submission.tls.clientNames", "submission.tls.clientCaFile"],
      message: "is set, and submission.tls.clientCaFile is not",
    },
  ];
}

function upstreams({ resolver }: Config): Inconsistency[] {
  if (resolver.mode !== "forward" || resolver.upstreams.length > 0) return [];
  return [{ keys: ["resolver.upstreams", "resolver.mode"], message: "is empty, so resolver.mode forward has nobody to ask" }];
}

function nsec3Iterations({ resolver: { nsec3Iterations: limits } }: Config): Inconsistency[] {
  if (limits.insecureAbove <= limits.bogusAbove) return [];
  return [
    {
      keys: ["resolver.nsec3Iterations.insecureAbove", "resolver.nsec3Iterations.bogusAbove"],
      message: `is ${limits.insecureAbove}, more than resolver.nsec3Iterations.bogusAbove (${limits.bogusAbove})`,
    },
  ];
}

/** RFC 8460 §3: a report is signed by the reporting domain. */
function dkim({ dkim: { domain, selector, keyFile }, tlsrpt }: Config): Inconsistency[] {
  const settings = { "dkim.domain": domain, "dkim.selector": selector, "dkim.keyFile": keyFile };
  const unset = Object.entries(settings).flatMap(([key, value]) => (value === undefined ? [key] : []));
  if (unset.length === 3) return [];
  const [missing] = unset;
  if (missing !== undefined)
    return [{ keys: [missing], message: `is not set, and a signature needs all of ${Object.keys(settings).join(", ")}` }];
  const contactDomain = tlsrpt.contact?.slice(tlsrpt.contact.lastIndexOf("@") + 1);
  if (contactDomain === undefined || `.${contactDomain}`.endsWith(`.${domain}`)) return [];
  return [
    {
      keys: ["dkim.domain", "tlsrpt.contact"],
      message: `is ${domain}, which is neither the domain of tlsrpt.contact (${contactDomain}) nor above it`,
    },
  ];
}

const MIN_TOKEN_CHARACTERS = 20;

function adminToken({ admin: { tokenFile } }: Config, readFile: ReadFile): Inconsistency[] {
  if (tokenFile === undefined) return [];
  const read = readFile(tokenFile);
  const keys = ["admin.tokenFile"] as const;
  if (read.kind === "missing") return [{ keys, message: `names ${tokenFile}, which does not exist` }];
  if (read.kind === "unreadable") return [{ keys, message: `names ${tokenFile}: ${read.reason}` }];
  const token = read.text.trim();
  if (!/^[\x21-\x7e]*$/.test(token))
    return [{ keys, message: `names ${tokenFile}, which is not one line of visible ASCII characters` }];
  if (token.length >= MIN_TOKEN_CHARACTERS) return [];
  const message = `names ${tokenFile}, whose token has ${token.length} characters; at least ${MIN_TOKEN_CHARACTERS} are needed (openssl rand -base64 32)`;
  return [{ keys, message }];
}

function namedFiles(
  { spool, postgres, submission, delivery, resolver, mtaSts, dkim }: Config,
  readFile: ReadFile,
): Inconsistency[] {
  const caFile = spool.kind === "postgres" && spool.tls.mode === "verify-full" ? spool.tls.caFile : undefined;
  const named = [
    { key: "spool", path: caFile },
    { key: "postgres.passwordFile", path: postgres.passwordFile },
    { key: "resolver.trustAnchorFile", path: resolver.trustAnchorFile },
    { key: "resolver.rootHintsFile", path: resolver.rootHintsFile },
    { key: "mtaSts.caFile", path: mtaSts.caFile },
    { key: "dkim.keyFile", path: dkim.keyFile },
    ...dkim.sign.map(({ keyFile }) => ({ key: "dkim.sign", path: keyFile })),
    { key: "submission.tls.certificateFile", path: submission.tls.certificateFile },
    { key: "submission.tls.keyFile", path: submission.tls.keyFile },
    { key: "submission.tls.clientCaFile", path: submission.tls.clientCaFile },
    { key: "submission.usersFile", path: submission.usersFile },
    ...delivery.routes.map(({ auth }) => ({ key: "delivery.routes", path: auth?.passwordFile })),
  ];
  return named.flatMap(({ key, path }): Inconsistency[] => {
    if (path === undefined) return [];
    const read = readFile(path);
    if (read.kind === "text") return [];
    return [
      { keys: [key], message: read.kind === "missing" ? `names ${path}, which does not exist` : `names ${path}: ${read.reason}` },
    ];
  });
}
