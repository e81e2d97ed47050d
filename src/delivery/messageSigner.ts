import { type KeyObject, sign } from "node:crypto";
import { promisify } from "node:util";
import { authorOf, headerFields, keysFor, type SigningKey } from "../dkim/author.ts";
import { RelaxedBodyHash } from "../dkim/canonicalForm.ts";
import { coveredFields, FIELDS_OF_MAIL } from "../dkim/coveredFields.ts";
import { signedField, unsignedField } from "../dkim/signature.ts";
import type { DkimKey } from "../dkim/signingKey.ts";
import type { Envelope, MessageId } from "../spool/message.ts";

/**
 * DKIM signatures (RFC 6376) of what goes out: fields to be put in front of the content. What is stored stays as it was submitted; what is sent is
 * the same at every attempt, since the signatures are of the time of acceptance and both algorithms are deterministic.
 */
export type MessageSignerOptions = {
  /** Those in use; another list when one of them has changed. */
  keys: () => readonly SigningKey[];
  /** Nobody can tell for whom the message would be signed. Once for each message, as long as it is remembered. */
  onUnsigned: (id: MessageId, reason: string) => void;
};

type Content = () => AsyncIterable<Buffer>;
type Finding = { kind: "signed"; fields: Buffer } | { kind: "unsigned"; reason: string };

/** Messages whose signatures are remembered, for further destinations and attempts: 1 to 2 KiB each. */
const MAX_REMEMBERED = 1000;
/** Submission takes none that is half as long. */
const MAX_HEADER_OCTETS = 1024 * 1024;
/** Names in h=: a header section with more fields to cover is no mail for people. */
const MAX_COVERED = 200;
const NOTHING = Buffer.alloc(0);
const END_OF_HEADER = "\r\n\r\n";

/** In a thread of its own. */
const signature: (digest: string | null, input: Buffer, key: KeyObject) => Promise<Buffer> = promisify(sign);

export class MessageSigner {
  readonly #options: MessageSignerOptions;
  readonly #remembered = new Map<MessageId, Promise<Buffer>>();
  #keys: readonly SigningKey[] = [];

  constructor(options: MessageSignerOptions) {
    this.#options = options;
  }

  /** The fields with their line ends; empty where no key is for the author's domain. Rejects when the content cannot be read. */
  fieldsFor(envelope: Envelope, content: Content): Promise<Buffer> {
    const keys = this.#options.keys();
    if (keys !== this.#keys) this.#remembered.clear();
    this.#keys = keys;
    // A report is signed when it is made (RFC 8460 §3).
    if (keys.length === 0 || envelope.purpose === "tls-report") return Promise.resolve(NOTHING);
    const { id } = envelope;
    const known = this.#remembered.get(id);
    if (known !== undefined) return known;
    const fields = this.#sign(envelope, content, keys);
    this.#remember(id, fields);
    return fields;
  }

  async #sign({ id, acceptedAt }: Envelope, content: Content, keys: readonly SigningKey[]): Promise<Buffer> {
    const finding = await signedFields(content(), keys, acceptedAt);
    if (finding.kind === "signed") return finding.fields;
    this.#options.onUnsigned(id, finding.reason);
    return NOTHING;
  }

  #remember(id: MessageId, fields: Promise<Buffer>): void {
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size >= MAX_REMEMBERED && oldest !== undefined) this.#remembered.delete(oldest);
    this.#remembered.set(id, fields);
    // Whoever waits for it is told; the next one reads the content again.
    fields.catch(() => {
      if (this.#remembered.get(id) === fields) this.#remembered.delete(id);
    });
  }
}

/** Reads the header section, and the body only where it is to be signed. */
async function signedFields(content: AsyncIterable<Buffer>, keys: readonly SigningKey[], signedAt: number): Promise<Finding> {
  let header: Buffer = NOTHING;
  let signing: Extract<Chosen, { kind: "chosen" }> | undefined;
  const body = new RelaxedBodyHash();
  for await (const piece of content) {
    if (signing !== undefined) {
      body.update(piece);
      continue;
    }
    const scanned = Math.max(0, header.length - END_OF_HEADER.length);
    header = header.length === 0 ? piece : Buffer.concat([header, piece]);
    const end = header.indexOf(END_OF_HEADER, scanned, "latin1");
    if (end > MAX_HEADER_OCTETS || (end === -1 && header.length > MAX_HEADER_OCTETS))
      return { kind: "unsigned", reason: `its header has more than ${MAX_HEADER_OCTETS} octets` };
    if (end === -1) continue;
    const chosen = choose(header.toString("latin1", 0, end), keys);
    if (chosen.kind !== "chosen") return chosen.kind === "nobody" ? { kind: "signed", fields: NOTHING } : chosen;
    signing = chosen;
    body.update(header.subarray(end + END_OF_HEADER.length));
  }
  // Without an empty line there is no body (RFC 5322 §2.1).
  const chosen = signing ?? choose(header.toString("latin1").replace(/\r\n$/, ""), keys);
  if (chosen.kind !== "chosen") return chosen.kind === "nobody" ? { kind: "signed", fields: NOTHING } : chosen;
  const request = { covered: chosen.covered, bodyHash: body.digest(), signedAt };
  const fields = await Promise.all(
    chosen.keys.map(async (key) => {
      const unsigned = unsignedField(key, request);
      return signedField(unsigned, await signature(unsigned.digest, unsigned.input, key.key));
    }),
  );
  return { kind: "signed", fields: Buffer.from(fields.map((field) => `${field}\r\n`).join("")) };
}

type Chosen =
  | { kind: "chosen"; keys: readonly DkimKey[]; covered: ReturnType<typeof coveredFields> }
  | { kind: "nobody" }
  | { kind: "unsigned"; reason: string };

/** By the header section: who signs, and what is covered. */
function choose(section: string, keys: readonly SigningKey[]): Chosen {
  const header = headerFields(section);
  if (header.kind === "malformed") return { kind: "unsigned", reason: header.reason };
  const author = authorOf(header.fields);
  if (author.kind === "unclear") return { kind: "unsigned", reason: author.reason };
  const chosen = keysFor(author.domain, keys);
  if (chosen.length === 0) return { kind: "nobody" };
  const covered = coveredFields(header.fields, FIELDS_OF_MAIL);
  if (covered.names.length > MAX_COVERED)
    return { kind: "unsigned", reason: `${covered.names.length} of its header fields would have to be signed` };
  return { kind: "chosen", keys: chosen, covered };
}
