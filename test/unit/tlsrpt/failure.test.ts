import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { MatchFailure, TriedRecord } from "../../../src/dane/matchVerdict.ts";
import type { DanePolicy } from "../../../src/dane/tlsDiscovery.ts";
import { name } from "../../../src/dns/name.ts";
import type { ReasonCode } from "../../../src/dnssec/securityStatus.ts";
import { certificateFailure, mxFailure, refusalFailure, stageFailure, unusableRecords } from "../../../src/tlsrpt/failure.ts";
import { danePolicyApplied, RESULT_TYPES, stsPolicyApplied } from "../../../src/tlsrpt/result.ts";
import { makeLeaf, tlsaFor } from "../../fake/certificates.ts";

const LEAF = makeLeaf({ names: ["mx.example.org"] });
const OTHER = makeLeaf({ names: ["mx.example.org"] });
const RECORD = tlsaFor(OTHER.der, 3, 1, 1);

function tried(failure: MatchFailure): TriedRecord {
  return { record: RECORD, failure, because: failure };
}

function reasons(code: ReasonCode) {
  return [
    { code: "signature-invalid" as const, text: "outer" },
    { code, text: "inner" },
  ] as const;
}

const AUTHENTICATE: DanePolicy = {
  kind: "authenticate",
  mx: "secure",
  base: name("mx.example.org"),
  records: [RECORD],
  identifiers: [name("mx.example.org")],
};
const UNUSABLE: Extract<DanePolicy, { kind: "encryptWithoutAuthentication" }> = {
  kind: "encryptWithoutAuthentication",
  base: name("mx.example.org"),
  because: "no-usable-record",
  unusable: [{ record: { ...RECORD, usage: 1 }, reason: "pkix-usage", because: "certificate usage 1 is not for SMTP" }],
};

describe("failures as result types of RFC 8460 §4.3", () => {
  const certificates: Readonly<Record<MatchFailure, string>> = {
    "name-mismatch": "certificate-host-mismatch",
    expired: "certificate-expired",
    "not-yet-valid": "certificate-not-trusted",
    "name-constraints": "certificate-not-trusted",
    "unknown-critical-extension": "certificate-not-trusted",
    "not-an-authority": "certificate-not-trusted",
    "path-length": "certificate-not-trusted",
    "key-usage": "certificate-not-trusted",
    purpose: "certificate-not-trusted",
    "weak-key": "certificate-not-trusted",
    "weak-signature": "certificate-not-trusted",
    malformed: "certificate-not-trusted",
    "no-path": "certificate-not-trusted",
    "not-the-issuer": "certificate-not-trusted",
    "no-match": "certificate-not-trusted",
    "weaker-digest": "certificate-not-trusted",
    "no-certificate": "validation-failure",
    "search-limit": "validation-failure",
    unusable: "tlsa-invalid",
  };
  for (const [failure, resultType] of Object.entries(certificates)) {
    test(`a certificate that fails by ${failure}: ${resultType}`, () => {
      const found = certificateFailure([tried(failure as MatchFailure)], [LEAF.der]);
      assert.equal(found.resultType, resultType);
      // RFC 8460 §4.3.1: the reporting MTA SHOULD give a reason code.
      assert.match(found.reason ?? "", /\S/);
    });
  }

  test("of several records the one that came nearest to a match tells the failure", () => {
    const words = (...failures: readonly MatchFailure[]) => certificateFailure(failures.map(tried), [LEAF.der]).resultType;
    assert.equal(words("no-match", "expired"), "certificate-expired");
    assert.equal(words("expired", "name-mismatch"), "certificate-host-mismatch");
    assert.equal(words("weaker-digest", "no-match"), "certificate-not-trusted");
  });

  test("a mismatch says which record would have matched: what a forgotten rollover has to publish", () => {
    const { reason } = certificateFailure([tried("no-match")], [LEAF.der]);
    assert.equal(reason, `X509_V_ERR_DANE_NO_MATCH: presented 3 1 1 ${tlsaFor(LEAF.der, 3, 1, 1).data.toString("hex")}`);
    assert.equal(certificateFailure([tried("no-match")], [Buffer.from("junk")]).reason, "X509_V_ERR_DANE_NO_MATCH");
  });

  test("stages of a session; transient ones have no result (§4.3.4)", () => {
    assert.deepEqual(stageFailure("starttls-missing", "x"), { resultType: "starttls-not-supported" });
    assert.deepEqual(stageFailure("starttls-refused", "454 4.7.0"), {
      resultType: "starttls-not-supported",
      reason: "454 4.7.0",
    });
    assert.deepEqual(stageFailure("handshake", "bad\r\nrecord  mac"), {
      resultType: "validation-failure",
      reason: "bad record mac",
    });
    assert.equal(stageFailure("handshake", "x".repeat(999))?.reason?.length, 200);
    for (const stage of ["connect", "greeting", "ehlo", "auth"] as const) assert.equal(stageFailure(stage, "x"), undefined);
  });

  test("hosts that policy keeps us from", () => {
    const unreachable: DanePolicy = { kind: "unreachable", reasons: reasons("signature-expired") };
    assert.deepEqual(refusalFailure(unreachable, "no"), { resultType: "dnssec-invalid", reason: "outer: inner" });
    const absent: DanePolicy = { kind: "notApplicable", because: "tlsa-absent" };
    assert.deepEqual(refusalFailure(absent, "yes"), { resultType: "dane-required" });
    assert.equal(refusalFailure(absent, "no"), undefined);
    assert.equal(refusalFailure(AUTHENTICATE, "yes")?.resultType, "dane-required");
    assert.equal(refusalFailure(UNUSABLE, "yes")?.resultType, "tlsa-invalid");
    assert.equal(refusalFailure({ ...UNUSABLE, because: "insecure-mx" }, "yes")?.resultType, "dane-required");
  });

  test("an RRset without a usable record says what is wrong with it", () => {
    assert.deepEqual(unusableRecords(UNUSABLE), { resultType: "tlsa-invalid", reason: "certificate usage 1 is not for SMTP" });
    assert.equal(unusableRecords({ ...UNUSABLE, because: "insecure-mx" }), undefined);
  });

  test("MX records: forged ones are reported, unanswered ones are not", () => {
    assert.equal(mxFailure(reasons("signature-expired"))?.resultType, "dnssec-invalid");
    assert.equal(mxFailure(reasons("lookup-failed")), undefined);
  });

  test("every result type is of RFC 8460 §4.3", () => {
    assert.equal(new Set(RESULT_TYPES).size, 11);
  });
});

