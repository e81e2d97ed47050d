import { decodeNsec, decodeNsec3 } from "../../src/dns/dnssecRdata.ts";
import { isMalformed, type ResourceRecord, RR_TYPE } from "../../src/dns/message.ts";
import { type DomainName, isName, name, nameToWire, parentOf, parseName } from "../../src/dns/name.ts";
import { typeBitmap } from "../fake/signer.ts";
import type { Draw } from "./draw.ts";

/** Changes to the fields of one record that leave it well formed, by type; and those that do not. */

export type RdataChange = { label: string; rdata: Buffer };
type Change = (rdata: Buffer, draw: Draw, names: readonly DomainName[]) => RdataChange | undefined;

function withOctet(rdata: Buffer, at: number, value: number): Buffer {
  const changed = Buffer.from(rdata);
  changed.writeUInt8(value & 0xff, at);
  return changed;
}

function flipped(rdata: Buffer, draw: Draw): Buffer {
  const at = draw.below(rdata.length);
  return withOctet(rdata, at, rdata.readUInt8(at) ^ (1 << draw.below(8)));
}

export function flippedBit(rdata: Buffer, draw: Draw): Buffer {
  return rdata.length === 0 ? rdata : flipped(rdata, draw);
}

/** A name that has something to do with `names`: one of them, one above, below or just beside. */
export function relatedName(draw: Draw, names: readonly DomainName[]): DomainName {
  const base = draw.pick(names) ?? name(".");
  const below = (label: string): DomainName => {
    const made = parseName(`${label}.${base === "." ? "" : base}`);
    return isName(made) ? made : base;
  };
  return (
    draw.pick([
      () => base,
      () => parentOf(base) ?? base,
      () => below("a"),
      () => below("\\000"),
      () => below("*"),
      () => below("zz"),
    ])?.() ?? base
  );
}

const BITS = [1, 2, 5, 6, 15, 16, 28, 39, 43, 46, 47, 48, 50, 51, 52, 257];

function changedTypes(types: ReadonlySet<number>, draw: Draw): number[] {
  const type = draw.pick(BITS) ?? 1;
  return types.has(type) ? [...types].filter((one) => one !== type) : [...types, type];
}

const nsec: Change = (rdata, draw, names) => {
  const decoded = decodeNsec(rdata);
  if (isMalformed(decoded)) return undefined;
  if (draw.chance(0.5)) {
    const next = relatedName(draw, names);
    return { label: "nsec-next", rdata: Buffer.concat([nameToWire(next), typeBitmap([...decoded.types])]) };
  }
  const types = changedTypes(decoded.types, draw);
  return { label: "nsec-types", rdata: Buffer.concat([nameToWire(decoded.next), typeBitmap(types)]) };
};

/** Iterations of either side of the limits that are in use. */
const ITERATIONS = [1, 50, 100, 101, 150, 151, 500, 501, 2500];

const nsec3: Change = (rdata, draw) => {
  const decoded = decodeNsec3(rdata);
  if (isMalformed(decoded)) return undefined;
  const saltAt = 4;
  const nextAt = saltAt + 1 + decoded.salt.length;
  const typesAt = nextAt + 1 + decoded.nextHash.length;
  switch (draw.below(7)) {
    case 0:
      return { label: "nsec3-algorithm", rdata: withOctet(rdata, 0, draw.pick([0, 2, 6]) ?? 2) };
    case 1:
      return { label: "nsec3-opt-out", rdata: withOctet(rdata, 1, rdata.readUInt8(1) ^ 1) };
    case 2:
      return { label: "nsec3-flags", rdata: withOctet(rdata, 1, rdata.readUInt8(1) ^ 2) };
    case 3: {
      const changed = Buffer.from(rdata);
      changed.writeUInt16BE(draw.pick(ITERATIONS) ?? 1, 2);
      return { label: "nsec3-iterations", rdata: changed };
    }
    case 4: {
      const salt = Buffer.from([draw.below(256), draw.below(256)]);
      return {
        label: "nsec3-salt",
        rdata: Buffer.concat([rdata.subarray(0, saltAt), Buffer.of(salt.length), salt, rdata.subarray(nextAt)]),
      };
    }
    case 5: {
      const at = nextAt + 1 + draw.below(decoded.nextHash.length);
      return { label: "nsec3-next", rdata: withOctet(rdata, at, draw.below(256)) };
    }
    default:
      return {
        label: "nsec3-types",
        rdata: Buffer.concat([rdata.subarray(0, typesAt), typeBitmap(changedTypes(decoded.types, draw))]),
      };
  }
};

const dnskey: Change = (rdata, draw) => {
  switch (draw.below(4)) {
    case 0:
      return { label: "dnskey-revoke", rdata: withOctet(rdata, 1, rdata.readUInt8(1) ^ 0x80) };
    case 1:
      return { label: "dnskey-zone-flag", rdata: withOctet(rdata, 0, rdata.readUInt8(0) ^ 1) };
    case 2:
      return { label: "dnskey-protocol", rdata: withOctet(rdata, 2, draw.pick([0, 1, 255]) ?? 0) };
    default:
      return { label: "dnskey-algorithm", rdata: withOctet(rdata, 3, draw.pick([8, 10, 13, 14, 15, 16, 200, 253]) ?? 200) };
  }
};

const ds: Change = (rdata, draw) => {
  switch (draw.below(4)) {
    case 0:
      return { label: "ds-tag", rdata: withOctet(rdata, 1, rdata.readUInt8(1) ^ 1) };
    case 1:
      return { label: "ds-algorithm", rdata: withOctet(rdata, 2, draw.pick([8, 13, 15, 200, 253]) ?? 200) };
    case 2:
      return { label: "ds-digest-type", rdata: withOctet(rdata, 3, draw.pick([0, 2, 4, 200]) ?? 200) };
    default:
      return { label: "ds-digest", rdata: withOctet(rdata, 4 + draw.below(rdata.length - 4), draw.below(256)) };
  }
};

const target: Change = (_, draw, names) => ({ label: "target", rdata: nameToWire(relatedName(draw, names)) });

const BY_TYPE: ReadonlyMap<number, Change> = new Map([
  [RR_TYPE.NSEC, nsec],
  [RR_TYPE.NSEC3, nsec3],
  [RR_TYPE.DNSKEY, dnskey],
  [RR_TYPE.DS, ds],
  [RR_TYPE.CNAME, target],
  [RR_TYPE.DNAME, target],
]);

/** Another value in one field; one bit where the type has no fields of interest. */
export function changedField(record: ResourceRecord, draw: Draw, names: readonly DomainName[]): RdataChange | undefined {
  const change = BY_TYPE.get(record.type);
  if (change !== undefined) return change(record.rdata, draw, names);
  return record.type === RR_TYPE.A || record.type === RR_TYPE.AAAA || record.type === RR_TYPE.TLSA
    ? { label: "data", rdata: flippedBit(record.rdata, draw) }
    : undefined;
}

/** Octets cut off, or added. */
export function resized(record: ResourceRecord, draw: Draw): RdataChange {
  const { rdata } = record;
  if (draw.chance(0.5)) return { label: "truncated", rdata: rdata.subarray(0, draw.below(rdata.length)) };
  return { label: "extended", rdata: Buffer.concat([rdata, Buffer.alloc(1 + draw.below(4), draw.below(256))]) };
}
