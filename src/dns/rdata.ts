import type { DomainName } from "./name.ts";

export type MxData = { preference: number; exchange: DomainName };
export type TlsaData = { usage: number; selector: number; matchingType: number; data: Buffer };

/** What a look-up of each type yields per record. Addresses are presentation text; TXT is the character-strings, as octets. */
export type RecordData = {
  A: string;
  AAAA: string;
  MX: MxData;
  TLSA: TlsaData;
  TXT: readonly Buffer[];
};
export type LookupType = keyof RecordData;
