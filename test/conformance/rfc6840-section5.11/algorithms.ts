import { decodeRrsig } from "../../../src/dns/dnssecRdata.ts";
import { isMalformed, type ResourceRecord, RR_TYPE } from "../../../src/dns/message.ts";
import { signingKey } from "../../fake/signer.ts";
import { type OwnCase, signedTree } from "../ownCase.ts";

const TWO = signedTree(["example.test A 192.0.2.1"], {
  keys: [signingKey({ seed: "one", algorithm: 13 }), signingKey({ seed: "two", algorithm: 15 })],
});

function signedWith(algorithm: number, record: ResourceRecord): boolean {
  const rrsig = record.type === RR_TYPE.RRSIG ? decodeRrsig(record.rdata) : undefined;
  return rrsig !== undefined && !isMalformed(rrsig) && rrsig.algorithm === algorithm;
}

/** One algorithm that holds is enough: validators do not insist on all. With the strict setting, they do for the DNSKEY set. */
export const ALGORITHMS: readonly OwnCase[] = [false, true].map(
  (strict): OwnCase => ({
    title: strict
      ? "the strict setting wants every algorithm of the DS set"
      : "a missing signature of one of two algorithms is no fault",
    zones: TWO,
    tamper: (message) => ({ ...message, answer: message.answer.filter((record) => !signedWith(15, record)) }),
    ask: ["example.test", "A"],
    options: { requireAllAlgorithms: strict },
    expect: strict ? { status: "bogus" } : { status: "secure", answer: "records" },
  }),
);
