import { type ResourceRecord, RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { record } from "../../fake/dnsWire.ts";
import { type RrsigFields, signRrset } from "../../fake/signer.ts";
import { FAKE_NOW, FAKE_WINDOW } from "../../fake/zone.ts";
import { type OwnCase, signedTree } from "../ownCase.ts";

/** RFC 4035 §5.3.1: what a signature must say of itself, and of exactly which records. */

const APEX = name("example.test.");
const ZONES = signedTree(["www.example.test A 192.0.2.1", "www.example.test A 192.0.2.2"]);
const SECURE: OwnCase["expect"] = { status: "secure", answer: "records" };

/** The answer signed anew, with these fields; `sent` is what of it arrives. */
function resigned(
  title: string,
  fields: Partial<RrsigFields>,
  expect: OwnCase["expect"],
  sent: (records: readonly ResourceRecord[]) => readonly ResourceRecord[] = (records) => records,
): OwnCase {
  return {
    title,
    zones: ZONES,
    tamper: (message, _owner, type, dns) => {
      if (type !== RR_TYPE.A) return message;
      const records = message.answer.filter((one) => one.type === RR_TYPE.A);
      const signatures = dns.zone(APEX).keys.map((key) => signRrset(records, key, APEX, { ...FAKE_WINDOW, ...fields }));
      return { ...message, answer: [...sent(records), ...signatures] };
    },
    ask: ["www.example.test", "A"],
    expect,
  };
}

export const SIGNATURE_VALIDITY: readonly OwnCase[] = [
  resigned("it expires this very second", { expiration: FAKE_NOW }, SECURE),
  resigned("it expired a second ago", { expiration: FAKE_NOW - 1 }, { status: "bogus", reason: "signature-expired" }),
  resigned("it begins this very second", { inception: FAKE_NOW }, SECURE),
  resigned("it begins in a second", { inception: FAKE_NOW + 1 }, { status: "bogus", reason: "signature-not-yet-valid" }),
  resigned("it began 68 years ago (RFC 4034 §3.1.5)", { inception: FAKE_NOW - 0x7fff_ff00, expiration: FAKE_NOW + 10 }, SECURE),
  resigned("it ends before it begins", { inception: FAKE_NOW - 10, expiration: FAKE_NOW - 20 }, { status: "bogus" }),
  resigned("it counts more labels than the owner has", { labels: 4 }, { status: "bogus" }),
  resigned("it counts fewer labels than its signer has", { labels: 1 }, { status: "bogus" }),
  resigned("its key tag is that of no key", { keyTag: 1 }, { status: "bogus", reason: "key-unknown" }),
  resigned("it covers another type", { typeCovered: RR_TYPE.TXT }, { status: "bogus" }),
  resigned("a TTL other than the original one", { originalTtl: 86_400 }, SECURE),
  resigned("a record twice (RFC 4034 §6.3)", {}, SECURE, (records) => [...records, ...records]),
  resigned("a record more", {}, { status: "bogus" }, (records) => [...records, record("www.example.test A 192.0.2.99")]),
  resigned("a record fewer", {}, { status: "bogus" }, (records) => records.slice(1)),
];
