import { RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { type OwnCase, signedTree, without } from "../ownCase.ts";

const RECORDS = ["*.example.test A 192.0.2.9", "exact.example.test A 192.0.2.1", "*.example.test MX 10 mail.example.test"];
const NSEC = signedTree(RECORDS);
const NSEC3 = signedTree(RECORDS, { denial: "nsec3" });

/** Records out of a wildcard need the proof that nothing closer to the name exists. */
export const WILDCARD_EXPANSION: readonly OwnCase[] = [
  ...[NSEC, NSEC3].map(
    (zones): OwnCase => ({
      title: `with its proof by ${zones === NSEC ? "NSEC" : "NSEC3"} it is secure`,
      zones,
      ask: ["any.example.test", "A"],
      expect: { status: "secure", answer: "records", records: ["192.0.2.9"] },
    }),
  ),
  ...[NSEC, NSEC3].map(
    (zones): OwnCase => ({
      title: `without its proof by ${zones === NSEC ? "NSEC" : "NSEC3"} it is bogus`,
      zones,
      tamper: (message, _owner, type) => (type === RR_TYPE.A ? without(message, RR_TYPE.NSEC, RR_TYPE.NSEC3) : message),
      ask: ["any.example.test", "A"],
      expect: { status: "bogus" },
    }),
  ),
  {
    title: "the wildcard's records and proof replayed for a name that exists are bogus",
    zones: NSEC,
    tamper: (message, owner, type, dns) => {
      if (type !== RR_TYPE.A || owner !== name("exact.example.test.")) return message;
      const other = dns.answer(name("eyes.example.test."), RR_TYPE.A);
      return { ...other, answer: other.answer.map((record) => ({ ...record, name: owner })) };
    },
    ask: ["exact.example.test", "A"],
    expect: { status: "bogus" },
  },
  {
    title: "a wildcard asked for itself needs no such proof",
    zones: NSEC,
    ask: ["*.example.test", "A"],
    expect: { status: "secure", answer: "records", records: ["192.0.2.9"] },
  },
  {
    title: "no data at the wildcard is proved by its own record",
    zones: NSEC,
    ask: ["any.example.test", "TLSA"],
    expect: { status: "secure", answer: "nodata" },
  },
];
