import { ipv4Text, ipv6Text } from "./ipAddress.ts";
import { type DomainName, lowerOctet, MAX_LABEL_OCTETS } from "./name.ts";
import { layoutOf } from "./rdataLayout.ts";
import { WireReader } from "./wireReader.ts";

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

export type MalformedRdata = { kind: "malformed"; reason: string };

/** RFC 1035 §3.3.13; times are seconds. */
export type Soa = {
  primary: DomainName;
  responsible: DomainName;
  serial: number;
  refresh: number;
  retry: number;
  expire: number;
  minimum: number;
};

/** Reads one structure from the whole of `rdata` (no compression); what is too short or too long is malformed. */
export function decodeExactly<T>(rdata: Buffer, read: (reader: WireReader) => T): T | MalformedRdata {
  const reader = new WireReader(rdata);
  const value = read(reader);
  reader.finish();
  return reader.failure === undefined ? value : { kind: "malformed", reason: reader.failure };
}

const DECODERS: { [T in LookupType]: (reader: WireReader) => RecordData[T] } = {
  A: (reader) => ipv4Text(reader.octets(4)),
  AAAA: (reader) => ipv6Text(reader.octets(16)),
  MX: (reader) => ({ preference: reader.uint16(), exchange: reader.name() }),
  // RFC 6698 §2.1. Empty association data is well formed here; whether a record is usable is decided in dane/.
  TLSA: (reader) => ({
    usage: reader.octet(),
    selector: reader.octet(),
    matchingType: reader.octet(),
    data: Buffer.from(reader.rest()),
  }),
  TXT: (reader) => characterStrings(reader),
};

/** The data of one record of a type that is looked up; RDATA that is not exactly of that form is malformed. */
export function decodeLookup<T extends LookupType>(type: T, rdata: Buffer): RecordData[T] | MalformedRdata {
  return decodeExactly<RecordData[T]>(rdata, DECODERS[type]);
}

/** The name that is all of the RDATA of NS, CNAME, PTR and DNAME. */
export function decodeTarget(rdata: Buffer): DomainName | MalformedRdata {
  return decodeExactly(rdata, (reader) => reader.name());
}

export function decodeSoa(rdata: Buffer): Soa | MalformedRdata {
  return decodeExactly(rdata, (reader) => ({
    primary: reader.name(),
    responsible: reader.name(),
    serial: reader.uint32(),
    refresh: reader.uint32(),
    retry: reader.uint32(),
    expire: reader.uint32(),
    minimum: reader.uint32(),
  }));
}

/** One or more <character-string>s (RFC 1035 §3.3.14). */
function characterStrings(reader: WireReader): readonly Buffer[] {
  const strings: Buffer[] = [];
  do strings.push(Buffer.from(reader.characterString()));
  while (reader.remaining > 0);
  return strings;
}

/**
 * Copies to be kept: they hold neither the message in memory that the originals are slices of, nor the pool that Node takes small buffers
 * from. All are in one piece of memory.
 */
export function detachedRdata(rdatas: readonly Buffer[]): readonly Buffer[] {
  const octets = Buffer.allocUnsafeSlow(rdatas.reduce((sum, rdata) => sum + rdata.length, 0));
  let end = 0;
  return rdatas.map((rdata) => {
    const start = end;
    end += rdata.copy(octets, start);
    return octets.subarray(start, end);
  });
}

/**
 * RDATA as it is signed and compared (RFC 4034 §6.2): names in lower case in the types listed there (RFC 6840 §5.1 takes NSEC out).
 * `rdata` is uncompressed. What is malformed stays as it is: no signature was ever made over another form of it.
 */
export function canonicalRdata(type: number, rdata: Buffer): Buffer {
  const layout = layoutOf(type);
  if (layout === undefined || !layout.lowerCase) return rdata;
  const canonical = Buffer.from(rdata);
  let at = 0;
  for (const field of layout.fields) {
    if (field === "name") at = lowerCaseName(canonical, at);
    else if (field === "string") at += 1 + (canonical[at] ?? 0);
    else if (field === "rest") at = Math.max(at, canonical.length);
    else at += field satisfies number;
  }
  return at === canonical.length ? canonical : rdata;
}

/** Lowers the letters of the uncompressed name at `at`; returns where it ends, which is beyond the end when there is none. */
function lowerCaseName(octets: Buffer, at: number): number {
  for (let next = at; ; ) {
    const length = octets[next];
    if (length === undefined || length > MAX_LABEL_OCTETS) return Number.POSITIVE_INFINITY;
    const end = next + 1 + length;
    for (let i = next + 1; i < end; i += 1) octets[i] = lowerOctet(octets[i] ?? 0);
    next = end;
    if (length === 0) return next;
  }
}
