import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DanePolicy } from "../../../src/dane/tlsDiscovery.ts";
import { name } from "../../../src/dns/name.ts";
import type { StsMode } from "../../../src/mtasts/policy.ts";
import { asksForSts, type StsDemand, stsDemand, withSts } from "../../../src/policy/stsPolicy.ts";
import { hostTls, type TlsDemand, tlsWord } from "../../../src/policy/tlsPolicy.ts";

const HOST = name("mx.example.org");
const DOMAIN = name("example.org");
const RECORD = { usage: 3, selector: 1, matchingType: 1, data: Buffer.alloc(32) };
const USABLE = { kind: "authenticate", base: HOST, records: [RECORD], identifiers: [HOST] } as const;

const DANE = {
  usable: { ...USABLE, mx: "secure" },
  halfdane: { ...USABLE, mx: "insecure" },
  unusable: { kind: "encryptWithoutAuthentication", base: HOST, because: "no-usable-record" },
  "insecure MX: encrypt": { kind: "encryptWithoutAuthentication", base: HOST, because: "insecure-mx" },
  "insecure MX: may": { kind: "notApplicable", because: "insecure-mx" },
  absent: { kind: "notApplicable", because: "tlsa-absent" },
  "TLSA insecure": { kind: "notApplicable", because: "tlsa-insecure" },
  "addresses insecure": { kind: "notApplicable", because: "insecure-address" },
  bogus: { kind: "unreachable", reasons: [{ code: "signature-invalid", text: "forged" }] },
} satisfies Record<string, DanePolicy>;
type Dane = keyof typeof DANE;

/** What the operator and the message say; the first three leave DANE and MTA-STS on. */
const DEMANDS = {
  default: { level: "dane", levelFrom: "default", messageTls: "unspecified" },
  "dane by the operator": { level: "dane", levelFrom: "operator", messageTls: "unspecified" },
  "TLS-Required: No against the operator": { level: "dane", levelFrom: "operator", messageTls: "not-required" },
  "TLS-Required: No": { level: "dane", levelFrom: "default", messageTls: "not-required" },
  encrypt: { level: "encrypt", levelFrom: "operator", messageTls: "unspecified" },
  may: { level: "may", levelFrom: "operator", messageTls: "unspecified" },
  none: { level: "none", levelFrom: "operator", messageTls: "unspecified" },
  "dane-only": { level: "dane-only", levelFrom: "operator", messageTls: "unspecified" },
  REQUIRETLS: { level: "dane", levelFrom: "default", messageTls: "required" },
} satisfies Record<string, TlsDemand>;
type Demand = keyof typeof DEMANDS;
const BOTH_ON: readonly Demand[] = ["default", "dane by the operator", "TLS-Required: No against the operator"];

const STS = {
  "no policy": { kind: "none" },
  "testing, listed": { kind: "testing", domain: DOMAIN, host: HOST, allowed: "yes" },
  "testing, not listed": { kind: "testing", domain: DOMAIN, host: HOST, allowed: "no" },
  "enforce, listed": { kind: "enforce", domain: DOMAIN, host: HOST, allowed: "yes" },
  "enforce, not listed": { kind: "enforce", domain: DOMAIN, host: HOST, allowed: "no" },
} satisfies Record<string, StsDemand>;
type Sts = keyof typeof STS;

function described(dane: Dane, demand: Demand, sts: Sts): string {
  const tls = withSts(hostTls({ host: "mx.example.org", dane: DANE[dane], ...DEMANDS[demand] }), DEMANDS[demand], STS[sts]);
  switch (tls.kind) {
    case "authenticate":
    case "encrypt":
      return `${tls.kind} ${tlsWord(tls.wanted, tls.got, "kept")} ${tls.success}`;
    case "authenticateByPkix":
      return `pkix${tls.dane === undefined ? "" : "+tlsa"} ${tlsWord(tls.wanted, tls.got, "kept")} ${tls.success}`;
    case "opportunistic":
    case "clear":
      return `${tls.kind} ${tls.wanted} ${tls.success}`;
    case "refuse":
      return `refuse ${tlsWord(tls.wanted, tls.got, "violated")} ${tls.dane}`;
    default:
      return tls satisfies never;
  }
}

