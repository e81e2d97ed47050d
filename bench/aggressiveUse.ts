import { RR_TYPE } from "../src/dns/message.ts";
import { name } from "../src/dns/name.ts";
import { type RRset, rrsetsOf } from "../src/dns/rrset.ts";
import { nsecProofs } from "../src/dnssec/nsec.ts";
import { nsec3Proofs } from "../src/dnssec/nsec3.ts";
import { WorkBudget } from "../src/dnssec/workBudget.ts";
import { NSEC3_ITERATIONS } from "../src/resolver/validator.ts";
import { fakeDns, type ZoneDefinition } from "../test/fake/zone.ts";

/**
 * What RFC 8198 would save a mail relay: of the TLSA questions for the hosts of one signed zone that has no TLSA records, those that the
 * denials of earlier ones answer. Without it each host is asked for once in a negative TTL.
 */
const APEX = name("provider.test");

export function aggressiveUse(hostCounts: readonly number[]): string[] {
  const rows = hostCounts.flatMap((hosts) =>
    (["nsec", "nsec3"] as const).map((denial) => {
      const { spared, asked } = sparedQuestions(hosts, denial);
      return `  ${denial.padEnd(5)} ${hosts} hosts: ${spared} of ${asked} TLSA questions`;
    }),
  );
  return ["what answers made from cached denials (RFC 8198) would spare: TLSA of the hosts of one zone, none has any", ...rows];
}

function sparedQuestions(hosts: number, denial: NonNullable<ZoneDefinition["denial"]>): { spared: number; asked: number } {
  const owners = Array.from({ length: hosts }, (_, i) => `mx${i}.${APEX}`);
  const records = owners.map((owner) => `${owner} A 192.0.2.1`);
  const dns = fakeDns([{ name: "." }, { name: "test." }, { name: APEX, records, denial }]);
  const known = new Map<string, RRset>();
  let spared = 0;
  for (const owner of owners) {
    const question = name(`_25._tcp.${owner}`);
    if (isDenied(question, [...known.values()])) {
      spared += 1;
      continue;
    }
    const { authority } = dns.answer(question, RR_TYPE.TLSA);
    for (const rrset of rrsetsOf(authority)) known.set(`${rrset.type} ${rrset.name}`, rrset);
  }
  return { spared, asked: hosts };
}

function isDenied(question: ReturnType<typeof name>, rrsets: readonly RRset[]): boolean {
  if (nsecProofs(APEX, rrsets).nameError(question).kind === "proved") return true;
  const proving = nsec3Proofs(APEX, rrsets, NSEC3_ITERATIONS, new WorkBudget()).nameError(question);
  for (;;) {
    const step = proving.next();
    if (step.done === true) return step.value.kind === "proved";
  }
}
