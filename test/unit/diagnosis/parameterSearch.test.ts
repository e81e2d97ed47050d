import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Tlsa } from "../../../src/dane/tlsa.ts";
import { changedParameters, matchingParameters } from "../../../src/diagnosis/parameterSearch.ts";
import { name } from "../../../src/dns/name.ts";
import { makeAuthority, makeLeaf, tlsaFor } from "../../fake/certificates.ts";

const HOST = "mx.example.test";
const authority = makeAuthority();
const server = makeLeaf({ names: [HOST], issuer: authority });
const stranger = makeLeaf({ names: [HOST], issuer: makeAuthority({ commonName: "Another CA" }) });
const presented = { chain: [server.der, authority.der], identifiers: [name(HOST)], now: Date.parse("2026-01-01T00:00:00Z") };

const PARAMETERS = [0, 1, 2, 3].flatMap((usage) =>
  [0, 1].flatMap((selector) => [0, 1, 2].map((matchingType) => ({ usage, selector, matchingType }))),
);

function text({ usage, selector, matchingType }: Pick<Tlsa, "usage" | "selector" | "matchingType">): string {
  return `${usage} ${selector} ${matchingType}`;
}

describe("a record with wrong numbers: every one of the numbers that it may have been meant as is found", () => {
  for (const right of PARAMETERS.filter(({ usage }) => usage >= 2)) {
    const { usage, selector, matchingType } = right;
    const { data } = tlsaFor(usage === 3 ? server : authority, usage, selector, matchingType);
    test(`meant as ${text(right)}`, () => {
      for (const printed of PARAMETERS.filter((one) => text(one) !== text(right))) {
        const found = matchingParameters({ ...printed, data }, presented);
        assert.deepEqual(found, { ...right, data }, `published as ${text(printed)}`);
      }
    });
  }

  test("data of somebody else match under no numbers", () => {
    for (const { usage, selector, matchingType } of PARAMETERS) {
      const record = tlsaFor(stranger, usage, selector, matchingType);
      assert.equal(matchingParameters(record, presented), undefined);
    }
  });

  test("a CA that the name or the dates of the server's certificate fail is no match", () => {
    const record = { ...tlsaFor(authority, 2, 1, 1), usage: 3 };
    assert.equal(matchingParameters(record, { ...presented, identifiers: [name("mx.example.net")] }), undefined);
    assert.equal(matchingParameters(record, { ...presented, now: Date.parse("2121-01-01T00:00:00Z") }), undefined);
  });

  test("what differs, in words", () => {
    const data = Buffer.alloc(32);
    const record = { usage: 2, selector: 0, matchingType: 2, data };
    assert.equal(
      changedParameters(record, { usage: 3, selector: 1, matchingType: 1, data }),
      "usage 3 instead of 2, selector 1 instead of 0, matching type 1 instead of 2",
    );
  });
});
