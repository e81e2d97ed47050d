import { type DomainName, name } from "../../src/dns/name.ts";
import type { LookupType, RecordData } from "../../src/dns/rdata.ts";
import type { Alias, Resolution } from "../../src/dnssec/securityStatus.ts";
import type { Resolver } from "../../src/resolver/resolver.ts";

/** One row: what a look-up gives. `via` is an alias chain, each hop `owner -> target` with its own status. */
export type FakeAnswer<T extends LookupType> = {
  status: "secure" | "insecure" | "bogus" | "fail";
  records?: readonly RecordData[T][];
  absent?: "nodata" | "nxdomain";
  via?: readonly { to: string; status: "secure" | "insecure" }[];
};

type Table = { [T in LookupType]?: Readonly<Record<string, FakeAnswer<T>>> };

/**
 * A resolver that is a table of records with their status. What is not in the table is proved absent where its zone is signed: `signed`
 * names the zones whose missing names are secure no-data, all others are insecure no-data. Remembers every question.
 */
export class FakeResolver implements Resolver {
  readonly asked: string[] = [];
  readonly #table: Table;
  readonly #signed: readonly string[];

  constructor(table: Table, signed: readonly string[] = []) {
    this.#table = table;
    this.#signed = signed;
  }

  resolve<T extends LookupType>(owner: DomainName, type: T): Promise<Resolution<RecordData[T]>> {
    this.asked.push(`${owner} ${type}`);
    const row = (this.#table[type] as Readonly<Record<string, FakeAnswer<T>>> | undefined)?.[owner.slice(0, -1)];
    return Promise.resolve(row === undefined ? this.#absent(owner) : answerOf(owner, row));
  }

  #absent<R>(owner: DomainName): Resolution<R> {
    const status = this.#signed.some((zone) => owner === `${zone}.` || owner.endsWith(`.${zone}.`)) ? "secure" : "insecure";
    return { status, answer: "nodata", aliases: [], name: owner, ttlSeconds: 60 };
  }
}

function answerOf<T extends LookupType>(owner: DomainName, row: FakeAnswer<T>): Resolution<RecordData[T]> {
  if (row.status === "bogus")
    return { status: "bogus", reasons: [{ code: "signature-invalid", text: `${owner} is forged` }], ede: 6 };
  if (row.status === "fail")
    return { status: "indeterminate", reasons: [{ code: "lookup-failed", text: `${owner}: SERVFAIL` }], ede: 22 };
  const aliases: Alias[] = [];
  let at = owner;
  for (const hop of row.via ?? []) {
    const target = name(hop.to);
    aliases.push({ name: at, target, status: hop.status });
    at = target;
  }
  const common = { status: row.status, aliases, name: at, ttlSeconds: 60 } as const;
  const [first, ...rest] = row.records ?? [];
  if (first === undefined) return { ...common, answer: row.absent ?? "nodata" };
  return { ...common, answer: "records", records: [first, ...rest] };
}
