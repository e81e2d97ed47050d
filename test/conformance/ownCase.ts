import { type Message, type ResourceRecord, RR_TYPE } from "../../src/dns/message.ts";
import { type DomainName, name } from "../../src/dns/name.ts";
import { presentRdata } from "../../src/dns/rdataText.ts";
import { algorithmTable } from "../../src/dnssec/algorithm.ts";
import type { TrustAnchors } from "../../src/dnssec/evidence.ts";
import type { ReasonCode, Resolution } from "../../src/dnssec/securityStatus.ts";
import type { Source } from "../../src/resolver/source.ts";
import { parseTrustAnchors } from "../../src/resolver/trustAnchorStore.ts";
import { Validator, type ValidatorOptions } from "../../src/resolver/validator.ts";
import { typeNumber } from "../fake/dnsWire.ts";
import { FAKE_NOW, type FakeDns, fakeDns, type Tamper, type ZoneDefinition } from "../fake/zone.ts";

/** Conformance cases of our own: zones in memory, what an upstream does to their answers, one question, and what must come of it. */
export type OwnCase = {
  title: string;
  zones: readonly ZoneDefinition[];
  /** What lies between the zones and the validator. */
  tamper?: (message: Message, name: DomainName, type: number, dns: FakeDns) => Message | "fail";
  ask: readonly [string, string];
  /** `reason` is the code of the innermost reason. */
  expect: {
    status: "secure" | "insecure" | "bogus" | "indeterminate";
    answer?: "records" | "nodata" | "nxdomain";
    records?: readonly string[];
    reason?: ReasonCode;
  };
  options?: Partial<ValidatorOptions>;
};

/** What the case shows, in the shape of its expectation. */
export async function play(one: OwnCase): Promise<OwnCase["expect"]> {
  const resolution = await lookup(one);
  const reason = resolution.reasons?.at(-1)?.code;
  return {
    status: resolution.status,
    ...("answer" in resolution && one.expect.answer !== undefined ? { answer: resolution.answer } : {}),
    ...("records" in resolution && one.expect.records !== undefined ? { records: resolution.records.map(text) } : {}),
    ...(one.expect.reason !== undefined && reason !== undefined ? { reason } : {}),
  };
}

export function lookup(one: OwnCase): Promise<Resolution<ResourceRecord>> {
  const { tamper } = one;
  const between: Tamper =
    tamper === undefined ? (message) => message : (message, owner, type) => tamper(message, owner, type, dns);
  const dns = fakeDns(one.zones, between);
  const [owner, type] = one.ask;
  return validatorOf(dns.source, anchorsOf(dns), one.options).lookup(name(owner), typeNumber(type));
}

export function validatorOf(source: Source, anchors: TrustAnchors, options: Partial<ValidatorOptions> = {}): Validator {
  return new Validator({
    source,
    anchors,
    algorithms: algorithmTable({ sha1: "insecure" }),
    clock: { now: () => FAKE_NOW * 1000, monotonic: () => 0 },
    timeoutSeconds: 10,
    trustCacheEntries: 100,
    ...options,
  });
}

export function anchorsOf(dns: Pick<FakeDns, "anchors">): TrustAnchors {
  const read = parseTrustAnchors(dns.anchors.map((record) => `. IN DS ${presentRdata(RR_TYPE.DS, record.rdata)}`).join("\n"));
  if (read.kind === "error") throw new Error(read.reason);
  return read.anchors;
}

function text(record: ResourceRecord): string {
  return presentRdata(record.type, record.rdata);
}

/** The message without records of these types, in all sections. */
export function without(message: Message, ...types: readonly number[]): Message {
  const kept = (records: readonly ResourceRecord[]) => records.filter((record) => !types.includes(record.type));
  return { ...message, answer: kept(message.answer), authority: kept(message.authority), additional: kept(message.additional) };
}

/** A root, a TLD and example.test, all signed: what most cases begin with. */
export function signedTree(records: readonly string[], definition: Partial<ZoneDefinition> = {}): readonly ZoneDefinition[] {
  return [{ name: "." }, { name: "test." }, { name: "example.test.", records, ...definition }];
}
