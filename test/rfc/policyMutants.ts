/**
 * Ways to break the decision, one branch each, as text: the rows of policyTable.tsv named by `red` (their six conditions) must notice. `from`
 * has to be in the file exactly once, so that a mutant whose branch was rewritten is noticed too.
 */
export type Mutant = { file: string; from: string; to: string; red: readonly string[] };

const POLICY = "policy/tlsPolicy.ts";
const PKIX_POLICY = "policy/authenticatedTls.ts";
const DISCOVERY = "dane/tlsDiscovery.ts";
const LOOKUP_FAILURE = "policy/lookupFailure.ts";
const ROUTE = "delivery/route.ts";
const HOST = "delivery/host.ts";
const TRACE = "delivery/trace.ts";

/** The rows of one demand, where it is not met: REQUIRETLS only where an insecure MX RRset named the host, else there is PKIX. */
const unmet = (demand: "dane-only" | "requiretls"): readonly string[] => {
  const mx = demand === "requiretls" ? "insecure" : "*";
  const always = demand === "requiretls" ? "requiretls/both" : demand;
  return [
    `literal * * * * ${always}`,
    `${mx} insecure/insecure>insecure * * * ${demand}`,
    `insecure * * * may ${always}`,
    `insecure secure>secure usable * * ${always}`,
    `${mx} secure>secure unusable * * ${demand}`,
    `insecure * * usable * ${always}`,
    `${mx} * * unusable * ${demand}`,
    `${mx} * * insecure * ${demand}`,
    `${mx} secure>secure insecure absent * ${demand}`,
    `${mx} * * absent * ${demand}`,
  ];
};
const OPPORTUNISTIC = [
  "literal * * * * dane",
  "* insecure/insecure>insecure * * * dane",
  "insecure * * * may dane",
  "* * * insecure * dane",
  "* secure>secure insecure absent * dane",
  "* * * absent * dane",
];
const FAILED_TLSA = ["* secure>secure bogus * * *", "* secure>secure failed * * *", "* * * bogus * *", "* * * failed * *"];
const HALF = ["insecure secure>secure usable * dane dane", "insecure * * usable dane dane"];
const ENCRYPT_MX = ["insecure secure>secure usable * encrypt dane", "insecure * * usable encrypt dane"];
const UNUSABLE = ["* secure>secure unusable * * dane", "* * * unusable * dane"];
const AUTHENTICATED = ["* secure>secure usable * * *", "* * * usable * *"];
const CLEAR_TEXT = '{ kind: "clear", wanted: "none", success: "exempt" }';
const ANY_TLS = '{ kind: "opportunistic", wanted: "may", success: "exempt" }';

/** Rows of REQUIRETLS that PKIX meets. */
const PKIX = [
  "* insecure/insecure>insecure * * * requiretls",
  "* secure>secure unusable * * requiretls",
  "* * * unusable * requiretls",
  "* * * insecure * requiretls",
  "* secure>secure insecure absent * requiretls",
  "* * * absent * requiretls",
];

