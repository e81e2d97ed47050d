import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DanePolicy } from "../../../src/dane/tlsDiscovery.ts";
import { name } from "../../../src/dns/name.ts";
import {
  hostTls,
  isExempt,
  type MessageTls,
  type TlsDemand,
  type TlsLevel,
  tlsWord,
  unmetDemand,
  wantedTls,
} from "../../../src/policy/tlsPolicy.ts";

const BASE = name("mx.example.org");
const RECORD = { usage: 3, selector: 1, matchingType: 1, data: Buffer.alloc(32) };
const USABLE = { kind: "authenticate", base: BASE, records: [RECORD], identifiers: [BASE] } as const;

/** What `discoverTls` can say of a host; the truth table in test/rfc has the way there. */
const DANE = {
  usable: { ...USABLE, mx: "secure" },
  halfdane: { ...USABLE, mx: "insecure" },
  unusable: { kind: "encryptWithoutAuthentication", base: BASE, because: "no-usable-record" },
  "insecure MX: encrypt": { kind: "encryptWithoutAuthentication", base: BASE, because: "insecure-mx" },
  "insecure MX: may": { kind: "notApplicable", because: "insecure-mx" },
  absent: { kind: "notApplicable", because: "tlsa-absent" },
  "TLSA insecure": { kind: "notApplicable", because: "tlsa-insecure" },
  "addresses insecure": { kind: "notApplicable", because: "insecure-address" },
  literal: { kind: "notApplicable", because: "address-literal" },
  bogus: { kind: "unreachable", reasons: [{ code: "signature-invalid", text: "forged" }] },
  failed: { kind: "unreachable", reasons: [{ code: "lookup-failed", text: "SERVFAIL" }] },
} as const satisfies Record<string, DanePolicy>;
type Discovered = keyof typeof DANE;

/** kind, tls word when it goes well (or is refused), DANE outcome. Written from RFC 7672 §2.2, §2.2.1, §6 and design.md §3, not from the code. */
const OPPORTUNISTIC_DANE: Readonly<Record<Discovered, string>> = {
  usable: "authenticate dane authenticated",
  halfdane: "authenticate dane:halfdane halfdane",
  unusable: "encrypt dane:encrypt unusable",
  "insecure MX: encrypt": "encrypt encrypt insecure",
  "insecure MX: may": "opportunistic may insecure",
  absent: "opportunistic may no-tlsa",
  "TLSA insecure": "opportunistic may insecure",
  "addresses insecure": "opportunistic may insecure",
  literal: "opportunistic may address-literal",
  bogus: "refuse !dane? bogus",
  failed: "refuse !dane? lookup-failed",
};

const MANDATORY_DANE: Readonly<Record<Discovered, string>> = {
  usable: "authenticate dane-only authenticated",
  halfdane: "refuse !dane-only:halfdane insecure",
  unusable: "refuse !dane-only:encrypt unusable",
  "insecure MX: encrypt": "refuse !dane-only:halfdane insecure",
  "insecure MX: may": "refuse !dane-only:notlsa insecure",
  absent: "refuse !dane-only:notlsa no-tlsa",
  "TLSA insecure": "refuse !dane-only:notlsa insecure",
  "addresses insecure": "refuse !dane-only:notlsa insecure",
  literal: "refuse !dane-only:notlsa address-literal",
  bogus: "refuse !dane-only? bogus",
  failed: "refuse !dane-only? lookup-failed",
};

function described(demand: TlsDemand, dane: DanePolicy): string {
  const tls = hostTls({ host: "mx.example.org", dane, ...demand });
  switch (tls.kind) {
    case "authenticate":
    case "encrypt":
      return `${tls.kind} ${tlsWord(tls.wanted, tls.got, "kept")} ${tls.success}`;
    case "opportunistic":
    case "clear":
      return `${tls.kind} ${tls.wanted} ${tls.success}`;
    case "refuse":
      return `refuse ${tlsWord(tls.wanted, tls.got, "violated")} ${tls.dane}`;
    default:
      return tls satisfies never;
  }
}

