import type { Resolution } from "../dnssec/securityStatus.ts";
import { lookupFailure } from "../policy/lookupFailure.ts";

/** The closed vocabulary of the delivery event's `dnssec` fields. */
export type LookupWord = "secure" | "insecure" | "bogus" | "failed" | "not-asked";

/** How one look-up ended, in the log's words. */
export function lookupWord(resolution: Resolution<unknown>): LookupWord {
  switch (resolution.status) {
    case "secure":
    case "insecure":
      return resolution.status;
    case "bogus":
    case "indeterminate":
      return lookupFailure(resolution.reasons).dane === "bogus" ? "bogus" : "failed";
    default:
      return resolution satisfies never;
  }
}
