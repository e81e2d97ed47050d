import type { DomainName } from "../dns/name.ts";
import type { LookupType, RecordData } from "../dns/rdata.ts";
import type { Resolution } from "../dnssec/securityStatus.ts";

/**
 * A validating look-up. Never rejects for anything that a server or the network did: that is `bogus` or `indeterminate`.
 * An answer that is malformed in any record of the asked type is `bogus` or `indeterminate`, never a shorter list.
 */
export interface Resolver {
  resolve<T extends LookupType>(name: DomainName, type: T): Promise<Resolution<RecordData[T]>>;
}
