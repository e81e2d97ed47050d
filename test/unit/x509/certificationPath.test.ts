import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Certificate, parseCertificate } from "../../../src/x509/certificate.ts";
import {
  MAX_PATH_CERTIFICATES,
  MAX_PATHS,
  MAX_SIGNATURE_CHECKS,
  PathSearch,
  pathsUpwards,
} from "../../../src/x509/certificationPath.ts";
import { type MadeCertificate, makeAuthority, makeKeys, makeLeaf } from "../../fake/certificates.ts";

function parsed({ der }: MadeCertificate): Certificate {
  const certificate = parseCertificate(der);
  if (certificate.kind === "malformed") throw new Error(certificate.because);
  return certificate;
}

const root = parsed(makeAuthority({ commonName: "Unrelated" }));

describe("path building", () => {
  test("visits on the way up and, longest first, on the way back", () => {
    const top = makeAuthority({ commonName: "Top" });
    const middle = makeAuthority({ commonName: "Middle", issuer: top });
    const leaf = parsed(makeLeaf({ issuer: middle }));
    const visits = [...pathsUpwards([leaf], [root, parsed(top), parsed(middle)], new PathSearch())];
    assert.deepEqual(
      visits.map(({ at, path }) => `${at} ${path.length}`),
      ["reached 1", "reached 2", "reached 3", "left 3", "left 2", "left 1"],
    );
  });

  test("certificates that all sign each other end the search, they don't hang it", () => {
    const keys = makeKeys();
    const same = { commonName: "Same", keys, keyIdentifiers: "absent" } as const;
    const clique = Array.from({ length: 12 }, () => parsed(makeAuthority(same)));
    const leaf = parsed(makeLeaf({ issuer: makeAuthority(same), keyIdentifiers: "absent" }));
    const search = new PathSearch();
    const visits = [...pathsUpwards([leaf], clique, search)];
    assert.equal(search.exhausted, true);
    assert.ok(visits.length <= 2 * MAX_PATHS, `${visits.length} visits`);
  });

  test("signature checks are counted, each pair once", () => {
    const issuer = makeAuthority({ commonName: "Issuer" });
    const certificate = parsed(makeLeaf({ issuer }));
    const search = new PathSearch();
    for (let i = 0; i < MAX_SIGNATURE_CHECKS * 2; i += 1)
      assert.equal(search.issuedBy(certificate, parsed(issuer)) || i > 0, true);
    assert.equal(search.exhausted, true);
    const again = new PathSearch();
    const once = parsed(issuer);
    for (let i = 0; i < MAX_SIGNATURE_CHECKS * 2; i += 1) assert.equal(again.issuedBy(certificate, once), true);
    assert.equal(again.exhausted, false);
  });

  test(`no path is longer than ${MAX_PATH_CERTIFICATES} certificates`, () => {
    const chain = [makeAuthority({ commonName: "0" })];
    for (let i = 1; i <= MAX_PATH_CERTIFICATES; i += 1) {
      const issuer = chain[i - 1];
      chain.push(makeAuthority({ commonName: String(i), ...(issuer === undefined ? {} : { issuer }) }));
    }
    const [leaf = root, ...pool] = chain.reverse().map(parsed);
    const lengths = [...pathsUpwards([leaf], pool, new PathSearch())].map(({ path }) => path.length);
    assert.equal(Math.max(...lengths), MAX_PATH_CERTIFICATES);
  });
});