export const MUTANTS: readonly Mutant[] = [
  {
    file: "policy/stsPolicy.ts",
    from: ' && demand.level !== "dane-only"',
    to: "",
    red: PKIX.map((row) => row.replace("requiretls", "both")),
  },
  { file: PKIX_POLICY, from: "if (!isOpenToPkix(tls, demand) || host === undefined) return tls;", to: "return tls;", red: PKIX },
  {
    file: PKIX_POLICY,
    from: "if (!named) return tls;",
    to: "",
    red: unmet("requiretls").filter((row) => !row.startsWith("literal")),
  },
  {
    file: "policy/stsPolicy.ts",
    from: 'tls.kind === "refuse" && tls.cause.kind === "tls-policy"',
    to: 'tls.kind === "refuse"',
    red: FAILED_TLSA,
  },
  { file: POLICY, from: 'return demand.level === "dane-only" || ', to: "return ", red: unmet("dane-only") },
  { file: POLICY, from: ' || demand.messageTls === "required";', to: ";", red: unmet("requiretls") },
  {
    file: POLICY,
    from: 'demand.level !== "dane" || (',
    to: "(",
    red: ["encrypt", "may", "none"].flatMap((demand) => [`* * * * * ${demand}`, `literal * * * * ${demand}`]),
  },
  { file: POLICY, from: ' && demand.levelFrom === "default")', to: ")", red: [...OPPORTUNISTIC, ...AUTHENTICATED, ...UNUSABLE] },
  { file: POLICY, from: 'demand.messageTls === "not-required" && ', to: "", red: [...AUTHENTICATED, ...HALF, ...ENCRYPT_MX] },
  {
    file: POLICY,
    from: 'demand.level === "encrypt" || demand.level === "none" ? demand.level : "may"',
    to: '"may"',
    red: ["bogus * * * * *", "failed * * * * *", "* bogus * * * *", "* failed * * * *", "nxdomain * * * * *"],
  },
  { file: POLICY, from: 'if (isMandatory(demand)) return "dane-only";', to: "", red: ["null * * * * *", "* absent * * * *"] },
  { file: POLICY, from: '? "failed" : "deferred"', to: '? "deferred" : "deferred"', red: unmet("requiretls") },
  { file: POLICY, from: 'demand.messageTls === "required" && sender', to: "sender", red: unmet("dane-only") },
  { file: POLICY, from: 'case "unreachable": {', to: `case "unreachable": { return ${ANY_TLS};`, red: FAILED_TLSA },
  { file: POLICY, from: 'if (dane.mx === "secure") {', to: "{", red: HALF },
  {
    file: POLICY,
    from: 'if (mandatory) return refused(input, "halfdane", "insecure", INSECURE_MX_TEXT);\n      return { kind: "auth',
    to: 'return { kind: "auth',
    red: ["dane-only", "requiretls/both"].flatMap((demand) => [
      `insecure secure>secure usable * * ${demand}`,
      `insecure * * usable * ${demand}`,
    ]),
  },
  {
    file: POLICY,
    from: 'if (mandatory) return refused(input, "halfdane", "insecure", INSECURE_MX_TEXT);\n      // RFC 7672 §2.2.1 leaves',
    to: "//",
    red: ["dane-only", "requiretls/both"].flatMap((demand) => [
      `insecure secure>secure usable * * ${demand}`,
      `insecure * * usable * ${demand}`,
    ]),
  },
  { file: POLICY, from: 'got: mandatory ? "dane-only" : "dane", success', to: 'got: "dane", success', red: AUTHENTICATED },
  {
    file: POLICY,
    from: 'return { kind: "authenticate", wanted, got: mandatory',
    to: 'return { kind: "encrypt", wanted, got: mandatory',
    red: AUTHENTICATED,
  },
  {
    file: POLICY,
    from: 'return { kind: "authenticate", wanted, got: "halfdane"',
    to: 'return { kind: "encrypt", wanted, got: "halfdane"',
    red: HALF,
  },
  { file: POLICY, from: '{ kind: "encrypt", wanted, got: "encrypt", success: "unusable" }', to: ANY_TLS, red: UNUSABLE },
  {
    file: POLICY,
    from: 'if (mandatory) return refused(input, "encrypt"',
    to: 'if (false) return refused(input, "encrypt"',
    red: [
      ...["* secure>secure unusable * * dane-only", "* * * unusable * dane-only"],
      ...["insecure secure>secure unusable * * requiretls", "insecure * * unusable * requiretls"],
    ],
  },
  {
    file: POLICY,
    from: '{ kind: "encrypt", wanted: "encrypt", got: "encrypt", success: "insecure" }',
    to: ANY_TLS,
    red: ENCRYPT_MX,
  },
  {
    file: POLICY,
    from: 'if (mandatory) return refused(input, "notlsa"',
    to: 'if (false) return refused(input, "notlsa"',
    red: (["dane-only", "requiretls"] as const).flatMap((demand) => unmet(demand).filter((row) => !row.includes("usable"))),
  },
  { file: POLICY, from: '{ kind: "opportunistic", wanted: "may", success: outcome }', to: CLEAR_TEXT, red: OPPORTUNISTIC },
  { file: POLICY, from: CLEAR_TEXT, to: ANY_TLS, red: ["* * * * * none", "literal * * * * none"] },
  { file: POLICY, from: ANY_TLS, to: CLEAR_TEXT, red: ["* * * * * may", "literal * * * * may"] },
  {
    file: POLICY,
    from: '{ kind: "encrypt", wanted: "encrypt", got: "encrypt", success: "exempt" }',
    to: ANY_TLS,
    red: ["* * * * * encrypt", "literal * * * * encrypt"],
  },
  { file: POLICY, from: 'return "no-tlsa";', to: 'return "insecure";', red: ["* * * absent * dane"] },
  {
    file: DISCOVERY,
    from: '!definite.some((family) => firstResponseStatus(family) === "secure")',
    to: "false",
    red: ["* insecure/insecure>insecure * * * dane"],
  },
  {
    file: DISCOVERY,
    from: "resolution.aliases[0]?.status ?? resolution.status",
    to: "resolution.status",
    red: ["* * * usable * *", "* * * bogus * *"],
  },
  {
    file: DISCOVERY,
    from: 'family.status === "secure" && family',
    to: "family",
    red: ["* * * usable * *", "* * * absent * dane"],
  },
  {
    file: DISCOVERY,
    from: "new Set([...expanded, lookups.host])",
    to: "new Set([lookups.host])",
    red: ["* secure>secure usable * * *", "* secure>secure bogus * * *"],
  },
  {
    file: DISCOVERY,
    from: "new Set([...expanded, lookups.host])",
    to: "new Set([lookups.host, ...expanded])",
    red: ["* secure>secure usable * * *"],
  },
  {
    file: DISCOVERY,
    from: "new Set([...expanded, lookups.host])",
    to: "new Set(expanded.length > 0 ? expanded : [lookups.host])",
    red: ["* * * usable * *"],
  },
  {
    file: DISCOVERY,
    from: 'if (answer.status === "insecure") return { kind: "insecure" };',
    to: "",
    red: ["* * * insecure * dane"],
  },
  { file: DISCOVERY, from: 'because: "no-usable-record", unusable }', to: 'because: "insecure-mx", unusable }', red: UNUSABLE },
  { file: DISCOVERY, from: '&& lookups.insecureMx !== "dane"', to: "&& false", red: ENCRYPT_MX },
  { file: DISCOVERY, from: 'origin.mx === "insecure" && lookups.insecureMx !== "dane"', to: "false", red: ENCRYPT_MX },
  { file: DISCOVERY, from: 'origin.kind === "mx" ? origin.mx : "secure"', to: '"secure"', red: HALF },
  { file: DISCOVERY, from: 'origin.kind === "mx" ? origin.mx : "secure"', to: '"insecure"', red: AUTHENTICATED },
  {
    file: DISCOVERY,
    from: "if (!isDefinite(answer)) return",
    to: "if (!isDefinite(answer)) continue; else if (false) return",
    red: FAILED_TLSA,
  },
  {
    file: DISCOVERY,
    from: 'if (finding.kind === "insecure") because = "tlsa-insecure";',
    to: "",
    red: ["* * * insecure * dane", "* secure>secure insecure absent * dane"],
  },
  {
    file: DISCOVERY,
    from: 'lookups.insecureMx === "may"',
    to: 'lookups.insecureMx === "encrypt"',
    red: ["insecure * * * may dane"],
  },
  {
    file: ROUTE,
    from: 'if (resolution.status === "bogus" || ',
    to: "if (",
    red: ["bogus * * * * dane/dane-only/requiretls/both", "bogus * * * * *"],
  },
  {
    file: ROUTE,
    from: '|| resolution.status === "indeterminate") {',
    to: ") {",
    red: ["failed * * * * dane/dane-only/requiretls/both", "failed * * * * *"],
  },
  { file: ROUTE, from: 'case "nxdomain":\n', to: 'case "never":\n', red: ["nxdomain * * * * *"] },
  { file: ROUTE, from: 'if (order.kind === "nullMx") ', to: 'if (order.kind === "never") ', red: ["null * * * * *"] },
  {
    file: ROUTE,
    from: '{ kind: "mx", mx: "insecure" }',
    to: '{ kind: "implicit-mx", nextHop: domain }',
    red: [...HALF, ...ENCRYPT_MX, "insecure * * * may dane"],
  },
  { file: ROUTE, from: 'resolution.status === "secure"\n', to: "true\n", red: HALF },
  {
    file: HOST,
    from: 'if (family.status === "bogus" || family.status === "indeterminate") return { kind: "unknown"',
    to: 'if (false) return { kind: "unknown"',
    red: ["dane/dane-only/requiretls/both", "*"].flatMap((demand) => [`* bogus * * * ${demand}`, `* failed * * * ${demand}`]),
  },
  {
    file: HOST,
    from: '{ kind: "refused", addresses: all } : { kind: "noAddress" }',
    to: '{ kind: "noAddress" } : { kind: "refused", addresses: all }',
    red: ["* absent * * * *"],
  },
  {
    file: HOST,
    from: 'dane: { kind: "notApplicable", because: "address-literal" }',
    to: 'dane: { kind: "notApplicable", because: "tlsa-absent" }',
    red: ["literal * * * * dane"],
  },
  {
    file: LOOKUP_FAILURE,
    from: 'code === "lookup-failed" || ',
    to: "",
    red: ["failed * * * * *", "* failed * * * *", "* * * failed * *"],
  },
  {
    file: LOOKUP_FAILURE,
    from: 'code === "lookup-failed" || ',
    to: "true || ",
    red: ["bogus * * * * *", "* bogus * * * *", "* * * bogus * *"],
  },
  { file: TRACE, from: "byDane ? tlsWord", to: "true ? tlsWord", red: ["bogus * * * * *", "* failed * * * *"] },
  { file: TRACE, from: "byDane ? tlsWord", to: "false ? tlsWord", red: ["bogus * * * * dane/dane-only/requiretls/both"] },
];
