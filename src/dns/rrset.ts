import type { ResourceRecord } from "./message.ts";
import type { DomainName } from "./name.ts";

/** All records of one name, class IN and type (RFC 2181 §5), duplicates removed, with the RRSIG records that cover them. */
export type RRset = {
  name: DomainName;
  type: number;
  ttl: number;
  rdatas: readonly Buffer[];
  signatures: readonly ResourceRecord[];
};
