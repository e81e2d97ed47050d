import {
  context,
  type DerElement,
  DerError,
  DerSequence,
  derElement,
  derElements,
  OBJECT_IDENTIFIER,
  objectIdentifier,
  SEQUENCE,
  SET,
} from "./der.ts";

/**
 * GeneralName (RFC 5280 §4.2.1.6), read from the DER itself: the text that libraries make of it has been forged with quotes and
 * commas inside a name. Strings are octets in latin1, so that nothing is lost or normalised; NUL and all.
 */
export type GeneralName =
  | { kind: "dNSName" | "rfc822Name" | "uniformResourceIdentifier"; text: string }
  /** `name` is the DER of a Name. */
  | { kind: "directoryName"; name: Buffer }
  /** 4 or 16 octets; in name constraints (RFC 5280 §4.2.1.10) twice as many: address and mask. */
  | { kind: "iPAddress"; octets: Buffer }
  /** otherName, x400Address, ediPartyName, registeredID: told apart by their context tag number only. */
  | { kind: "other"; tagNumber: number };

const TAG_NUMBER = 0x1f;
const COMMON_NAME = "2.5.4.3";

/** One GeneralName; throws `DerError`. */
export function readGeneralName(element: DerElement): GeneralName {
  switch (element.tag) {
    case context(1, "primitive"):
      return { kind: "rfc822Name", text: element.value.toString("latin1") };
    case context(2, "primitive"):
      return { kind: "dNSName", text: element.value.toString("latin1") };
    case context(4, "constructed"):
      return { kind: "directoryName", name: derElement(element.value, SEQUENCE).raw };
    case context(6, "primitive"):
      return { kind: "uniformResourceIdentifier", text: element.value.toString("latin1") };
    case context(7, "primitive"):
      return { kind: "iPAddress", octets: element.value };
    default:
      if (element.tag < 0x80) throw new DerError(`tag ${element.tag} is no GeneralName`);
      return { kind: "other", tagNumber: element.tag & TAG_NUMBER };
  }
}

/** One attribute of a Name: its type, and its value in the text that its string type means. */
export type NameAttribute = { type: string; text: string };

const UTF8_STRING = 0x0c;
const BMP_STRING = 0x1e;
const UNIVERSAL_STRING = 0x1c;
const MAX_CHARACTER = 0x10ffff;

function stringText(element: DerElement): string {
  switch (element.tag) {
    case UTF8_STRING:
      return element.value.toString("utf8");
    case BMP_STRING:
      if (element.value.length % 2 !== 0) throw new DerError("BMPString of odd length");
      return Buffer.from(element.value).swap16().toString("utf16le");
    case UNIVERSAL_STRING:
      return universalText(element.value);
    default:
      return element.value.toString("latin1");
  }
}

/** UCS-4 (X.690 §8.23.8). */
function universalText(octets: Buffer): string {
  if (octets.length % 4 !== 0) throw new DerError("UniversalString that is not of whole characters");
  const characters = Array.from({ length: octets.length / 4 }, (_, i) => octets.readUInt32BE(4 * i));
  if (characters.some((character) => character > MAX_CHARACTER)) throw new DerError("UniversalString beyond Unicode");
  return characters.map((character) => String.fromCodePoint(character)).join("");
}

/** The relative distinguished names of a Name (RFC 5280 §4.1.2.4), most significant first; throws `DerError`. */
export function readDistinguishedNames(name: Buffer): readonly (readonly NameAttribute[])[] {
  return derElements(derElement(name, SEQUENCE).value).map((set) => {
    if (set.tag !== SET) throw new DerError("a relative distinguished name is not a SET");
    return derElements(set.value).map((pair) => {
      if (pair.tag !== SEQUENCE) throw new DerError("an attribute is not a SEQUENCE");
      const parts = new DerSequence(pair.value);
      const type = objectIdentifier(parts.required(OBJECT_IDENTIFIER).value);
      const [value, ...more] = derElements(parts.rest());
      if (value === undefined || more.length > 0) throw new DerError("an attribute has not one value");
      return { type, text: stringText(value) };
    });
  });
}

/** The common names in a Name, in their order; throws `DerError`. */
export function readCommonNames(name: Buffer): readonly string[] {
  const attributes = readDistinguishedNames(name).flat();
  return attributes.filter((attribute) => attribute.type === COMMON_NAME).map((attribute) => attribute.text);
}
