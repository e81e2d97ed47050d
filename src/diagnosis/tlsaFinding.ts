import { createHash } from "node:crypto";
import { isAssociated } from "../dane/association.ts";
import type { TriedRecord } from "../dane/matchVerdict.ts";
import { CERT, DANE_EE, DANE_TA, FULL, shortTlsa, type Tlsa, type UnusableRecord } from "../dane/tlsa.ts";
import { type DomainName, displayName } from "../dns/name.ts";
import { type Certificate, parseCertificate } from "../x509/certificate.ts";
import { distinctCertificates } from "../x509/distinctCertificates.ts";
import { pathFinding } from "./certificateFinding.ts";
import type { FailureClass, Finding } from "./finding.ts";
import type { SeenCertificate } from "./observation.ts";
import { changedParameters, matchingParameters } from "./parameterSearch.ts";
import { endEntityLine, tlsaLine } from "./zoneLine.ts";

/** Why TLSA records do not authenticate the server that was found, record by record, and which record would. */

/** What is known around one failed match. */
export type MismatchFacts = {
  host: string;
  /** `_25._tcp.mx.example.org`. */
  owner: DomainName;
  /** Where an alias of `owner` leads: the name that the records stand at. */
  standsAt?: DomainName;
  chain: readonly Buffer[];
  /** Those of all addresses of the host: one record set is for all of them. */
  everyChain: readonly (readonly Buffer[])[];
  identifiers: readonly DomainName[];
  now: number;
  tried: readonly TriedRecord[];
  /** Certificates of other hosts, by host. */
  others: readonly { host: string; chain: readonly Buffer[] }[];
  history: readonly SeenCertificate[];
};

const NOTHING = Buffer.alloc(0);
const EMPTY_DIGESTS = ["sha256", "sha512"].map((algorithm) => createHash(algorithm).update(NOTHING).digest());

export function isDigestOfNothing({ matchingType, data }: Tlsa): boolean {
  return matchingType !== FULL && EMPTY_DIGESTS.some((digest) => digest.equals(data));
}

type Told = Pick<Finding, "class" | "explanation" | "rfc" | "remedy" | "actor"> & { paste?: readonly string[] };

/** How much a class says: of several records that do not match, the most telling is the one to look at. */
const TELLING: readonly FailureClass[] = [
  "tlsa-empty-digest",
  "tlsa-wrong-parameters",
  "certificate-expired",
  "certificate-name-mismatch",
  "tlsa-wrong-ca-key",
  "certificate-path",
  "tlsa-outdated-certificate",
  "tlsa-shared-by-mistake",
  "tlsa-mismatch",
];

/** One finding for a server that no record authenticates: of its records' troubles, the one that says most. */
export function mismatchFinding(facts: MismatchFacts): Finding | undefined {
  const leaf = facts.chain[0];
  const server = leaf === undefined ? undefined : parseCertificate(leaf);
  const told = facts.tried.map((one) => recordTrouble(one, facts, server?.kind === "certificate" ? server : undefined));
  const [first] = told.sort((a, b) => TELLING.indexOf(a.class) - TELLING.indexOf(b.class));
  return first === undefined ? undefined : { severity: "error", host: facts.host, ...first };
}

