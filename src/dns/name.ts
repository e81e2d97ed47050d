/**
 * Domain names (RFC 1035 §3.1, RFC 4034 §6.1).
 *
 * A `DomainName` is text in one fixed form, so that `===` and `Map` keys compare names: absolute (trailing dot; the root is "."),
 * ASCII letters in lower case, a dot or backslash inside a label escaped as `\.` and `\\`, every octet outside 0x21-0x7e as `\DDD`
 * (RFC 1035 §5.1). Labels are octets, not characters: two names are equal only if their wire form is.
 */
declare const domainNameBrand: unique symbol;
export type DomainName = string & { readonly [domainNameBrand]: "DomainName" };

export const MAX_LABEL_OCTETS = 63;
export const MAX_NAME_OCTETS = 255;

export type NameError = { kind: "error"; reason: string };

const CASE_OFFSET = 0x20;
const DOT = 0x2e;
const BACKSLASH = 0x5c;

/** An ASCII letter in lower case; any other octet as it is. */
export function lowerOctet(octet: number): number {
  return octet >= 0x41 && octet <= 0x5a ? octet + CASE_OFFSET : octet;
}

function escapeLabel(label: Uint8Array): string {
  let text = "";
  for (const raw of label) {
    const octet = lowerOctet(raw);
    if (octet === DOT || octet === BACKSLASH) text += `\\${String.fromCharCode(octet)}`;
    else if (octet < 0x21 || octet > 0x7e) text += `\\${octet.toString().padStart(3, "0")}`;
    else text += String.fromCharCode(octet);
  }
  return text;
}

/** The name made of `labels` (leftmost first, without the root); an error when a length limit of RFC 1035 §2.3.4 is exceeded. */
export function nameFromLabels(labels: readonly Uint8Array[]): DomainName | NameError {
  let octets = 1;
  let text = "";
  for (const label of labels) {
    if (label.length === 0) return { kind: "error", reason: "empty label" };
    if (label.length > MAX_LABEL_OCTETS) return { kind: "error", reason: `label of ${label.length} octets (63 allowed)` };
    octets += label.length + 1;
    text += `${escapeLabel(label)}.`;
  }
  if (octets > MAX_NAME_OCTETS) return { kind: "error", reason: `name of ${octets} octets (255 allowed)` };
  return (text === "" ? "." : text) as DomainName;
}

/** The name in `wire`: uncompressed, root label included, its lengths already checked by the one who read it. */
export function nameFromWire(wire: Uint8Array): DomainName {
  const text = Buffer.from(wire);
  for (let at = 0; at < wire.length - 1; ) {
    const end = at + 1 + (wire[at] ?? 0);
    text[at] = DOT;
    for (at += 1; at < end; at += 1) {
      const octet = lowerOctet(wire[at] ?? 0);
      if (octet < 0x21 || octet > 0x7e || octet === DOT || octet === BACKSLASH) return escapedNameFromWire(wire);
      text[at] = octet;
    }
  }
  // What began each label now ends the one before; the root label gives the last dot.
  text[wire.length - 1] = DOT;
  return (wire.length === 1 ? "." : text.toString("latin1", 1)) as DomainName;
}

function escapedNameFromWire(wire: Uint8Array): DomainName {
  let text = "";
  for (let at = 0; at < wire.length - 1; at += 1 + (wire[at] ?? 0))
    text += `${escapeLabel(wire.subarray(at + 1, at + 1 + (wire[at] ?? 0)))}.`;
  return text as DomainName;
}

/** Reads one label of presentation text from `at`; returns its octets and where the text goes on. */
function readLabel(text: string, at: number): { octets: number[]; next: number } | NameError {
  const octets: number[] = [];
  let i = at;
  while (i < text.length && text[i] !== ".") {
    const code = text.charCodeAt(i);
    if (code > 0x7e || code < 0x21)
      return { kind: "error", reason: `character ${JSON.stringify(text[i])} must be escaped as \\DDD` };
    if (code !== 0x5c) {
      octets.push(code);
      i += 1;
      continue;
    }
    const digits = /^[0-9]{3}/.exec(text.slice(i + 1, i + 4));
    if (digits !== null) {
      const value = Number(digits[0]);
      if (value > 255) return { kind: "error", reason: `escape \\${digits[0]} is above 255` };
      octets.push(value);
      i += 4;
    } else if (/^[!-/:-~]/.test(text.slice(i + 1, i + 2))) {
      octets.push(text.charCodeAt(i + 1));
      i += 2;
    } else return { kind: "error", reason: "backslash without a character or three digits to escape" };
  }
  return { octets, next: i };
}

