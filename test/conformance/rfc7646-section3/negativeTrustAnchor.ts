import { RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { type OwnCase, signedTree, without } from "../ownCase.ts";

const insecureZones = new Set([name("example.test.")]);

/** A zone that is configured as insecure is, with all below it and nothing beside it. */
export const NEGATIVE_TRUST_ANCHOR: readonly OwnCase[] = [
  {
    title: "an unsigned answer within it is insecure",
    zones: signedTree(["www.example.test A 192.0.2.1"]),
    tamper: (message) => without(message, RR_TYPE.RRSIG),
    ask: ["www.example.test", "A"],
    options: { insecureZones },
    expect: { status: "insecure", answer: "records", reason: "negative-trust-anchor" },
  },
  {
    title: "a name beside it is validated",
    zones: [...signedTree([]), { name: "sample.test.", records: ["www.sample.test A 192.0.2.1"] }],
    tamper: (message) => without(message, RR_TYPE.RRSIG),
    ask: ["www.sample.test", "A"],
    options: { insecureZones },
    expect: { status: "bogus" },
  },
];