function recordTrouble(tried: TriedRecord, facts: MismatchFacts, server: Certificate | undefined): Told {
  const { record } = tried;
  const right = server === undefined ? [] : rightRecords(facts, server);
  // Where somebody else answers for the host, what was seen is that one's certificate.
  const [key, by] =
    right.length > 1 ? ["these are the keys of your servers", "these"] : ["this is your server's key", "this one"];
  const publish = `make sure that ${key} (\`dane-relay tlsa CERTIFICATE\` prints a certificate's record), then replace the record by ${by}${standing(facts)}; caches may hold the old one for its TTL`;
  const mend = { actor: "dns-operator" as const, paste: right, remedy: publish };
  const shown = `TLSA ${shortTlsa(record)}`;
  if (isDigestOfNothing(record)) {
    const explanation = `${shown} is the digest of nothing: whatever made the record was given an empty file.`;
    return { class: "tlsa-empty-digest", explanation, rfc: "RFC 6698 §2.1.3", ...mend };
  }
  const parameters = matchingParameters(record, facts);
  if (parameters !== undefined) {
    const explanation = `The data of ${shown} are right, its numbers are not: with ${changedParameters(record, parameters)} it matches the certificate in use.`;
    const paste = [tlsaLine(facts.standsAt ?? facts.owner, parameters)];
    return {
      class: "tlsa-wrong-parameters",
      explanation,
      rfc: "RFC 6698 §2.1",
      ...mend,
      paste,
      remedy: `correct the numbers of the record${standing(facts)}`,
    };
  }
  return pathFinding(tried, facts, server) ?? wrongIssuer(tried, facts, mend) ?? otherCertificate(record, facts, mend);
}

/** A record for the key of each address: a record set that lacks one is no better than before. */
function rightRecords({ standsAt, owner, everyChain }: MismatchFacts, server: Certificate): readonly string[] {
  const others = distinctCertificates(
    everyChain.flatMap(([leaf]) => leaf ?? []),
    [server],
  );
  return [...new Set([server, ...others].map((one) => endEntityLine(standsAt ?? owner, one)))];
}

function standing({ standsAt }: Pick<MismatchFacts, "standsAt">): string {
  return standsAt === undefined ? "" : ` (it stands at ${displayName(standsAt)}, where an alias leads)`;
}

type Mend = Pick<Told, "actor" | "paste" | "remedy">;

/** The CA that the record names is there, or one of its name is, and another key signed the server's certificate. */
function wrongIssuer({ record, failure }: TriedRecord, { chain }: MismatchFacts, mend: Mend): Told | undefined {
  if (record.usage !== DANE_TA) return undefined;
  const inFull = record.selector === CERT && record.matchingType === FULL ? parseCertificate(record.data) : undefined;
  const [server] = distinctCertificates(chain, []);
  const namesake = inFull?.kind === "certificate" && server !== undefined && inFull.subject.equals(server.issuer);
  if (failure !== "not-the-issuer" && !namesake) return undefined;
  const explanation = `TLSA ${shortTlsa(record)} names a CA certificate that is there, but another key issued the server's certificate: the CA has changed the key that it signs with.`;
  const remedy = `${mend.remedy}; or have the certificate issued by the CA that the record names`;
  return { class: "tlsa-wrong-ca-key", explanation, rfc: "RFC 7671 §5.2", ...mend, remedy };
}

/** No certificate that the server sent: one of before, or another host's, or nobody knows whose. */
function otherCertificate(record: Tlsa, facts: MismatchFacts, mend: Mend): Told {
  const earlier = facts.history.find(({ der }) => names(record, [der]));
  if (earlier !== undefined) {
    const last = new Date(earlier.lastSeen).toISOString().slice(0, 10);
    const explanation = `TLSA ${shortTlsa(record)} is that of a certificate that the host had until ${last}; it was renewed, and the record was not.`;
    const remedy = `${mend.remedy}. Next time publish the new record first, and keep both until the new certificate is in use`;
    return { class: "tlsa-outdated-certificate", explanation, rfc: "RFC 7671 §8", ...mend, remedy };
  }
  // A CA issues for many hosts: only a record of a server's own key is one host's.
  const owner = record.usage === DANE_EE ? facts.others.find(({ chain }) => names(record, chain.slice(0, 1))) : undefined;
  const shared = owner?.host ?? otherHostOf(facts);
  if (shared !== undefined) {
    const explanation = `TLSA ${shortTlsa(record)} is the record of another host, ${shared}; ${facts.host} has a key of its own.`;
    const remedy = `give ${facts.host} a record of its own${facts.standsAt === undefined ? "" : `, in place of the alias to ${displayName(facts.standsAt)}`}`;
    const paste = mend.paste?.map((line) => line.replace(/^\S+/, facts.owner)) ?? [];
    return { class: "tlsa-shared-by-mistake", explanation, rfc: "RFC 7671 §6", ...mend, remedy, paste };
  }
  const explanation = `TLSA ${shortTlsa(record)} matches no certificate that the host sent: the certificate was renewed without a new record, or somebody else answers for the host.`;
  return {
    class: "tlsa-mismatch",
    explanation,
    rfc: "RFC 7672 §3.2",
    ...mend,
  };
}