/** Nearly every name: labels of letters, digits, hyphens and underscores. Nothing is escaped in it, so characters are octets. */
const PLAIN_NAME = /^(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?$/;

/** Parses presentation text (RFC 1035 §5.1); with or without the trailing dot the name is taken as absolute. Not for U-labels. */
export function parseName(text: string): DomainName | NameError {
  // On the wire a label's length stands where its dot does here, and the root is one octet more; what is too long is told apart below.
  if (text.length < MAX_NAME_OCTETS - 1 && PLAIN_NAME.test(text)) {
    return (text.endsWith(".") ? text.toLowerCase() : `${text.toLowerCase()}.`) as DomainName;
  }
  if (text === ".") return "." as DomainName;
  if (text === "") return { kind: "error", reason: "empty name" };
  const labels: Uint8Array[] = [];
  let at = 0;
  while (at < text.length) {
    const label = readLabel(text, at);
    if ("kind" in label) return label;
    labels.push(Uint8Array.from(label.octets));
    at = label.next + 1;
  }
  return nameFromLabels(labels);
}

/** Whether `parseName` or `nameFromLabels` gave a name. */
export function isName(result: DomainName | NameError): result is DomainName {
  return typeof result === "string";
}

/** The name written in `text`, for constants and tests; throws where it is none. */
export function name(text: string): DomainName {
  const parsed = parseName(text);
  if (!isName(parsed)) throw new Error(`not a domain name: ${JSON.stringify(text)}: ${parsed.reason}`);
  return parsed;
}

export const ROOT: DomainName = name(".");

/** The labels as presentation text, leftmost first; [] for the root. */
export function labelsOf(name: DomainName): readonly string[] {
  if (name === ".") return [];
  if (!name.includes("\\")) return name.slice(0, -1).split(".");
  const labels: string[] = [];
  let start = 0;
  for (let i = 0; i < name.length; i += 1) {
    if (name[i] === "\\") i += 1;
    else if (name[i] === ".") {
      labels.push(name.slice(start, i));
      start = i + 1;
    }
  }
  return labels;
}

/** Octets of one label of presentation text. */
export function labelOctets(label: string): Buffer {
  if (!label.includes("\\")) return Buffer.from(label, "latin1");
  const read = readLabel(label, 0);
  if ("kind" in read) throw new Error(`not a label: ${label}`);
  return Buffer.from(read.octets);
}

/** Number of labels without the root and without a leading `*` (RFC 4034 §3.1.3 counts so). */
export function rrsigLabelCount(name: DomainName): number {
  const labels = labelsOf(name);
  return labels[0] === "*" ? labels.length - 1 : labels.length;
}

export function labelCount(name: DomainName): number {
  if (name === ".") return 0;
  if (name.includes("\\")) return labelsOf(name).length;
  let dots = 0;
  for (let at = name.indexOf("."); at !== -1; at = name.indexOf(".", at + 1)) dots += 1;
  return dots;
}

/** The name without its leftmost label; undefined for the root. */
export function parentOf(name: DomainName): DomainName | undefined {
  if (name === ".") return undefined;
  const rest = labelsOf(name).slice(1);
  return (rest.length === 0 ? "." : `${rest.join(".")}.`) as DomainName;
}

/** The last `count` labels of `name`; the name itself when it has no more. */
export function suffixOf(name: DomainName, count: number): DomainName {
  if (count <= 0 || name === ".") return "." as DomainName;
  if (!name.includes("\\")) {
    // Every dot ends a label: the one before the last `count` labels is where they begin.
    let dot = name.length - 1;
    for (let labels = 0; labels < count && dot !== -1; labels += 1) dot = name.lastIndexOf(".", dot - 1);
    return dot === -1 ? name : (name.slice(dot + 1) as DomainName);
  }
  const labels = labelsOf(name);
  if (count >= labels.length) return name;
  const rest = labels.slice(labels.length - count);
  return (rest.length === 0 ? "." : `${rest.join(".")}.`) as DomainName;
}

/** Whether `name` is `ancestor` or below it. */
export function isWithin(name: DomainName, ancestor: DomainName): boolean {
  if (ancestor === "." || name === ancestor) return true;
  const start = name.length - ancestor.length;
  if (start < 2 || name.charCodeAt(start - 1) !== DOT || !name.endsWith(ancestor)) return false;
  if (!name.includes("\\")) return true;
  // A suffix of text is a suffix of labels unless the dot before it is escaped.
  return suffixOf(name, labelCount(ancestor)) === ancestor;
}

/** `prefix` (presentation labels, leftmost first) put before `name`, as in `_25._tcp.<base>`; an error when too long. */
export function prefixed(prefix: readonly string[], name: DomainName): DomainName | NameError {
  return parseName(name === "." ? `${prefix.join(".")}.` : `${prefix.join(".")}.${name}`);
}

/** `*.` before a name. At most two octets longer than it: only for names that are an ancestor of another. */
export function wildcardOf(closestEncloser: DomainName): DomainName {
  return (closestEncloser === "." ? "*." : `*.${closestEncloser}`) as DomainName;
}

/** Uncompressed wire form, letters in lower case: the canonical form of RFC 4034 §6.2. */
export function nameToWire(name: DomainName): Buffer {
  const parts: Buffer[] = [];
  for (const label of labelsOf(name)) {
    const octets = labelOctets(label);
    parts.push(Buffer.from([octets.length]), octets);
  }
  parts.push(Buffer.from([0]));
  return Buffer.concat(parts);
}

/** Canonical DNS name order (RFC 4034 §6.1): negative, zero or positive as `a` sorts before, with or after `b`. */
export function compareCanonical(a: DomainName, b: DomainName): number {
  const left = labelsOf(a);
  const right = labelsOf(b);
  const shared = Math.min(left.length, right.length);
  for (let i = 1; i <= shared; i += 1) {
    const order = Buffer.compare(labelOctets(left[left.length - i] ?? ""), labelOctets(right[right.length - i] ?? ""));
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

/** The longest name that is an ancestor of (or equal to) both. */
export function commonAncestor(a: DomainName, b: DomainName): DomainName {
  const left = labelsOf(a);
  const right = labelsOf(b);
  let count = 0;
  while (count < left.length && count < right.length && left[left.length - 1 - count] === right[right.length - 1 - count])
    count += 1;
  return suffixOf(a, count);
}

/** As people and SMTP write it: without the trailing dot ("." stays). */
export function displayName(name: DomainName): string {
  return name === "." ? "." : name.slice(0, -1);
}
