import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DNSKEY_FLAG, decodeDs } from "../../../src/dns/dnssecRdata.ts";
import { isMalformed, type ResourceRecord } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { rrsetsOf } from "../../../src/dns/rrset.ts";
import { algorithmTable } from "../../../src/dnssec/algorithm.ts";
import { authenticateKeys, usableDs, type Vouchers } from "../../../src/dnssec/delegationSigner.ts";
import { zoneKey } from "../../../src/dnssec/rrsig.ts";
import { WorkBudget } from "../../../src/dnssec/workBudget.ts";
import { dnskeyRecord, dsRecord, type SigningKey, signingKey, signRrset } from "../../fake/signer.ts";
import { FAKE_NOW, FAKE_WINDOW } from "../../fake/zone.ts";

const ZONE = name("example.test.");
const VALIDATE = algorithmTable({ sha1: "validate" });
const INSECURE = algorithmTable({ sha1: "insecure" });
const ENTRY = signingKey({ seed: "entry" });
const OTHER = signingKey({ seed: "other", algorithm: 15 });

function dsOf(records: readonly ResourceRecord[]) {
  return records.map((record) => decodeDs(record.rdata)).flatMap((ds) => (isMalformed(ds) ? [] : [ds]));
}

describe("the DS records that count", () => {
  const old = signingKey({ seed: "old", algorithm: 7 });
  const rows: readonly (readonly [string, readonly ResourceRecord[], typeof VALIDATE, readonly string[]])[] = [
    ["SHA-256 and SHA-384 alike", [dsRecord(ZONE, ENTRY, 2), dsRecord(ZONE, ENTRY, 4)], VALIDATE, ["13/2", "13/4"]],
    ["SHA-1 where there is nothing else (RFC 4509 §3)", [dsRecord(ZONE, ENTRY, 1)], VALIDATE, ["13/1"]],
    ["SHA-1 not beside SHA-256", [dsRecord(ZONE, ENTRY, 1), dsRecord(ZONE, ENTRY, 2)], VALIDATE, ["13/2"]],
    [
      "SHA-1 beside a SHA-256 of an algorithm that is not supported",
      [dsRecord(ZONE, ENTRY, 1), dsRecord(ZONE, { ...ENTRY, algorithm: 250 }, 2)],
      VALIDATE,
      ["13/1"],
    ],
    ["SHA-1 not at all where it is insecure", [dsRecord(ZONE, ENTRY, 1)], INSECURE, []],
    ["RSASHA1 not where it is insecure", [dsRecord(ZONE, old, 2)], INSECURE, []],
    ["RSASHA1 where it is validated", [dsRecord(ZONE, old, 2)], VALIDATE, ["7/2"]],
  ];
  for (const [what, records, table, expected] of rows) {
    test(what, () => {
      assert.deepEqual(
        usableDs(dsOf(records), table).map((ds) => `${ds.algorithm}/${ds.digestType}`),
        expected,
      );
    });
  }
});

describe("authentication of a DNSKEY set", () => {
  type Case = {
    title: string;
    keys: readonly SigningKey[];
    signers: readonly SigningKey[];
    vouchers: Vouchers;
    strict?: boolean;
    expected: string;
  };
  const revoked = signingKey({ seed: "entry", flags: DNSKEY_FLAG.zone | DNSKEY_FLAG.revoke | DNSKEY_FLAG.secureEntryPoint });
  const noZoneKey = signingKey({ seed: "entry", flags: DNSKEY_FLAG.secureEntryPoint });
  const ds = (...keys: readonly SigningKey[]): Vouchers => ({ ds: dsOf(keys.map((key) => dsRecord(ZONE, key))), keys: [] });
  const cases: readonly Case[] = [
    {
      title: "by the key that the DS names",
      keys: [ENTRY, OTHER],
      signers: [ENTRY],
      vouchers: ds(ENTRY),
      expected: "authenticated",
    },
    {
      title: "by a key that is an anchor itself",
      keys: [ENTRY, OTHER],
      signers: [OTHER],
      vouchers: { ds: [], keys: [OTHER.dnskey] },
      expected: "authenticated",
    },
    {
      title: "by one of two that are vouched for",
      keys: [ENTRY, OTHER],
      signers: [OTHER],
      vouchers: ds(ENTRY, OTHER),
      expected: "authenticated",
    },
    {
      title: "not by a key that nobody vouches for",
      keys: [ENTRY, OTHER],
      signers: [OTHER],
      vouchers: ds(ENTRY),
      expected: "key-unknown",
    },
    { title: "not without a signature", keys: [ENTRY], signers: [], vouchers: ds(ENTRY), expected: "signature-missing" },
    {
      title: "not where the vouched key is not in the set",
      keys: [OTHER],
      signers: [OTHER],
      vouchers: ds(ENTRY),
      expected: "ds-mismatch",
    },
    { title: "not where nothing is vouched for", keys: [ENTRY], signers: [ENTRY], vouchers: ds(), expected: "ds-mismatch" },
    {
      title: "not by a revoked key (RFC 5011 §2.1)",
      keys: [revoked],
      signers: [revoked],
      vouchers: ds(revoked),
      expected: "key-unknown",
    },
    {
      title: "not by a key that is no zone key (RFC 4034 §2.1.1)",
      keys: [noZoneKey],
      signers: [noZoneKey],
      vouchers: ds(noZoneKey),
      expected: "key-unknown",
    },
    {
      title: "strictly, by every algorithm",
      keys: [ENTRY, OTHER],
      signers: [ENTRY, OTHER],
      vouchers: ds(ENTRY, OTHER),
      strict: true,
      expected: "authenticated",
    },
    {
      title: "strictly, not by one of two",
      keys: [ENTRY, OTHER],
      signers: [ENTRY],
      vouchers: ds(ENTRY, OTHER),
      strict: true,
      expected: "key-unknown",
    },
  ];
  for (const one of cases) {
    test(one.title, () => {
      const dnskeys = one.keys.map((key) => dnskeyRecord(ZONE, key));
      const signatures = one.signers.map((key) => signRrset(dnskeys, key, ZONE, FAKE_WINDOW));
      const [rrset] = rrsetsOf([...dnskeys, ...signatures]);
      assert.ok(rrset !== undefined);
      const keys = dnskeys
        .map((record) => zoneKey(ZONE, record.rdata, INSECURE))
        .flatMap((key) => (isMalformed(key) ? [] : [key]));
      const terms = { now: FAKE_NOW, algorithms: INSECURE, budget: new WorkBudget(), requireAllAlgorithms: one.strict === true };
      const result = authenticateKeys(rrset, keys, one.vouchers, terms);
      assert.equal(result.kind === "failed" ? result.reasons.at(-1)?.code : result.kind, one.expected);
    });
  }
});
