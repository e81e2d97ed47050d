import { RR_TYPE } from "../../src/dns/message.ts";
import type { ReasonCode } from "../../src/dnssec/securityStatus.ts";
import type { Disagreement } from "./campaign.ts";
import { sameOpinion } from "./judges.ts";
import { questionKey } from "./mutantServer.ts";

/**
 * Why our verdict may differ from Unbound's: every disagreement belongs to one of these, or is a bug of ours. What is
 * `stricter` we refuse; where Unbound refuses what we take, it is the zone's own answer, or signed by the zone and taken by delv as well.
 */
export type Explanation = { kind: "stricter" | "true all the same" | "another message"; title: string; why: string };
type Rule = Explanation & { matches: (one: Disagreement) => boolean };

function refusedFor({ ours, unbound }: Disagreement, ...codes: ReasonCode[]): boolean {
  return ours.status === "refused" && unbound.status !== "refused" && codes.some((code) => code === ours.code);
}

function isSpoiledItself({ mutant: { question, spoiled } }: Disagreement): boolean {
  return questionKey(question.name, question.type) === questionKey(spoiled.name, spoiled.type);
}

function isJoined({ mutant: { message } }: Disagreement): boolean {
  return message.answer.some((one) => one.type === RR_TYPE.CNAME || one.type === RR_TYPE.DNAME);
}

function changedBy({ mutant }: Disagreement, ...labels: string[]): boolean {
  return mutant.labels.some((label) => labels.some((one) => label.startsWith(one)));
}

/** Whether some name has a CNAME and something else. */
function hasCnameBeside({ mutant: { message } }: Disagreement): boolean {
  const aliases = message.answer.filter((one) => one.type === RR_TYPE.CNAME).map((one) => one.name);
  return message.answer.some((one) => one.type !== RR_TYPE.CNAME && one.type !== RR_TYPE.RRSIG && aliases.includes(one.name));
}

function hasTwoCnames({ mutant: { message } }: Disagreement): boolean {
  const aliases = message.answer.filter((one) => one.type === RR_TYPE.CNAME);
  return aliases.some((one) => aliases.some((other) => other.name === one.name && !other.rdata.equals(one.rdata)));
}

/** That some reason of our refusal is in these words. */
function saysWhy({ ours }: Disagreement, words: RegExp): boolean {
  return ours.status === "refused" && words.test(ours.why);
}

function isStricter({ ours, unbound }: Disagreement): boolean {
  return ours.status === "refused" && unbound.status !== "refused";
}

function isLaxer({ ours, unbound }: Disagreement): boolean {
  return ours.status !== "refused" && unbound.status === "refused";
}

function bothUsable({ ours, unbound }: Disagreement): boolean {
  return ours.status !== "refused" && unbound.status !== "refused";
}

function isTruth({ ours, truth }: Disagreement): boolean {
  return sameOpinion(ours, truth);
}

function isOptOut({ mutant }: Disagreement): boolean {
  return mutant.question.name.includes("optout.");
}

/** Changes that end in a signature by the zone: what it says then is another truth. */
const SIGNED_BY_THE_ZONE = ["signed-cname", "dname-signed", "target-anew", "cname-beside", "nsec-next-anew"];
const SIGNED_ALIASES = ["signed-cname", "dname-signed"];

