import { RR_TYPE } from "../../src/dns/message.ts";
import { MAX_SIGNATURE_CHECKS_PER_RRSET } from "../../src/dnssec/workBudget.ts";
import type { Disagreement } from "./campaign.ts";
import {
  DENIALS,
  denialSets,
  hasCnameBeside,
  hasDenials,
  hasMisplaced,
  hasUnsignedAlias,
  isAliased,
  isAlike,
  isLaxer,
  isLimitedNsec3,
  isNoChain,
  isOptOut,
  isRefusedByTwo,
  isSpoiledItself,
  isStricter,
  mostSignatures,
  recordsOf,
  refusedFor,
  saysWhy,
} from "./disagreementTraits.ts";
import { sameOpinion } from "./judges.ts";

/**
 * Why our verdict may differ from Unbound's: every disagreement belongs to one of these, or is a bug of ours. They go by what is in the
 * messages and by our reason, never by how a mutant was made. What is `stricter` we refuse and Unbound takes; `another message`: both are
 * usable, and rest on different messages; `refused by mistake`: Unbound refuses what the RFC, and its own tests, have secure.
 */
export type Explanation = { kind: "stricter" | "another message" | "refused by mistake"; title: string; why: string };
type Rule = Explanation & { matches: (one: Disagreement) => boolean };

/** RRsets of NSEC or NSEC3 records. */
const MOST_IN_A_DENIAL = 3;

