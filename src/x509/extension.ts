import {
  BIT_STRING,
  BOOLEAN,
  booleanValue,
  context,
  type DerElement,
  DerError,
  DerSequence,
  derElement,
  derElements,
  INTEGER,
  OBJECT_IDENTIFIER,
  OCTET_STRING,
  objectIdentifier,
  SEQUENCE,
  smallInteger,
} from "./der.ts";
import { type GeneralName, readGeneralName } from "./generalName.ts";

/** The extensions that path validation reads (RFC 5280 §4.2.1); `undefined` where the certificate does not have one. */
export type Extensions = {
  basicConstraints: BasicConstraints | undefined;
  keyUsage: readonly KeyUsage[] | undefined;
  extendedKeyUsage: readonly string[] | undefined;
  subjectAlternativeNames: readonly GeneralName[] | undefined;
  nameConstraints: NameConstraints | undefined;
  /** Object identifiers of critical extensions that nothing here processes (RFC 5280 §4.2: the certificate MUST be rejected). */
  unknownCritical: readonly string[];
};

export type BasicConstraints = { ca: boolean; pathLength: number | undefined };

/** RFC 5280 §4.2.1.10; `distances`: whether `minimum` is something else than 0, or there is a `maximum`: neither may be. */
export type GeneralSubtree = { base: GeneralName; distances: "default" | "given" };
export type NameConstraints = { permitted: readonly GeneralSubtree[]; excluded: readonly GeneralSubtree[] };

/** In the order of their bits (RFC 5280 §4.2.1.3). */
const KEY_USAGES = [
  "digitalSignature",
  "nonRepudiation",
  "keyEncipherment",
  "dataEncipherment",
  "keyAgreement",
  "keyCertSign",
  "cRLSign",
  "encipherOnly",
  "decipherOnly",
] as const;
export type KeyUsage = (typeof KEY_USAGES)[number];

export const NO_EXTENSIONS: Extensions = {
  basicConstraints: undefined,
  keyUsage: undefined,
  extendedKeyUsage: undefined,
  subjectAlternativeNames: undefined,
  nameConstraints: undefined,
  unknownCritical: [],
};

const KEY_USAGE = "2.5.29.15";
const SUBJECT_ALTERNATIVE_NAME = "2.5.29.17";
const BASIC_CONSTRAINTS = "2.5.29.19";
const NAME_CONSTRAINTS = "2.5.29.30";
const EXTENDED_KEY_USAGE = "2.5.29.37";

/**
 * Critical or not, these change nothing while no policy is demanded (RFC 5280 §6.1.1: any-policy, no initial explicit policy) and no
 * CRL is read. policyConstraints can demand one, so it is not among them.
 */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  "2.5.29.31", // cRLDistributionPoints
  "2.5.29.32", // certificatePolicies
  "2.5.29.33", // policyMappings
  "2.5.29.54", // inhibitAnyPolicy
]);

function readBasicConstraints(value: Buffer): BasicConstraints {
  const fields = new DerSequence(derElement(value, SEQUENCE).value);
  const ca = fields.optional(BOOLEAN);
  const pathLength = fields.optional(INTEGER);
  fields.end();
  const isAuthority = ca !== undefined && booleanValue(ca.value);
  const limit = pathLength === undefined ? undefined : smallInteger(pathLength.value);
  // RFC 5280 §4.2.1.9: meaningful only if cA is asserted. Recipes for home-made servers have it beside CA:FALSE all the same.
  return { ca: isAuthority, pathLength: isAuthority ? limit : undefined };
}

function readKeyUsage(value: Buffer): readonly KeyUsage[] {
  const bits = derElement(value, BIT_STRING).value;
  if (bits.length === 0 || bits.readUInt8(0) > 7) throw new DerError("key usage is no bit string");
  return KEY_USAGES.filter((_, bit) => ((bits[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0);
}

function readExtendedKeyUsage(value: Buffer): readonly string[] {
  return derElements(derElement(value, SEQUENCE).value).map((element) => {
    if (element.tag !== OBJECT_IDENTIFIER) throw new DerError("extended key usage is no object identifier");
    return objectIdentifier(element.value);
  });
}

function readSubtrees(content: Buffer | undefined): readonly GeneralSubtree[] {
  if (content === undefined) return [];
  return derElements(content).map((subtree) => {
    if (subtree.tag !== SEQUENCE) throw new DerError("a name constraint is not a SEQUENCE");
    const [base, ...distances] = derElements(subtree.value);
    if (base === undefined) throw new DerError("a name constraint without a name");
    return { base: readGeneralName(base), distances: distances.every(isMinimumZero) ? "default" : "given" };
  });
}

/** DER leaves a default out; some CAs write it all the same. */
function isMinimumZero({ tag, value }: DerElement): boolean {
  return tag === context(0, "primitive") && value.length === 1 && value[0] === 0;
}

function readNameConstraints(value: Buffer): NameConstraints {
  const fields = new DerSequence(derElement(value, SEQUENCE).value);
  const permitted = readSubtrees(fields.optional(context(0, "constructed"))?.value);
  const excluded = readSubtrees(fields.optional(context(1, "constructed"))?.value);
  fields.end();
  return { permitted, excluded };
}

type RawExtension = { identifier: string; critical: boolean; value: Buffer };

function readExtension(content: Buffer): RawExtension {
  const fields = new DerSequence(content);
  const identifier = objectIdentifier(fields.required(OBJECT_IDENTIFIER).value);
  const critical = fields.optional(BOOLEAN);
  const value = fields.required(OCTET_STRING).value;
  fields.end();
  return { identifier, critical: critical !== undefined && booleanValue(critical.value), value };
}

function withExtension(extensions: Extensions, { identifier, critical, value }: RawExtension): Extensions {
  switch (identifier) {
    case BASIC_CONSTRAINTS:
      return { ...extensions, basicConstraints: readBasicConstraints(value) };
    case KEY_USAGE:
      return { ...extensions, keyUsage: readKeyUsage(value) };
    case EXTENDED_KEY_USAGE:
      return { ...extensions, extendedKeyUsage: readExtendedKeyUsage(value) };
    case SUBJECT_ALTERNATIVE_NAME:
      return { ...extensions, subjectAlternativeNames: derElements(derElement(value, SEQUENCE).value).map(readGeneralName) };
    case NAME_CONSTRAINTS:
      return { ...extensions, nameConstraints: readNameConstraints(value) };
    default:
      if (!critical || WITHOUT_EFFECT.has(identifier)) return extensions;
      return { ...extensions, unknownCritical: [...extensions.unknownCritical, identifier] };
  }
}

/** Content of the `[3]` field of TBSCertificate; throws `DerError`. */
export function readExtensions(content: Buffer): Extensions {
  const seen = new Set<string>();
  let extensions = NO_EXTENSIONS;
  for (const element of derElements(derElement(content, SEQUENCE).value)) {
    if (element.tag !== SEQUENCE) throw new DerError("an extension is not a SEQUENCE");
    const extension = readExtension(element.value);
    // RFC 5280 §4.2: not more than one instance of a particular extension.
    if (seen.has(extension.identifier)) throw new DerError(`extension ${extension.identifier} occurs twice`);
    seen.add(extension.identifier);
    extensions = withExtension(extensions, extension);
  }
  return extensions;
}
