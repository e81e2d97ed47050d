import type { Tlsa } from "./tlsa.ts";

/** Why one record did not authenticate the server, for logs and diagnosis. */
export type TriedRecord = { record: Tlsa; because: string };

export type MatchVerdict = { kind: "match"; record: Tlsa; depth: number } | { kind: "mismatch"; tried: readonly TriedRecord[] };
