import assert from "node:assert/strict";
import { test } from "node:test";
import { type Certificate, parseCertificate } from "../../../src/x509/certificate.ts";
import { ConstraintVerdicts } from "../../../src/x509/nameConstraints.ts";
import { type CertificatePath, type PathRules, validatePath } from "../../../src/x509/pathValidation.ts";
import { directoryName, dnsName, type MadeCertificate, makeAuthority, makeLeaf, NOT_YET_VALID } from "../../fake/certificates.ts";

/** What the chains of test/unit/dane/matchCases.ts cannot show, because path building already leaves it out; and where a defect is. */

const RULES: PathRules = { now: Date.parse("2026-11-02T12:00:00Z"), securityLevel: 1, anchor: "topmost" };

function parsed({ der }: MadeCertificate): Certificate {
  const certificate = parseCertificate(der);
  if (certificate.kind === "malformed") throw new Error(certificate.because);
  return certificate;
}

function path(leaf: MadeCertificate, ...issuers: readonly MadeCertificate[]): CertificatePath {
  return [parsed(leaf), ...issuers.map(parsed)];
}

test("an issuer whose key may not sign certificates", () => {
  const issuer = makeAuthority({ keyUsage: ["cRLSign"] });
  const verdict = validatePath(path(makeLeaf({ issuer }), issuer), RULES);
  assert.deepEqual(verdict.kind === "invalid" && [verdict.failure, verdict.depth], ["key-usage", 1]);
});

test("the defect nearest to the server is told, with its depth", () => {
  const top = makeAuthority({ commonName: "Top", ...NOT_YET_VALID });
  const middle = makeAuthority({ commonName: "Middle", issuer: top, basicConstraints: { ca: false } });
  const verdict = validatePath(path(makeLeaf({ issuer: middle }), middle, top), RULES);
  assert.deepEqual(verdict.kind === "invalid" && [verdict.failure, verdict.depth], ["not-an-authority", 1]);
});

test("the validity period includes both its ends", () => {
  const notBefore = new Date("2026-01-01T00:00:00Z");
  const notAfter = new Date("2026-12-31T00:00:00Z");
  const leaf = path(makeLeaf({ notBefore, notAfter }));
  const at = (now: number): string => {
    const verdict = validatePath(leaf, { ...RULES, now });
    return verdict.kind === "valid" ? "valid" : verdict.failure;
  };
  assert.equal(at(notBefore.getTime() - 1), "not-yet-valid");
  assert.equal(at(notBefore.getTime()), "valid");
  assert.equal(at(notAfter.getTime()), "valid");
  assert.equal(at(notAfter.getTime() + 1), "expired");
});

test("a date that cannot be read is never within the period", () => {
  const [leaf] = path(makeLeaf({}));
  const verdict = validatePath([{ ...leaf, notAfter: Number.NaN }], RULES);
  assert.equal(verdict.kind === "invalid" && verdict.failure, "malformed");
});

test("names and constraints are compared as long as it costs no more than honest ones do", () => {
  const numbered = (count: number, prefix: string): string[] =>
    Array.from({ length: count }, (_, i) => `${prefix}${i}.example.org`);
  const under = (excluded: readonly Buffer[], names: readonly string[], commonName: readonly string[] = []): string => {
    const issuer = makeAuthority({ nameConstraints: { excluded } });
    const verdict = validatePath(path(makeLeaf({ issuer, names, commonName }), issuer), RULES);
    return verdict.kind === "valid" ? "valid" : verdict.failure;
  };
  assert.equal(under(numbered(200, "excluded").map(dnsName), numbered(250, "server")), "valid");
  assert.equal(under(numbered(400, "excluded").map(dnsName), numbered(500, "server")), "name-constraints");
  const longSubject = Array.from({ length: 1000 }, () => "a");
  const directories = Array.from({ length: 100 }, (_, i) => directoryName(`Other ${i}`));
  assert.equal(under(directories, ["mx.example.org"], ["Mail"]), "valid");
  assert.equal(under(directories, ["mx.example.org"], longSubject), "name-constraints");
});

test("in one judgement a certificate is held against the constraints of an issuer once", () => {
  const issuer = makeAuthority({ nameConstraints: { excluded: [dnsName("excluded.example.org")] } });
  const judgedTwice = path(makeLeaf({ issuer, names: ["mx.excluded.example.org"] }), issuer);
  const constraints = new ConstraintVerdicts();
  const first = validatePath(judgedTwice, { ...RULES, constraints });
  assert.equal(first.kind === "invalid" && first.failure, "name-constraints");
  assert.deepEqual(validatePath(judgedTwice, { ...RULES, constraints }), first);
  assert.equal(constraints.compared, 1);
});
