import type { Certificate } from "./certificate.ts";
import { isPresentableName, presentedIdentifiers } from "./certificateName.ts";
import { DerError, orMalformed } from "./der.ts";
import type { GeneralSubtree, NameConstraints } from "./extension.ts";
import { type GeneralName, type NameAttribute, readDistinguishedNames } from "./generalName.ts";

/**
 * Name constraints (RFC 5280 §4.2.1.10): what names a CA may certify below itself. Permitted: every name of a type that has a permitted
 * subtree lies in one of them. Excluded: no name lies in one of these.
 */

const EMAIL_ADDRESS = "1.2.840.113549.1.9.1";
const WILDCARD = "*.";

/**
 * What holding the names of one certificate against the constraints of one CA may cost. A peer chooses both, and each name meets each
 * subtree: 250 names of 20 octets and 200 subtrees as long cost less than this, a chain of 60 KB made for it costs hundreds of times as much.
 */
const MAX_COMPARED_OCTETS = 2 ** 22;
/** What a comparison costs however short the name. */
const LEAST_OCTETS = 16;
/** Of directory names, which are read into their parts for every comparison. */
const DIRECTORY_NAME_FACTOR = 8;

/** Whether `host` is `base` or below it (no dot before `base`), or strictly below it (dot). "" holds every name. */
function isHostWithin(host: string, base: string): boolean {
  if (base === "") return true;
  if (base.startsWith(".")) return host.length > base.length && host.endsWith(base);
  return host === base || host.endsWith(`.${base}`);
}

/** A wildcard name stands for more than its text: excluded is also what it could be matched with, one label below its parent. */
function isDnsNameWithin(name: string, base: string, list: "permitted" | "excluded"): boolean {
  if (isHostWithin(name, base)) return true;
  if (list === "permitted" || !name.startsWith(WILDCARD)) return false;
  const parent = name.slice(1);
  return base.endsWith(parent) && base.indexOf(".") === base.length - parent.length && base.length > parent.length;
}

/** A mailbox, all mailboxes of a host, or (leading dot) of a domain; the local part keeps its case. */
function isMailboxWithin(mailbox: string, base: string): boolean {
  const at = mailbox.lastIndexOf("@");
  if (at < 0) throw new DerError("rfc822Name without @");
  const host = mailbox.slice(at + 1).toLowerCase();
  const baseAt = base.lastIndexOf("@");
  const baseHost = base.slice(baseAt + 1).toLowerCase();
  if (baseAt > 0) return host === baseHost && mailbox.slice(0, at) === base.slice(0, baseAt);
  return baseHost === "" || (baseHost.startsWith(".") ? isHostWithin(host, baseHost) : host === baseHost);
}

/** RFC 5280 §4.2.1.10: the constraint is on the host; a URI without one cannot be judged. */
function isUriWithin(uri: string, base: string): boolean {
  const match = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#:@[\]]+)/i.exec(uri);
  if (match?.[1] === undefined) throw new DerError("URI without a host");
  const host = match[1].toLowerCase();
  return base.startsWith(".") ? isHostWithin(host, base) : host === base;
}

function isAddressWithin(address: Buffer, base: Buffer): boolean {
  if (base.length !== 8 && base.length !== 32) throw new DerError("address constraint of a wrong length");
  if (base.length !== address.length * 2) return false;
  return address.every((octet, i) => {
    const mask = base.readUInt8(address.length + i);
    return (octet & mask) === (base.readUInt8(i) & mask);
  });
}

/** RFC 5280 §7.1, as far as names in use need it: case and runs of white space do not count. */
function comparable(attributes: readonly NameAttribute[]): string {
  const parts = attributes.map(({ type, text }) => `${type}=${text.trim().replace(/\s+/g, " ").toLowerCase()}`);
  return JSON.stringify(parts.sort());
}

function isDirectoryNameWithin(name: Buffer, base: Buffer): boolean {
  const names = readDistinguishedNames(name).map(comparable);
  return readDistinguishedNames(base)
    .map(comparable)
    .every((part, i) => part === names[i]);
}

function isWithin(name: GeneralName, { base, distances }: GeneralSubtree, list: "permitted" | "excluded"): boolean {
  // RFC 5280 §4.2.1.10: minimum is always 0, maximum always absent.
  if (distances === "given") throw new DerError("name constraint with a minimum or maximum");
  if (name.kind === "dNSName" && base.kind === "dNSName")
    return isDnsNameWithin(name.text.toLowerCase(), base.text.toLowerCase(), list);
  if (name.kind === "rfc822Name" && base.kind === "rfc822Name") return isMailboxWithin(name.text, base.text);
  if (name.kind === "uniformResourceIdentifier" && base.kind === "uniformResourceIdentifier")
    return isUriWithin(name.text, base.text.toLowerCase());
  if (name.kind === "iPAddress" && base.kind === "iPAddress") return isAddressWithin(name.octets, base.octets);
  if (name.kind === "directoryName" && base.kind === "directoryName") return isDirectoryNameWithin(name.name, base.name);
  throw new DerError("name constraint of a type that is not supported");
}