/** Written from RFC 8461 §2, §5 and the last paragraph of design.md §3: what a listed and an unlisted host need under enforce. */
const ENFORCE: Record<Dane, readonly [listed: string, notListed: string]> = {
  usable: ["authenticate dane authenticated", "authenticate dane authenticated"],
  halfdane: ["pkix+tlsa sts halfdane", "refuse !sts:noconnect not-tried"],
  unusable: ["pkix sts unusable", "refuse !sts:noconnect not-tried"],
  "insecure MX: encrypt": ["pkix sts insecure", "refuse !sts:noconnect not-tried"],
  "insecure MX: may": ["pkix sts insecure", "refuse !sts:noconnect insecure"],
  absent: ["pkix sts no-tlsa", "refuse !sts:noconnect no-tlsa"],
  "TLSA insecure": ["pkix sts insecure", "refuse !sts:noconnect insecure"],
  "addresses insecure": ["pkix sts insecure", "refuse !sts:noconnect insecure"],
  bogus: ["refuse !dane? bogus", "refuse !dane? bogus"],
};

for (const dane of Object.keys(DANE) as Dane[])
  describe(`TLSA ${dane}`, () => {
    for (const demand of Object.keys(DEMANDS) as Demand[]) {
      const alone = described(dane, demand, "no policy");
      for (const sts of ["testing, listed", "testing, not listed"] as const)
        test(`${demand}, ${sts}: as without (${alone})`, () => assert.equal(described(dane, demand, sts), alone));
      const [listed, notListed] = BOTH_ON.includes(demand) ? ENFORCE[dane] : [alone, alone];
      test(`${demand}, enforce, listed: ${listed}`, () => assert.equal(described(dane, demand, "enforce, listed"), listed));
      test(`${demand}, enforce, not listed: ${notListed}`, () =>
        assert.equal(described(dane, demand, "enforce, not listed"), notListed));
      test(`${demand}: the policy is asked for where, and only where, it could change something`, () => {
        const asked = asksForSts(hostTls({ host: "mx.example.org", dane: DANE[dane], ...DEMANDS[demand] }), DEMANDS[demand]);
        // For REQUIRETLS it may name the host (authenticatedTls.ts), where DANE is not usable, and not because a look-up failed.
        const namesHost = demand === "REQUIRETLS" && dane !== "usable" && dane !== "bogus";
        assert.equal(asked, namesHost || listed !== alone || notListed !== alone);
      });
    }
  });

const MODES: readonly [mode: StsMode, mx: string, expected: string][] = [
  ["enforce", "mx.example.org", "enforce yes"],
  ["enforce", "*.example.org", "enforce yes"],
  ["enforce", "mail.example.org", "enforce no"],
  ["testing", "mx.example.org", "testing yes"],
  ["testing", "mail.example.org", "testing no"],
  ["none", "mx.example.org", "none"],
];
for (const [mode, mx, expected] of MODES)
  test(`mode ${mode}, mx ${mx}: ${expected}`, () => {
    const policy = { mode, maxAgeSeconds: 60, mx: [mx] };
    const demand = stsDemand({ kind: "policy", domain: DOMAIN, id: "1", policy }, HOST);
    assert.equal(demand.kind === "none" ? "none" : `${demand.kind} ${demand.allowed}`, expected);
  });

test("no policy in force demands nothing, whatever the reason", () => {
  for (const because of ["off", "no-record", "lookup-failed"] as const)
    assert.deepEqual(stsDemand({ kind: "none", because }, HOST), { kind: "none" });
  const failure = "sts-policy-fetch-error";
  assert.deepEqual(stsDemand({ kind: "none", because: "failed", failure, reason: "404" }, HOST), { kind: "none" });
});
