import type { TlsaData } from "../dns/rdata.ts";

/** One usable TLSA record (RFC 6698 §2.1). What is unusable in SMTP never becomes part of a policy. */
export type Tlsa = TlsaData;