function names(record: Tlsa, chain: readonly Buffer[]): boolean {
  return distinctCertificates(chain, []).some((certificate) => isAssociated(record, certificate));
}

/** Where the records stand at `_25._tcp` of a host that is not this one. */
function otherHostOf({ standsAt, owner }: MismatchFacts): string | undefined {
  if (standsAt === undefined || standsAt === owner) return undefined;
  return /^_[0-9]+\._tcp\.(.+)\.$/.exec(standsAt)?.[1];
}

type UnusableFacts = Pick<MismatchFacts, "host" | "owner" | "standsAt" | "chain" | "identifiers" | "now"> & {
  beside: "usable" | "none";
  /** Whether mail is kept back for it. */
  daneOnly: "yes" | "no";
};

/** Records that mail cannot use (RFC 7672 §3.1.3), one finding for each class. `beside`: whether there are usable ones, or none. */
export function unusableFindings(records: readonly UnusableRecord[], facts: UnusableFacts): readonly Finding[] {
  const byClass = new Map<FailureClass, Finding>();
  for (const record of records) {
    const finding = unusableFinding(record, facts);
    const known = byClass.get(finding.class);
    const explanation = known === undefined ? finding.explanation : `${finding.explanation} ${known.explanation}`;
    byClass.set(finding.class, { ...finding, explanation });
  }
  const withoutAny =
    facts.daneOnly === "yes"
      ? "The policy for this domain is dane-only: without a usable record no mail is sent."
      : "Without a usable record mail is encrypted, but the server is not authenticated.";
  const effect = facts.beside === "usable" ? "It is passed over." : withoutAny;
  return [...byClass.values()].map((finding) => ({ ...finding, explanation: `${finding.explanation} ${effect}` }));
}

function unusableFinding({ record, because }: UnusableRecord, facts: UnusableFacts): Finding {
  const { host, beside, daneOnly } = facts;
  const owner = facts.standsAt ?? facts.owner;
  const parameters = record.usage > 1 ? matchingParameters(record, facts) : undefined;
  const [server] = distinctCertificates(facts.chain.slice(0, 1), []);
  const severity = daneOnly === "yes" ? "error" : "warning";
  const common = { severity, host, actor: "dns-operator" } as const;
  if (parameters !== undefined) {
    const explanation = `TLSA ${shortTlsa(record)}: ${because}. With ${changedParameters(record, parameters)} it would match.`;
    const paste = [tlsaLine(owner, parameters)];
    return {
      ...common,
      class: "tlsa-wrong-parameters",
      explanation,
      rfc: "RFC 6698 §2.1",
      remedy: `correct the numbers of the record${standing(facts)}`,
      paste,
    };
  }
  return {
    ...common,
    class: isDigestOfNothing(record) ? "tlsa-empty-digest" : "tlsa-unusable",
    explanation: `TLSA ${shortTlsa(record)}: ${because}.`,
    rfc: record.usage < 2 ? "RFC 7672 §3.1.3" : "RFC 7672 §2.2",
    remedy: `${beside === "usable" ? "take the record away" : "publish a record with usage 3, selector 1, matching type 1 instead"}${standing(facts)}`,
    ...(beside === "usable" || server === undefined ? {} : { paste: [endEntityLine(owner, server)] }),
  };
}