function isSameType(name: GeneralName, base: GeneralName): boolean {
  if (name.kind !== base.kind) return false;
  return name.kind !== "other" || base.kind !== "other" || name.tagNumber === base.tagNumber;
}

function nameText(name: GeneralName): string {
  switch (name.kind) {
    case "dNSName":
    case "rfc822Name":
    case "uniformResourceIdentifier":
      return JSON.stringify(name.text);
    case "iPAddress":
      return `address ${name.octets.toString("hex")}`;
    case "directoryName":
      return "its subject";
    case "other":
      return `name of type ${name.tagNumber}`;
    default:
      return name satisfies never;
  }
}

function violationOf(name: GeneralName, constraints: NameConstraints): string | undefined {
  const permitted = constraints.permitted.filter(({ base }) => isSameType(name, base));
  if (permitted.length > 0 && !permitted.some((subtree) => isWithin(name, subtree, "permitted")))
    return `${nameText(name)} is outside what its issuer may certify`;
  const excluded = constraints.excluded.filter(({ base }) => isSameType(name, base));
  if (excluded.some((subtree) => isWithin(name, subtree, "excluded")))
    return `${nameText(name)} is excluded from what its issuer may certify`;
  return undefined;
}

/** All that is constrained: subject, e-mail addresses in it, alternative names, and for the server itself the CN that is used as a name. */
function constrainedNames(certificate: Certificate, role: "server" | "authority"): readonly GeneralName[] {
  const { extensions, subject } = certificate;
  const names: GeneralName[] = "kind" in extensions ? [] : [...(extensions.subjectAlternativeNames ?? [])];
  const attributes = readDistinguishedNames(subject).flat();
  if (attributes.length > 0) names.push({ kind: "directoryName", name: subject });
  for (const { type, text } of attributes) if (type === EMAIL_ADDRESS) names.push({ kind: "rfc822Name", text });
  if (role === "server" && !names.some((name) => name.kind === "dNSName")) {
    // RFC 7672 §3.2.3 lets a common name stand in for a DNS-ID; then it is constrained like one.
    for (const text of presentedIdentifiers(certificate)) if (isPresentableName(text)) names.push({ kind: "dNSName", text });
  }
  return names;
}

function costOf(name: GeneralName): number {
  switch (name.kind) {
    case "dNSName":
    case "rfc822Name":
    case "uniformResourceIdentifier":
      return LEAST_OCTETS + name.text.length;
    case "directoryName":
      return LEAST_OCTETS + DIRECTORY_NAME_FACTOR * name.name.length;
    case "iPAddress":
    case "other":
      return LEAST_OCTETS;
    default:
      return name satisfies never;
  }
}

function isTooCostly(names: readonly GeneralName[], { permitted, excluded }: NameConstraints): boolean {
  const bases = [...permitted, ...excluded].map(({ base }) => base);
  const sum = (all: readonly GeneralName[]): number => all.reduce((octets, name) => octets + costOf(name), 0);
  return sum(names) * bases.length + sum(bases) * names.length > MAX_COMPARED_OCTETS;
}

/** Why the names of `certificate` break the constraints of a CA above it (RFC 5280 §6.1.3 (b), (c)); undefined when they do not. */
function constraintViolation(
  certificate: Certificate,
  role: "server" | "authority",
  constraints: NameConstraints,
): string | undefined {
  const found = orMalformed(() => {
    const names = constrainedNames(certificate, role);
    if (isTooCostly(names, constraints)) return `${names.length} names are too many to hold against its issuer's constraints`;
    for (const name of names) {
      const violation = violationOf(name, constraints);
      if (violation !== undefined) return violation;
    }
    return undefined;
  });
  return typeof found === "object" ? found.because : found;
}

/**
 * What was found out in one judgement: the same certificates stand in many of its paths, and each pair needs comparing only once. The server's
 * certificate stands at the foot of every path and nowhere else, so its role goes without saying.
 */
export class ConstraintVerdicts {
  readonly #known = new Map<Certificate, Map<NameConstraints, string | undefined>>();
  #compared = 0;

  /** Pairs that were compared. */
  get compared(): number {
    return this.#compared;
  }

  /** As `constraintViolation`. */
  violation(certificate: Certificate, role: "server" | "authority", constraints: NameConstraints): string | undefined {
    const verdicts = this.#known.get(certificate) ?? new Map<NameConstraints, string | undefined>();
    this.#known.set(certificate, verdicts);
    if (verdicts.has(constraints)) return verdicts.get(constraints);
    this.#compared += 1;
    const violation = constraintViolation(certificate, role, constraints);
    verdicts.set(constraints, violation);
    return violation;
  }
}
