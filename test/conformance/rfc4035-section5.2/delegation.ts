import { RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { record } from "../../fake/dnsWire.ts";
import { signingKey, signRrset } from "../../fake/signer.ts";
import { FAKE_WINDOW } from "../../fake/zone.ts";
import { type OwnCase, signedTree, without } from "../ownCase.ts";

const SIGNED = signedTree(["example.test A 192.0.2.1", "a.b.c.example.test A 192.0.2.2"]);
const UNSIGNED = signedTree(["example.test A 192.0.2.1", "a.b.c.example.test A 192.0.2.2"], { unsigned: true });
const CHILD = name("example.test.");

/** The answer with one more signature, by a key that is nobody's, in the name of `signer`. */
const withStraySignature =
  (signer: string): NonNullable<OwnCase["tamper"]> =>
  (message, _owner, type) => {
    const records = message.answer.filter((record) => record.type === type);
    if (type !== RR_TYPE.A) return message;
    const stray = signRrset(records, signingKey({ seed: "nobody" }), name(signer), FAKE_WINDOW);
    return { ...message, answer: [stray, ...message.answer] };
  };

/** To the first DS question of all, which is that of the look-up, an alias; to those for the chain of trust, the truth. */
function aliasForDs(signedByChild: boolean): NonNullable<OwnCase["tamper"]> {
  let asked = 0;
  return (message, owner, type, dns) => {
    if (type !== RR_TYPE.DS || owner !== CHILD || asked++ > 0) return message;
    const alias = [record("example.test CNAME elsewhere.test")];
    return { ...message, answer: [...alias, ...(signedByChild ? dns.zone("example.test.").sign(alias) : [])], authority: [] };
  };
}

/** Secure and insecure delegations, and what pretends to be one. */
export const DELEGATION: readonly OwnCase[] = [
  {
    title: "a chain of DS and DNSKEY from the anchor is secure",
    zones: SIGNED,
    ask: ["example.test", "A"],
    expect: { status: "secure", answer: "records", records: ["192.0.2.1"] },
  },
  ...[".", "test.", "b.c.example.test."].map(
    (signer): OwnCase => ({
      title: `a stray signature in the name of ${signer} beside the zone's own: two zones cannot have signed`,
      zones: SIGNED,
      tamper: withStraySignature(signer),
      ask: ["a.b.c.example.test", "A"],
      expect: { status: "bogus" },
    }),
  ),
  {
    title: "empty non-terminals on the way are no cuts",
    zones: SIGNED,
    ask: ["a.b.c.example.test", "A"],
    expect: { status: "secure", answer: "records", records: ["192.0.2.2"] },
  },
  {
    title: "a signed denial of DS makes the child insecure",
    zones: UNSIGNED,
    ask: ["example.test", "A"],
    expect: { status: "insecure", answer: "records", records: ["192.0.2.1"], reason: "no-ds" },
  },
  {
    title: "so does one by NSEC3",
    zones: UNSIGNED.map((zone) => (zone.name === "test." ? { ...zone, denial: "nsec3" as const } : zone)),
    ask: ["a.b.c.example.test", "A"],
    expect: { status: "insecure", answer: "records", reason: "no-ds" },
  },
  {
    title: "a signed child without DS is an island, and insecure",
    zones: signedTree(["example.test A 192.0.2.1"], { island: true }),
    ask: ["example.test", "A"],
    expect: { status: "insecure", answer: "records", reason: "no-ds" },
  },
  {
    title: "a denial of DS without its signature is bogus",
    zones: UNSIGNED,
    tamper: (message, _name, type) => (type === RR_TYPE.DS ? without(message, RR_TYPE.RRSIG) : message),
    ask: ["example.test", "A"],
    expect: { status: "bogus" },
  },
  {
    title: "an empty answer to the DS question is bogus",
    zones: UNSIGNED,
    tamper: (message, _name, type) => (type === RR_TYPE.DS ? { ...message, answer: [], authority: [] } : message),
    ask: ["example.test", "A"],
    expect: { status: "bogus" },
  },
  {
    title: "an alias that the child signed is no answer to a DS question: that is the parent's",
    zones: SIGNED,
    tamper: aliasForDs(true),
    ask: ["example.test", "DS"],
    expect: { status: "bogus" },
  },
  {
    title: "an unsigned alias is none either, though the child is unsigned",
    zones: UNSIGNED,
    tamper: aliasForDs(false),
    ask: ["example.test", "DS"],
    expect: { status: "bogus", reason: "signature-missing" },
  },
  {
    title: "a DS set that was taken away is bogus, whatever the rest says",
    zones: SIGNED,
    tamper: (message, owner, type) => (type === RR_TYPE.DS && owner === CHILD ? { ...message, answer: [] } : message),
    ask: ["example.test", "A"],
    expect: { status: "bogus" },
  },
  {
    title: "a zone that has DS but no DNSKEY is bogus",
    zones: SIGNED,
    tamper: (message, owner, type) => (type === RR_TYPE.DNSKEY && owner === CHILD ? { ...message, answer: [] } : message),
    ask: ["example.test", "A"],
    expect: { status: "bogus", reason: "key-missing" },
  },
  {
    title: "keys that no DS vouches for are bogus",
    zones: SIGNED,
    tamper: (message, owner, type, dns) => {
      if (type !== RR_TYPE.DNSKEY || owner !== CHILD) return message;
      const [dnskey] = dns.zone("test.").signed(name("test."), RR_TYPE.DNSKEY);
      return dnskey === undefined ? "fail" : { ...message, answer: [{ ...dnskey, name: CHILD }, ...message.answer.slice(1)] };
    },
    ask: ["example.test", "A"],
    expect: { status: "bogus", reason: "ds-mismatch" },
  },
  {
    title: "a zone that signs with nothing but unsupported algorithms is insecure",
    zones: signedTree(["example.test A 192.0.2.1"], { keys: [signingKey({ seed: "old", algorithm: 7 })] }),
    ask: ["example.test", "A"],
    expect: { status: "insecure", answer: "records", reason: "unsupported-algorithm" },
  },
  {
    title: "no answer to the DS question decides nothing",
    zones: SIGNED,
    tamper: (message, owner, type) => (type === RR_TYPE.DS && owner === CHILD ? "fail" : message),
    ask: ["example.test", "A"],
    expect: { status: "indeterminate", reason: "lookup-failed" },
  },
  {
    title: "one good DS among strangers is enough",
    zones: signedTree(["example.test A 192.0.2.1"], {
      keys: [signingKey({ seed: "one" }), signingKey({ seed: "two", algorithm: 15 })],
    }),
    ask: ["example.test", "A"],
    expect: { status: "secure" },
  },
];