const RULES: readonly Rule[] = [
  {
    kind: "another message",
    title: "the end of a joined alias chain",
    why: "We take the whole chain from one message where each part holds (or is insecure); Unbound asks for every target again.",
    matches: (one) => bothUsable(one) && isSpoiledItself(one) && isJoined(one) && !isTruth(one),
  },
  {
    kind: "true all the same",
    title: "a CNAME beside the records",
    why: "RFC 2181 §10.1 forbids it. We answer with what was asked for, Unbound with both; it refuses an unsigned one under opt-out.",
    matches: (one) => isTruth(one) && hasCnameBeside(one) && one.delv.status !== "refused",
  },
  {
    kind: "true all the same",
    title: "authority section of a joined message",
    why: "We ask for the target where the message does not hold, and judge that answer; Unbound keeps what the first message had beside it.",
    matches: (one) => isLaxer(one) && isTruth(one) && isJoined(one) && isSpoiledItself(one),
  },
  {
    kind: "true all the same",
    title: "something that is not needed",
    why: "A bad signature beside a good one (RFC 4035 §5.3.3: one is enough; Unbound goes by the first), denials of other names, which delv leaves out as well.",
    matches: (one) =>
      isLaxer(one) &&
      isTruth(one) &&
      (changedBy(one, "signature-bit-beside-good") || (one.delv.status !== "refused" && changedBy(one, "denials-of-many"))),
  },
  {
    kind: "true all the same",
    title: "an unsigned alias in an opt-out span",
    why: "There may be an unsigned delegation, so the name is insecure with and without the change, for delv too. Unbound judges its target with it.",
    matches: (one) =>
      isLaxer(one) && isOptOut(one) && [one.ours, one.truth, one.delv].every(({ status }) => status === "insecure"),
  },
  {
    kind: "true all the same",
    title: "what the zone itself signed",
    why: "Aliases to literal wildcards, long chains, denials of other zones beside aliases: the zone's keys made them. delv takes them too, or does not come to an end.",
    matches: (one) =>
      isLaxer(one) && (one.delv.status === "refused" ? changedBy(one, ...SIGNED_ALIASES) : changedBy(one, ...SIGNED_BY_THE_ZONE)),
  },
  {
    kind: "stricter",
    title: "a CNAME that its DNAME does not make",
    why: "RFC 6672 §5.3.1: it must be the same. Unbound makes one of its own and drops what came.",
    matches: (one) => refusedFor(one, "dname-synthesis"),
  },
  {
    kind: "stricter",
    title: "a chain of aliases without an end",
    why: "We say that it cannot be looked up; Unbound answers with what it has followed, or asks for each target again.",
    matches: (one) =>
      (isStricter(one) && changedBy(one, "dname-signed")) ||
      (refusedFor(one, "alias-loop") && (isJoined(one) || ("answer" in one.unbound && one.unbound.answer === "nodata"))),
  },
  {
    kind: "stricter",
    title: "a message that contradicts itself",
    why: "Two CNAMEs at a name, records beside RCODE NXDOMAIN, another class: we take nothing of it, Unbound what it likes.",
    matches: (one) => refusedFor(one, "malformed") || (isStricter(one) && hasTwoCnames(one)),
  },
  {
    kind: "stricter",
    title: "what stands beside a CNAME does not hold",
    why: "Both must hold; Unbound drops what it did not ask for.",
    matches: (one) => isStricter(one) && (hasCnameBeside(one) || changedBy(one, "cname-beside")),
  },
  {
    kind: "stricter",
    title: "RDATA that is malformed",
    why: "We refuse the whole message, Unbound drops the record or does not look into it.",
    matches: (one) => refusedFor(one, "lookup-failed") && changedBy(one, "rdata-size", "rdata-bit", "add-record"),
  },
  {
    kind: "stricter",
    title: "NSEC, NSEC3, DS or SOA out of a wildcard",
    why: "RFC 4592 §4: these are not expanded. Unbound takes them where the zone has signed so.",
    matches: (one) => isStricter(one) && saysWhy(one, /expanded from a wildcard|fewer labels than its signer/),
  },
  {
    kind: "stricter",
    title: "records in another section",
    why: "An answer is in the answer section, a denial in the authority section (RFC 4035 §3.1). Unbound finds them anywhere.",
    matches: (one) => isStricter(one) && changedBy(one, "move-section"),
  },
  {
    kind: "stricter",
    title: "an unsigned DNAME of a signed zone above an unsigned one",
    why: "The DNAME's own zone is signed, so it must be. Unbound judges it by the name that was asked for.",
    matches: (one) => refusedFor(one, "signature-missing") && changedBy(one, "dname-forged"),
  },
  {
    kind: "stricter",
    title: "unsigned denial in an opt-out span",
    why: "There may be an unsigned delegation there, so Unbound takes any denial as insecure. We want one that the zone signed.",
    matches: (one) => isStricter(one) && one.unbound.status === "insecure" && isOptOut(one) && one.truth.status === "insecure",
  },
  {
    kind: "stricter",
    title: "a denial that the zone signed and that proves nothing",
    why: "NSEC with a next name, owner or types that make no proof of it. delv refuses it too; Unbound looks at less, or takes the name for unsigned.",
    matches: (one) => isStricter(one) && one.delv.status === "refused" && changedBy(one, "nsec", "denial-owner-anew"),
  },
  {
    kind: "stricter",
    title: "signatures of the zone above in an answer out of an unsigned one",
    why: "Who signed tells us which zone speaks, and that zone must then prove what is said. Unbound and delv look for the delegation first.",
    matches: (one) => isStricter(one) && one.unbound.status === "insecure" && one.truth.status === "insecure",
  },
];

export function explanationOf(disagreement: Disagreement): Explanation | undefined {
  return RULES.find((rule) => rule.matches(disagreement));
}

/** What must never be: an answer that we take, that Unbound refuses, and that is not the zone's own, signed anew by its keys as an alias, or taken by delv. */
export function isDowngrade(disagreement: Disagreement): boolean {
  return (
    isLaxer(disagreement) &&
    !isTruth(disagreement) &&
    disagreement.delv.status === "refused" &&
    !changedBy(disagreement, ...SIGNED_ALIASES)
  );
}
