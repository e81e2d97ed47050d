import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { matchCertificate } from "../../src/dane/certificateMatch.ts";
import type { MatchVerdict } from "../../src/dane/matchVerdict.ts";
import { name } from "../../src/dns/name.ts";

/** Plays a file of DANE matching cases in the format of ../shared/conformance/dane (its README describes it). */

type DaneCase = {
  id: number;
  baseDomain: string;
  noDaneEeNameChecks: boolean;
  note: string;
  tlsa: readonly { usage: number; selector: number; matchingType: number; data: string }[];
  chain: readonly string[];
  expect: { verified: boolean; opensslErrorName: string; matchDepth: number };
};

type Seen = { verified: boolean; error: string; matchDepth: number };

/** The cases rank SHA-256 above SHA-512, which is not our default. */
const CASE_DIGEST_ORDER = [1, 2];
const ANCHOR_FILE = "openssl-danetest-ca.pem";

function pemToDer(pem: string): Buffer[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+/g) ?? [];
  return blocks.map((block) => Buffer.from(block.replace(/-----[^-]+-----/, ""), "base64"));
}

/** OpenSSL's word for what the first record that got furthest ran into. */
function errorOf(tried: Extract<MatchVerdict, { kind: "mismatch" }>["tried"]): string {
  const furthest = tried.find((record) => record.depth !== undefined) ?? tried[0];
  switch (furthest?.failure) {
    case "name-mismatch":
      return "X509_V_ERR_HOSTNAME_MISMATCH";
    case "no-path":
      return "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY";
    case "no-match":
    case "not-the-issuer":
      return "X509_V_ERR_DANE_NO_MATCH";
    default:
      return furthest?.because ?? "no record";
  }
}

function play(testCase: DaneCase, pkixAnchors: readonly Buffer[], now: number): Seen {
  const verdict = matchCertificate({
    records: testCase.tlsa.map((record) => ({ ...record, data: Buffer.from(record.data, "hex") })),
    chain: testCase.chain.map((certificate) => Buffer.from(certificate, "base64")),
    identifiers: [name(testCase.baseDomain)],
    now,
    digestOrder: CASE_DIGEST_ORDER,
    pkixAnchors,
    endEntityNames: testCase.noDaneEeNameChecks ? "ignored" : "checked",
  });
  if (verdict.kind === "match") return { verified: true, error: "X509_V_OK", matchDepth: verdict.depth };
  const depth = verdict.tried.find((record) => record.depth !== undefined)?.depth ?? -1;
  return { verified: false, error: errorOf(verdict.tried), matchDepth: depth };
}

/** Plays every case of `file`; prints one line per failing case. The CA of usages 0 and 1 lies beside the file. */
export async function playDane(file: string): Promise<{ passed: number; failed: number }> {
  const cases: readonly DaneCase[] = JSON.parse(readFileSync(file, "utf8"));
  const pkixAnchors = pemToDer(readFileSync(join(dirname(file), ANCHOR_FILE), "utf8"));
  let failed = 0;
  for (const testCase of cases) {
    const seen = play(testCase, pkixAnchors, Date.now());
    const { verified, opensslErrorName, matchDepth } = testCase.expect;
    if (seen.verified === verified && seen.error === opensslErrorName && seen.matchDepth === matchDepth) continue;
    failed += 1;
    const expected = `verified=${verified} ${opensslErrorName} depth=${matchDepth}`;
    console.log(
      `dane ${testCase.id} (${testCase.note}): expected ${expected}, seen verified=${seen.verified} ${seen.error} depth=${seen.matchDepth}`,
    );
  }
  return { passed: cases.length - failed, failed };
}
