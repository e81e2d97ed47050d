import { authenticated, type Expected, type LookupWord, type Scenario, type Spoil, tlsa, type ZoneOptions } from "../scenario.ts";
import type { Signing } from "../sign.ts";

/** What DNSSEC says about the domain (RFC 4035 §4.3), and what becomes of its mail. */

type DnssecWords = Expected["dnssec"];

/** Breaks the signatures over one type, so that only a validator notices. */
export function breakSignatures(type: string): Spoil {
  return (line) => {
    if (line.type !== "RRSIG" || line.covers !== type) return line;
    const words = line.text.split(/\s+/);
    const signature = words.pop() ?? "";
    const other = signature.startsWith("A") ? "B" : "A";
    return { ...line, text: [...words, `${other}${signature.slice(1)}`].join(" ") };
  };
}

function dropSignatures(type: string): Spoil {
  return (line) => (line.type === "RRSIG" && line.covers === type ? undefined : line);
}

function deferred(dane: "bogus" | "lookup-failed", words: DnssecWords, status: string): Expected {
  return { outcome: "deferred", tls: "!dane?", dane, dnssec: words, status };
}

function words(mx: LookupWord, address: LookupWord, tlsaWord: LookupWord): DnssecWords {
  return { mx, address, tlsa: tlsaWord };
}

function domainOf(
  slug: string,
  shows: string,
  zone: Partial<ZoneOptions>,
  expected: (host: string) => Expected,
  parent = "lab",
): Scenario {
  const domain = `${slug}.${parent}`;
  const host = `mx.${domain}`;
  return { domain, shows, zone, hosts: [{ name: host, server: "postfix", tlsa: [tlsa("3 1 1")] }], expected: expected(host) };
}

const BOGUS_TLSA = deferred("bogus", words("secure", "secure", "bogus"), "4.7.*");
const BOGUS_MX = deferred("bogus", words("bogus", "not-asked", "not-asked"), "4.7.5");
const FAILED_TLSA = deferred("lookup-failed", words("secure", "secure", "failed"), "4.*.*");
const FAILED_MX = deferred("lookup-failed", words("failed", "not-asked", "not-asked"), "4.4.3");

function withoutDane(host: string): Expected {
  return {
    outcome: "delivered",
    tls: "may:encrypt",
    dane: "insecure",
    dnssec: words("insecure", "insecure", "not-asked"),
    status: "2.*.*",
    receivedBy: host,
    channel: "tls",
  };
}

const ALGORITHM_ROWS: readonly { slug: string; shows: string; signing: Partial<Signing>; parent?: string }[] = [
  { slug: "rsasha256", shows: "a zone signed with RSASHA256 (8)", signing: { algorithm: 8, keys: "ksk-zsk" } },
  { slug: "rsasha512", shows: "a zone signed with RSASHA512 (10)", signing: { algorithm: 10, signer: "bind" } },
  { slug: "ecdsap384", shows: "a zone signed with ECDSAP384SHA384 (14)", signing: { algorithm: 14 } },
  { slug: "ed25519", shows: "a zone signed with ED25519 (15)", signing: { algorithm: 15, signer: "bind", keys: "ksk-zsk" } },
  { slug: "ed448", shows: "a zone signed with ED448 (16)", signing: { algorithm: 16 } },
  { slug: "nsec3", shows: "a zone with NSEC3", signing: { denial: "nsec3" } },
  { slug: "signed", shows: "a signed zone below a top-level domain with NSEC3", signing: { denial: "nsec3" }, parent: "hashed" },
  { slug: "signed", shows: "a signed zone below a top-level domain with NSEC3 opt-out", signing: {}, parent: "optout" },
];

const denialByNsec3: Scenario = {
  domain: "no-tlsa-nsec3.lab",
  shows: "no TLSA, denied by NSEC3: opportunistic TLS",
  zone: { signing: { denial: "nsec3" } },
  hosts: [{ name: "mx.no-tlsa-nsec3.lab", server: "postfix" }],
  expected: { ...withoutDane("mx.no-tlsa-nsec3.lab"), dane: "no-tlsa", dnssec: words("secure", "secure", "secure") },
};

const bogusNull: Scenario = {
  domain: "bogus-null-mx.lab",
  shows: "a null MX whose signature is broken: held, not bounced",
  zone: { spoil: breakSignatures("MX") },
  hosts: [],
  records: ["bogus-null-mx.lab MX 0 ."],
  expected: BOGUS_MX,
};

const bogusDenial: Scenario = {
  domain: "bogus-denial.lab",
  shows: "no MX, and a denial with broken signatures: held, not delivered to the domain's own address",
  zone: { spoil: breakSignatures("NSEC") },
  hosts: [{ name: "bogus-denial.lab", server: "postfix", mx: "none" }],
  expected: BOGUS_MX,
};

const bogusAddress: Scenario = {
  domain: "bogus-address.lab",
  shows: "an MX host whose address has a broken signature",
  zone: { spoil: breakSignatures("A") },
  hosts: [{ name: "mx.bogus-address.lab", server: "postfix", tlsa: [tlsa("3 1 1")] }],
  expected: deferred("bogus", words("secure", "bogus", "not-asked"), "4.7.*"),
};

export const SECURITY: readonly Scenario[] = [
  ...ALGORITHM_ROWS.map((row) => domainOf(row.slug, row.shows, { signing: row.signing }, authenticated, row.parent)),
  domainOf("unsigned", "an unsigned zone with a TLSA record that counts for nothing", { signing: "unsigned" }, withoutDane),
  domainOf("unsigned", "an unsigned zone below NSEC3 opt-out", { signing: "unsigned" }, withoutDane, "optout"),
  domainOf("unsigned", "an unsigned zone below NSEC3", { signing: "unsigned" }, withoutDane, "hashed"),
  domainOf("no-ds", "a signed zone whose DS was never published: insecure", { ds: "none" }, withoutDane),
  domainOf("unknown-algorithm", "a DS of an algorithm that nobody knows: insecure", { ds: "of-unknown-algorithm" }, withoutDane),
  domainOf("bogus-tlsa", "TLSA with a broken signature", { spoil: breakSignatures("TLSA") }, () => BOGUS_TLSA),
  domainOf("unsigned-tlsa", "TLSA whose signature is missing", { spoil: dropSignatures("TLSA") }, () => BOGUS_TLSA),
  domainOf("bogus-mx", "MX with a broken signature", { spoil: breakSignatures("MX") }, () => BOGUS_MX),
  domainOf("expired", "every signature of the zone ran out", { signing: { validity: "expired" } }, () => BOGUS_MX),
  domainOf("future", "no signature of the zone is valid yet", { signing: { validity: "future" } }, () => BOGUS_MX),
  domainOf("wrong-ds", "the DS belongs to another key", { ds: "of-another-key" }, () => BOGUS_MX),
  domainOf("tlsa-servfail", "name servers that fail TLSA questions", { server: "servfails-tlsa" }, () => FAILED_TLSA),
  domainOf("tlsa-timeout", "name servers that never answer TLSA questions", { server: "ignores-tlsa" }, () => FAILED_TLSA),
  domainOf("mx-servfail", "name servers that fail MX questions", { server: "servfails-mx" }, () => FAILED_MX),
  denialByNsec3,
  bogusNull,
  bogusDenial,
  bogusAddress,
];
