import type { WireReader } from "./wireReader.ts";

/**
 * Where names stand inside RDATA. One table serves decompression (RFC 1035 §4.1.4, RFC 3597 §4), the check that RDLENGTH is exact,
 * and the canonical form (RFC 4034 §6.2).
 */

/** A count of octets, a name, a <character-string>, or everything that is left. */
export type RdataField = number | "name" | "string" | "rest";

export type RdataLayout = {
  fields: readonly RdataField[];
  /** Names count in lower case when signed (RFC 4034 §6.2); not those of NSEC (RFC 6840 §5.1). */
  lowerCase: boolean;
};

const signed = (...fields: readonly RdataField[]): RdataLayout => ({ fields, lowerCase: true });

/**
 * Senders may compress in the types of RFC 1035 and must not in the later ones, yet RFC 3597 §4 has receivers expand some of these too.
 * All that RFC 4034 §6.2 lists are expanded here: it changes no verdict, because signatures cover the expanded form.
 */
const LAYOUTS: ReadonlyMap<number, RdataLayout> = new Map([
  [2, signed("name")], // NS
  [3, signed("name")], // MD
  [4, signed("name")], // MF
  [5, signed("name")], // CNAME
  [6, signed("name", "name", 20)], // SOA
  [7, signed("name")], // MB
  [8, signed("name")], // MG
  [9, signed("name")], // MR
  [12, signed("name")], // PTR
  [14, signed("name", "name")], // MINFO
  [15, signed(2, "name")], // MX
  [17, signed("name", "name")], // RP
  [18, signed(2, "name")], // AFSDB
  [21, signed(2, "name")], // RT
  [24, signed(18, "name", "rest")], // SIG
  [26, signed(2, "name", "name")], // PX
  [30, signed("name", "rest")], // NXT
  [33, signed(6, "name")], // SRV
  [35, signed(4, "string", "string", "string", "name")], // NAPTR
  [36, signed(2, "name")], // KX
  [39, signed("name")], // DNAME
  [46, signed(18, "name", "rest")], // RRSIG
  [47, { fields: ["name", "rest"], lowerCase: false }], // NSEC
]);

/** The layout of a type that has names in its RDATA; undefined for all others, whose RDATA is opaque (RFC 3597). */
export function layoutOf(type: number): RdataLayout | undefined {
  return LAYOUTS.get(type);
}

/** Reads the fields of one RDATA; names come out uncompressed, in their own case. */
export function readFields(reader: WireReader, layout: RdataLayout): Buffer[] {
  return layout.fields.map((field) => readField(reader, field));
}

function readField(reader: WireReader, field: RdataField): Buffer {
  switch (field) {
    case "name":
      return reader.nameOctets();
    case "rest":
      return reader.rest();
    case "string": {
      const text = reader.characterString();
      return Buffer.concat([Buffer.of(text.length), text]);
    }
    default:
      return reader.octets(field satisfies number);
  }
}