const RULES: readonly Rule[] = [
  {
    kind: "refused by mistake",
    title: "a DNAME or CNAME question that ends below a DNAME",
    why: "The CNAME that a DNAME makes is never signed (RFC 6672 §5.3.1). Unbound misses its signature where DNAME or CNAME was asked for, which we never ask; its own tests have such answers secure, and so has delv.",
    matches: (one) =>
      isLaxer(one) &&
      one.delv !== undefined &&
      one.delv.status !== "refused" &&
      (one.mutant.question.type === RR_TYPE.DNAME || one.mutant.question.type === RR_TYPE.CNAME) &&
      "records" in one.ours &&
      one.ours.records.includes(" CNAME "),
  },
  {
    kind: "refused by mistake",
    title: "an answer with what is no part of it",
    why: "A CNAME before its DNAME or in the additional section (RFC 6672 §5.3.1: it is made of the DNAME, or missing), a DNAME from above the server's zone (RFC 5452 §6). Without these Unbound says of the same message what we say.",
    matches: (one) => isLaxer(one) && one.tidied !== undefined && sameOpinion(one.ours, one.tidied),
  },
  {
    kind: "refused by mistake",
    title: "a denial with more of the zone's own records than it needs",
    why: "Each is signed by the zone, and those that deny are among them (RFC 4035 §5.4 asks for no order or number); delv finds them. Unbound takes the first that seem to fit.",
    matches: (one) =>
      isLaxer(one) &&
      one.ours.status === "secure" &&
      one.ours.answer !== "records" &&
      sameOpinion(one.ours, one.truth) &&
      one.delv !== undefined &&
      sameOpinion(one.delv, one.truth),
  },
  {
    kind: "refused by mistake",
    title: "an alias of an unsigned zone with denials beside it",
    why: "The zone is proved to be unsigned, so its alias is insecure, not bogus, whoever signed it (RFC 4035 §4.3, §5.2); denials beside it would be about its target (RFC 6604 §3), which is asked for itself. Unbound wants them to prove something of the target, and fails.",
    matches: (one) =>
      isLaxer(one) &&
      one.ours.status === "insecure" &&
      one.truth.status === "insecure" &&
      one.delv?.status === "insecure" &&
      one.ours.records.includes(" CNAME ") &&
      isAliased(one.mutant.message) &&
      hasDenials(one.mutant.message),
  },
  {
    kind: "refused by mistake",
    title: "a wildcard's proof that another message took away",
    why: "RFC 4035 §5.3.4: the message with what came out of a wildcard proves that it might, and here it does, for delv too. Unbound remembers NSEC and NSEC3 records by their names: the answer for the alias's target brings one of the same name and other parameters, and it judges the first message with that.",
    matches: (one) =>
      isLaxer(one) &&
      one.ours.status === "secure" &&
      sameOpinion(one.ours, one.truth) &&
      one.delv?.status === "secure" &&
      isAliased(one.mutant.message) &&
      hasDenials(one.mutant.message),
  },
  {
    kind: "another message",
    title: "the end of a joined alias chain",
    why: "We take the whole chain from one message where every part of it holds (RFC 1034 §4.3.2); Unbound asks for every target again.",
    matches: (one) => isAlike(one) && isSpoiledItself(one) && isAliased(one.mutant.message) && !sameOpinion(one.ours, one.truth),
  },
  {
    kind: "another message",
    title: "the truth after a message from above that did not hold",
    why: "What came from above the zone is no answer and proves nothing; asked again, the zone's own servers give the true one. Unbound gives up, or believes what it got.",
    matches: (one) =>
      one.ours.status !== "refused" &&
      one.mutant.way === "recursive" &&
      one.mutant.level < one.mutant.ownLevel &&
      sameOpinion(one.ours, one.truth),
  },
  {
    kind: "another message",
    title: "a denial among more of the zone's records than any denial has",
    why: "RFC 5155 §8 needs three at most. Ours is what the zone says when it is asked; Unbound puts two together that do not belong together (RFC 4035 §5.4), and delv refuses or agrees with us. Or both go by one that asks for too many iterations (RFC 9276 §3.2), and that we need not.",
    matches: (one) =>
      one.ours.status === "secure" &&
      one.unbound.status !== "refused" &&
      one.ours.answer !== "records" &&
      sameOpinion(one.ours, one.truth) &&
      denialSets(one.mutant.message) > MOST_IN_A_DENIAL &&
      ((isAlike(one) && (one.delv?.status === "refused" || (one.delv !== undefined && sameOpinion(one.ours, one.delv)))) ||
        recordsOf(one.mutant.message).some(isLimitedNsec3)),
  },
  {
    kind: "another message",
    title: "a CNAME beside the records",
    why: "RFC 2181 §10.1 forbids it, and both are signed by the zone. We answer with what comes first, Unbound with both.",
    matches: (one) => isAlike(one) && hasCnameBeside(one.mutant.message),
  },
  {
    kind: "stricter",
    title: "what DNAME and CNAME say does not fit together",
    why: "RFC 6672 §5.3.1: the CNAME is what the DNAME makes, and the name fits into 255 octets (§2.2). Unbound makes one of its own and drops what came.",
    matches: (one) => refusedFor(one, "dname-synthesis"),
  },
  {
    kind: "stricter",
    title: "a chain of aliases without an end",
    why: "RFC 1034 §5.2.2: loops are errors. We say that it cannot be looked up; Unbound answers with what it has followed.",
    matches: (one) => refusedFor(one, "alias-loop"),
  },
  {
    kind: "stricter",
    title: "what stands beside a CNAME does not hold",
    why: "RFC 2181 §10.1: nothing may stand there, and in a signed zone everything is signed by that zone (RFC 4035 §2.2). Unbound drops what it did not ask for.",
    matches: (one) => isStricter(one) && hasCnameBeside(one.mutant.message),
  },
  {
    kind: "stricter",
    title: "a message that contradicts itself",
    why: "Two CNAMEs at a name (RFC 2181 §10.1), records beside RCODE NXDOMAIN (RFC 2308 §2.1), records of another class or for nobody: we take nothing of it, Unbound what it likes.",
    matches: (one) => isRefusedByTwo(one) && (refusedFor(one, "malformed") || saysWhy(one, /of a class that was not asked for/)),
  },
  {
    kind: "stricter",
    title: "an RCODE of failure",
    why: "RFC 2308 §7: a failure says nothing of the name, whatever else is in the message. Unbound takes YXDOMAIN as it comes, or asks again.",
    matches: (one) => isRefusedByTwo(one) && one.mutant.message.rcode !== 0 && one.mutant.message.rcode !== 3,
  },
  {
    kind: "stricter",
    title: "the wrong zone's word",
    why: "RFC 2308 §2.1, RFC 2181 §5.4.1: a denial with the SOA of a zone that does not hold the name, or of none, is nobody's. Unbound lets the validator see.",
    matches: (one) => saysWhy(one, /it answers as |which does not lead from|neither authority nor SOA|without authority/),
  },
  {
    kind: "stricter",
    title: "RDATA that is malformed",
    why: "RFC 1035 §4.1: we refuse the whole message, Unbound drops the record or does not look into it.",
    matches: (one) => isRefusedByTwo(one) && saysWhy(one, /malformed message|: malformed \(/),
  },
  {
    kind: "stricter",
    title: "signatures that disagree about the signer or the labels",
    why: "RFC 4035 §2.2, RFC 4034 §3.1.3: one RRset has one zone and one owner. Unbound goes by the first signature alone.",
    matches: (one) => saysWhy(one, /disagree about who signed/),
  },
  {
    kind: "stricter",
    title: "NSEC, NSEC3, DS or SOA out of a wildcard",
    why: "RFC 4592 §4: these are not expanded, and no wildcard stands above its zone. Unbound takes them where the zone has signed so.",
    matches: (one) =>
      isRefusedByTwo(one) &&
      saysWhy(one, /expanded from (a|another) wildcard|fewer labels than its signer|comes from a wildcard/),
  },
  {
    kind: "stricter",
    title: "records in another section",
    why: "An answer is in the answer section, a denial in the authority section (RFC 4035 §3.1). Unbound finds them anywhere.",
    matches: (one) => isRefusedByTwo(one) && hasMisplaced(one),
  },
  {
    kind: "stricter",
    title: "an unsigned alias of a signed zone",
    why: "RFC 4035 §5.2: at a name of a signed zone it must be signed, and it is no denial of DS. Unbound judges a DNAME by the name that was asked for, and follows a CNAME even from a DS question.",
    matches: (one) =>
      isRefusedByTwo(one) &&
      refusedFor(one, "signature-missing") &&
      (hasUnsignedAlias(one.mutant.message, RR_TYPE.DNAME) || hasUnsignedAlias(one.mutant.message, RR_TYPE.CNAME)),
  },
  {
    kind: "stricter",
    title: "a record beside the answer that is not authentic",
    why: "RFC 4035 §3.2.3: all of the authority section must be. Unbound keeps of a message with aliases, and drops of others, what it needs.",
    matches: (one) => saysWhy(one, /beside the (answer|denial of DS) is not authentic|but no such record/),
  },
  {
    kind: "stricter",
    title: "a wildcard's proof that another message has whole",
    why: "RFC 4035 §5.3.4: the message with what came out of a wildcard proves that it might. Unbound remembers NSEC and NSEC3 records by their names, and the answer for the alias's target brings the same one, unspoiled.",
    matches: (one) =>
      refusedFor(one, "wildcard-unproved") &&
      isAliased(one.mutant.message) &&
      (sameOpinion(one.unbound, one.truth) || one.delv?.status === "refused"),
  },
  {
    kind: "stricter",
    title: "a referral to two zones",
    why: "RFC 1034 §4.3.2: a referral is to one. Of several we follow the one closest to the name, which nobody serves; Unbound takes the first.",
    matches: (one) =>
      saysWhy(one, /no server of .* answered/) &&
      new Set(one.mutant.message.authority.flatMap(({ name, type }) => (type === RR_TYPE.NS ? [name] : []))).size > 1,
  },
  {
    kind: "stricter",
    title: "unsigned denial in an opt-out span",
    why: "RFC 5155 §9.2: there may be an unsigned delegation there, so Unbound takes any denial as insecure. We want one that the zone signed.",
    matches: (one) =>
      refusedFor(one, "denial-missing", "denial-invalid", "wildcard-unproved", "signature-missing") &&
      one.unbound.status === "insecure" &&
      isOptOut(one),
  },
  {
    kind: "stricter",
    title: "signatures of the zone above in an answer out of an unsigned one",
    why: "RFC 4035 §5.3.1: who signed tells us which zone speaks, and that zone must then prove what is said. Unbound and delv look for the delegation first.",
    matches: (one) =>
      isStricter(one) &&
      one.unbound.status === "insecure" &&
      one.truth.status === "insecure" &&
      recordsOf(one.mutant.message).some((record) => record.type === RR_TYPE.RRSIG),
  },
  {
    kind: "stricter",
    title: "NSEC or NSEC3 records that make no chain",
    why: "RFC 4034 §4, §4.1.1: there is one NSEC record at a name, only the last one points backwards, to the apex, and no name both exists and does not; RFC 5155 §3, §8.2: nor do NSEC3 records of two salts or iteration counts make one. Unbound and delv take what fits out of either.",
    matches: (one) =>
      refusedFor(one, "denial-missing", "wildcard-unproved") &&
      (isNoChain(one.mutant.message) || saysWhy(one, /NSEC records disagree/)),
  },
  {
    kind: "stricter",
    title: "more signatures than anybody needs",
    why: "CVE-2023-50387: there is a bound to what is verified. Unbound's is another, and goes by the order of the signatures.",
    matches: (one) => refusedFor(one, "work-limit") && mostSignatures(one.mutant.message) > MAX_SIGNATURE_CHECKS_PER_RRSET,
  },
  {
    kind: "stricter",
    title: "a denial that the zone signed and that proves nothing",
    why: "RFC 4035 §5.4, RFC 6840 §4: owner, next name or types make no proof of it; nor does delv find one, but that it follows no alias to another message. Unbound looks at less, or takes the name for unsigned.",
    matches: (one) =>
      (isRefusedByTwo(one) || isAliased(one.mutant.message)) &&
      (refusedFor(one, "denial-missing", "denial-invalid") || saysWhy(one, /it is not proved that nothing is closer/)) &&
      recordsOf(one.mutant.message).some((record) => DENIALS.includes(record.type)),
  },
];

export function explanationOf(disagreement: Disagreement): Explanation | undefined {
  return RULES.find((rule) => rule.matches(disagreement));
}

/** What must never be: an answer that we take and Unbound refuses, unless Unbound does by mistake, or the zone itself gave it when asked. */
export function isDowngrade(disagreement: Disagreement): boolean {
  const kind = explanationOf(disagreement)?.kind;
  return isLaxer(disagreement) && kind !== "refused by mistake" && kind !== "another message";
}