describe("the policy that a session is reported under (RFC 8460 §1.1, §4.5)", () => {
  const applied = (dane: DanePolicy) => danePolicyApplied(dane, name("mx.example.org"), name("example.org"));

  test("TLSA: its domain is the base domain, its records are all of the RRset, in one order", () => {
    const second = { ...RECORD, usage: 2 };
    const policy = applied({
      ...AUTHENTICATE,
      base: name("base.example.net"),
      records: [RECORD, second],
      unusable: UNUSABLE.unusable ?? [],
    });
    assert.ok(policy?.type === "tlsa");
    assert.equal(policy.domain, "base.example.net");
    const data = RECORD.data.toString("hex");
    assert.deepEqual(policy.strings, [`1 1 1 ${data}`, `2 1 1 ${data}`, `3 1 1 ${data}`]);
    assert.deepEqual(
      applied({ ...AUTHENTICATE, records: [second, RECORD] }),
      applied({ ...AUTHENTICATE, records: [RECORD, second] }),
    );
  });

  test("none, or none that anybody looked for", () => {
    assert.deepEqual(applied({ kind: "notApplicable", because: "insecure-mx" }), {
      type: "no-policy-found",
      domain: "example.org",
    });
    assert.equal(applied({ kind: "notApplicable", because: "exempt" }), undefined);
    assert.equal(applied({ kind: "notApplicable", because: "address-literal" }), undefined);
    assert.deepEqual(applied({ kind: "unreachable", reasons: reasons("signature-expired") }), {
      type: "tlsa",
      domain: "mx.example.org",
      strings: [],
    });
  });

  test("MTA-STS: the lines of the policy (RFC 8460 Appendix B)", () => {
    const policy = { mode: "testing", maxAgeSeconds: 86_400, mx: ["*.mail.company-y.example"] } as const;
    assert.deepEqual(stsPolicyApplied(name("company-y.example"), policy), {
      type: "sts",
      domain: "company-y.example",
      strings: ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"],
      mxHosts: ["*.mail.company-y.example"],
    });
    assert.deepEqual(stsPolicyApplied(name("a.example"), undefined), {
      type: "sts",
      domain: "a.example",
      strings: [],
      mxHosts: [],
    });
  });
});
