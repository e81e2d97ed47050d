import assert from "node:assert/strict";
import { test } from "node:test";
import type { DanePolicy } from "../../../src/dane/tlsDiscovery.ts";
import { name } from "../../../src/dns/name.ts";
import type { MessageTls, MxSecurity, TlsLevel } from "../../../src/policy/tlsPolicy.ts";
import { daneIsAsked, hostTls, tlsWord } from "../../../src/policy/tlsPolicy.ts";

const BASE = name("mx.example.org");
const RECORD = { usage: 3, selector: 1, matchingType: 1, data: Buffer.alloc(32) };
const DANE: Record<string, DanePolicy> = {
  usable: { kind: "authenticate", mx: "secure", base: BASE, records: [RECORD], identifiers: [BASE] },
  unusable: { kind: "encryptWithoutAuthentication", base: BASE },
  absent: { kind: "notApplicable", because: "tlsa-absent" },
  tlsaInsecure: { kind: "notApplicable", because: "tlsa-insecure" },
  addressInsecure: { kind: "notApplicable", because: "insecure-address" },
  literal: { kind: "notApplicable", because: "address-literal" },
  exempt: { kind: "notApplicable", because: "exempt" },
  insecureMx: { kind: "notApplicable", because: "insecure-mx" },
  bogus: { kind: "unreachable", reasons: [{ code: "signature-invalid", text: "forged" }] },
  failed: { kind: "unreachable", reasons: [{ code: "lookup-failed", text: "SERVFAIL" }] },
};

type Row = [dane: keyof typeof DANE, mx: MxSecurity, level: TlsLevel, expected: string];

/** kind, tls word when it goes well (or is refused), DANE outcome. Written from RFC 7672 §2.2, §2.2.1, §6 and design.md §3, not from the code. */
const ROWS: readonly Row[] = [
  ["usable", "secure", "dane", "authenticate dane authenticated"],
  ["usable", "configured", "dane", "authenticate dane authenticated"],
  ["usable", "insecure", "dane", "authenticate dane:halfdane halfdane"],
  ["unusable", "secure", "dane", "encrypt dane:encrypt unusable"],
  ["unusable", "configured", "dane", "encrypt dane:encrypt unusable"],
  ["unusable", "insecure", "dane", "encrypt dane:encrypt unusable"],
  ["absent", "secure", "dane", "opportunistic may no-tlsa"],
  ["absent", "insecure", "dane", "opportunistic may no-tlsa"],
  ["tlsaInsecure", "secure", "dane", "opportunistic may insecure"],
  ["addressInsecure", "secure", "dane", "opportunistic may insecure"],
  ["addressInsecure", "insecure", "dane", "opportunistic may insecure"],
  ["literal", "configured", "dane", "opportunistic may address-literal"],
  ["bogus", "secure", "dane", "refuse !dane? bogus"],
  ["failed", "secure", "dane", "refuse !dane? lookup-failed"],
  ["bogus", "insecure", "dane", "refuse !dane? bogus"],
  ["failed", "insecure", "dane", "refuse !dane? lookup-failed"],
  ["usable", "secure", "dane-only", "authenticate dane-only authenticated"],
  ["usable", "configured", "dane-only", "authenticate dane-only authenticated"],
  ["usable", "insecure", "dane-only", "refuse !dane-only:halfdane insecure"],
  ["unusable", "secure", "dane-only", "refuse !dane-only:encrypt unusable"],
  ["absent", "secure", "dane-only", "refuse !dane-only:notlsa no-tlsa"],
  ["tlsaInsecure", "secure", "dane-only", "refuse !dane-only:notlsa insecure"],
  ["addressInsecure", "secure", "dane-only", "refuse !dane-only:notlsa insecure"],
  ["literal", "configured", "dane-only", "refuse !dane-only:notlsa address-literal"],
  ["bogus", "secure", "dane-only", "refuse !dane-only? bogus"],
  ["failed", "secure", "dane-only", "refuse !dane-only? lookup-failed"],
  ["exempt", "secure", "encrypt", "encrypt encrypt exempt"],
  ["exempt", "insecure", "encrypt", "encrypt encrypt exempt"],
  ["exempt", "secure", "may", "opportunistic may exempt"],
  ["exempt", "insecure", "may", "opportunistic may exempt"],
  ["exempt", "secure", "none", "clear none exempt"],
  ["exempt", "insecure", "none", "clear none exempt"],
];