type From = TlsDemand["levelFrom"];
/** Every demand: which of the tables holds, what is wanted while nothing is known of a host, and what a demand that is not met leads to. */
const DEMANDS: readonly [TlsLevel, From, MessageTls, "opportunistic" | "mandatory" | string, string, "deferred" | "failed"][] = [
  ["dane", "default", "unspecified", "opportunistic", "dane", "deferred"],
  ["dane", "operator", "unspecified", "opportunistic", "dane", "deferred"],
  ["dane-only", "operator", "unspecified", "mandatory", "dane-only", "deferred"],
  ["encrypt", "operator", "unspecified", "encrypt encrypt exempt", "encrypt", "deferred"],
  ["may", "operator", "unspecified", "opportunistic may exempt", "may", "deferred"],
  ["none", "operator", "unspecified", "clear none exempt", "none", "deferred"],
  // RFC 8689 §4.2.2; the operator's own policy is not the recipient's to waive.
  ["dane", "default", "not-required", "opportunistic may exempt", "may", "deferred"],
  ["dane", "operator", "not-required", "opportunistic", "dane", "deferred"],
  ["dane-only", "operator", "not-required", "mandatory", "dane-only", "deferred"],
  ["encrypt", "operator", "not-required", "encrypt encrypt exempt", "encrypt", "deferred"],
  ["may", "operator", "not-required", "opportunistic may exempt", "may", "deferred"],
  ["none", "operator", "not-required", "clear none exempt", "none", "deferred"],
  // RFC 8689 §4.2.1: above what the operator relaxed, too.
  ["dane", "default", "required", "mandatory", "dane-only", "failed"],
  ["dane", "operator", "required", "mandatory", "dane-only", "failed"],
  ["dane-only", "operator", "required", "mandatory", "dane-only", "failed"],
  ["encrypt", "operator", "required", "mandatory", "dane-only", "failed"],
  ["may", "operator", "required", "mandatory", "dane-only", "failed"],
  ["none", "operator", "required", "mandatory", "dane-only", "failed"],
];

for (const [level, levelFrom, messageTls, table, wanted, unmet] of DEMANDS) {
  const demand = { level, levelFrom, messageTls };
  describe(`level ${level} (${levelFrom}), TLS ${messageTls} by the message`, () => {
    for (const [discovered, dane] of Object.entries(DANE)) {
      const expected =
        table === "opportunistic"
          ? OPPORTUNISTIC_DANE[discovered as Discovered]
          : table === "mandatory"
            ? MANDATORY_DANE[discovered as Discovered]
            : table;
      test(`${discovered}: ${expected}`, () => assert.equal(described(demand, dane), expected));
    }
    test("TLSA is looked up unless DANE is switched off", () =>
      assert.equal(isExempt(demand), table !== "opportunistic" && table !== "mandatory"));
    test(`wanted: ${wanted}`, () => assert.equal(wantedTls(demand), wanted));
    test(`not met: ${unmet}; a notification is never lost for it (RFC 8689 §5)`, () => {
      assert.equal(unmetDemand(demand, "sender@example.com"), unmet);
      assert.equal(unmetDemand(demand, ""), "deferred");
    });
  });
}

test("a refusal names the host, the demand and the reason", () => {
  const refusalOf = (demand: TlsDemand, discovered: Discovered): string => {
    const tls = hostTls({ host: "mx.example.org", dane: DANE[discovered], ...demand });
    return tls.kind === "refuse" ? tls.cause.text : tls.kind;
  };
  const only: TlsDemand = { level: "dane-only", levelFrom: "operator", messageTls: "unspecified" };
  assert.match(refusalOf(only, "absent"), /dane-only.* mx\.example\.org publishes no TLSA record/);
  assert.match(refusalOf(only, "insecure MX: encrypt"), /mx\.example\.org was named by an MX record that is not signed/);
  assert.match(refusalOf(only, "unusable"), /mx\.example\.org publishes no TLSA record that mail can use/);
  assert.match(refusalOf({ ...only, messageTls: "required" }, "absent"), /REQUIRETLS/);
  assert.match(refusalOf(only, "bogus"), /mx\.example\.org .*forged/);
});