function described(row: {
  dane: keyof typeof DANE;
  mx: MxSecurity;
  level: TlsLevel;
  insecureMx?: "dane" | "encrypt" | "may";
  messageTls?: MessageTls;
  levelFrom?: "default" | "operator";
}): string {
  const tls = hostTls({
    host: "mx.example.org",
    level: row.level,
    levelFrom: row.levelFrom ?? (row.level === "dane" ? "default" : "operator"),
    mx: row.mx,
    insecureMx: row.insecureMx ?? "dane",
    messageTls: row.messageTls ?? "unspecified",
    dane: DANE[row.dane] as DanePolicy,
  });
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

for (const [dane, mx, level, expected] of ROWS) {
  test(`TLSA ${dane}, MX ${mx}, level ${level}: ${expected}`, () => assert.equal(described({ dane, mx, level }), expected));
}

const INSECURE_MX: readonly [keyof typeof DANE, "encrypt" | "may", string][] = [
  // discoverTls asks no TLSA under `may`, and yields no records to match under `encrypt`.
  ["unusable", "encrypt", "encrypt encrypt insecure"],
  ["usable", "encrypt", "encrypt encrypt insecure"],
  ["insecureMx", "may", "opportunistic may insecure"],
  ["usable", "may", "opportunistic may insecure"],
  ["bogus", "encrypt", "refuse !dane? bogus"],
];
for (const [dane, insecureMx, expected] of INSECURE_MX) {
  test(`insecure MX, insecureMx ${insecureMx}, TLSA ${dane}: ${expected}`, () =>
    assert.equal(described({ dane, mx: "insecure", level: "dane", insecureMx }), expected));
}

const MESSAGE: readonly [MessageTls, TlsLevel, "default" | "operator", keyof typeof DANE, MxSecurity, string][] = [
  ["not-required", "dane", "default", "exempt", "secure", "opportunistic may exempt"],
  // It never relaxes an operator's own policy (RFC 8689 §4.2 leaves that to the operator; design.md §2).
  ["not-required", "dane", "operator", "usable", "secure", "authenticate dane authenticated"],
  ["not-required", "dane-only", "operator", "absent", "secure", "refuse !dane-only:notlsa no-tlsa"],
  ["not-required", "encrypt", "operator", "exempt", "secure", "encrypt encrypt exempt"],
  ["required", "dane", "default", "usable", "secure", "authenticate dane-only authenticated"],
  ["required", "dane", "default", "usable", "insecure", "refuse !dane-only:halfdane insecure"],
  ["required", "dane", "default", "absent", "secure", "refuse !dane-only:notlsa no-tlsa"],
  ["required", "may", "operator", "absent", "secure", "refuse !dane-only:notlsa no-tlsa"],
  ["required", "none", "operator", "usable", "secure", "authenticate dane-only authenticated"],
];
for (const [messageTls, level, levelFrom, dane, mx, expected] of MESSAGE) {
  test(`TLS ${messageTls} by the message, level ${level} (${levelFrom}), TLSA ${dane}, MX ${mx}: ${expected}`, () =>
    assert.equal(described({ messageTls, level, levelFrom, dane, mx }), expected));
}

const ASKED: readonly [TlsLevel, "default" | "operator", MxSecurity, "dane" | "encrypt" | "may", MessageTls, string][] = [
  ["dane", "default", "secure", "dane", "unspecified", "asked"],
  ["dane", "default", "insecure", "dane", "unspecified", "asked"],
  ["dane", "default", "insecure", "encrypt", "unspecified", "asked"],
  ["dane", "default", "insecure", "may", "unspecified", "insecure-mx"],
  ["dane", "default", "secure", "may", "unspecified", "asked"],
  ["dane-only", "operator", "insecure", "may", "unspecified", "asked"],
  ["encrypt", "operator", "secure", "dane", "unspecified", "exempt"],
  ["may", "operator", "secure", "dane", "unspecified", "exempt"],
  ["none", "operator", "secure", "dane", "unspecified", "exempt"],
  ["dane", "default", "secure", "dane", "not-required", "exempt"],
  ["dane", "operator", "secure", "dane", "not-required", "asked"],
  ["none", "operator", "secure", "dane", "required", "asked"],
];
for (const [level, levelFrom, mx, insecureMx, messageTls, expected] of ASKED) {
  test(`TLSA look-up under level ${level} (${levelFrom}), MX ${mx}, insecureMx ${insecureMx}, message ${messageTls}: ${expected}`, () =>
    assert.equal(daneIsAsked({ level, levelFrom, mx, insecureMx, messageTls }), expected));
}
