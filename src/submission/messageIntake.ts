import type { Envelope, MessageId, RecipientRequest } from "../spool/message.ts";
import type { MessageWriter } from "../spool/store.ts";
import { HeaderSection } from "./headerSection.ts";
import { type ContentFault, MailDataDecoder } from "./mailDataDecoder.ts";
import { type Rejection, storeRejection } from "./rejection.ts";
import { type Arrival, traceHeaders } from "./traceHeaders.ts";
import { type Transaction, tooBig } from "./transaction.ts";

/** One message's content on its way from the client to the spool: decoded, checked, its trace headers put on top, written piece by piece. */
export type IntakeOptions = {
  id: MessageId;
  hostname: string;
  transaction: Transaction;
  arrival: Arrival;
  writer: MessageWriter;
  maxMessageBytes: number;
  /** Milliseconds since the epoch. */
  now: number;
};

/** `over`: the end of mail data was seen, `rest` came behind it. `overrun`: too much came after the refusal was certain. */
export type Received = { kind: "more"; written?: Promise<void> } | { kind: "over"; rest: Buffer } | { kind: "overrun" };

export type IntakeResult = { kind: "stored"; envelope: Envelope } | { kind: "rejected"; rejection: Rejection; error?: unknown };

/** A header section that is larger is refused: it is held in memory until it ends. */
const MAX_HEADER_BYTES = 256 * 1024;
/** Received fields before a loop is assumed. RFC 5321 §6.3 would allow 100 and more; mail of applications has passed few hosts, as in Postfix 50 are enough. */
const MAX_RECEIVED_FIELDS = 50;

const FAULT_TEXT: Record<ContentFault["kind"], string> = {
  "bare-cr": "has a CR that is not part of CRLF",
  "bare-lf": "ends with LF instead of CRLF",
  nul: "contains a NUL",
};

export class MessageIntake {
  readonly #options: IntakeOptions;
  readonly #decoder = new MailDataDecoder();
  readonly #header = new HeaderSection(MAX_HEADER_BYTES);
  #headerOpen = true;
  #size = 0;
  #added = 0;
  #refusal: { rejection: Rejection; error?: unknown } | undefined;
  #written: Promise<void> = Promise.resolve();

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** Takes the next octets of the connection. What was written may have to be waited for before more comes. */
  receive(chunk: Buffer): Received {
    const { content, end } = this.#decoder.decode(chunk);
    this.#size += content.length;
    this.#check();
    const written = content.length === 0 ? undefined : this.#take(content);
    if (end !== undefined) return { kind: "over", rest: chunk.subarray(end) };
    if (this.#refusal !== undefined && this.#size > 2 * this.#options.maxMessageBytes) return { kind: "overrun" };
    return { kind: "more", ...(written === undefined ? {} : { written }) };
  }

  /** After the end of mail data: stored durably, or refused and nothing of it kept. */
  async finish(): Promise<IntakeResult> {
    if (this.#headerOpen && this.#refusal === undefined) await this.#closeHeader();
    await this.#written;
    if (this.#refusal === undefined) {
      const envelope = this.#envelope();
      const recipients = [...this.#options.transaction.recipients.values()];
      try {
        await this.#options.writer.commit(envelope, nonEmpty(recipients));
        return { kind: "stored", envelope: { ...envelope, size: this.#size + this.#added } };
      } catch (error) {
        this.#fail(error);
      }
    }
    return { kind: "rejected", ...(this.#refusal ?? { rejection: storeRejection(undefined) }) };
  }

  abort(): void {
    this.#options.writer.abort();
  }

  #check(): void {
    if (this.#refusal !== undefined) return;
    const { fault } = this.#decoder;
    const { maxMessageBytes } = this.#options;
    if (fault !== undefined) {
      // RFC 5321 §2.3.8: CR and LF only as CRLF; RFC 6152 §3, RFC 5322 §2.3: no NUL. Repaired content would no longer be what was signed.
      const text = `line ${fault.line} of the message ${FAULT_TEXT[fault.kind]}`;
      this.#refuse({ reason: fault.kind === "nul" ? "nul" : "line-ends", code: 554, status: "5.6.0", text });
    } else if (this.#size > maxMessageBytes) {
      this.#refuse(tooBig(maxMessageBytes).rejection);
    }
  }

  #take(content: Buffer): Promise<void> | undefined {
    if (this.#refusal !== undefined) return undefined;
    if (!this.#headerOpen) return this.#write(content);
    const state = this.#header.push(content);
    if (this.#header.facts.received > MAX_RECEIVED_FIELDS) {
      // RFC 5321 §6.3.
      const text = `the message has passed more than ${MAX_RECEIVED_FIELDS} hosts: a mail loop`;
      this.#refuse({ reason: "loop", code: 554, status: "5.4.6", text });
    } else if (state === "too-big") {
      const text = `the header section is larger than ${MAX_HEADER_BYTES} octets`;
      this.#refuse({ reason: "header-too-big", code: 552, status: "5.3.4", text });
    } else if (state === "complete") {
      return this.#closeHeader();
    }
    return undefined;
  }

  #closeHeader(): Promise<void> {
    const { arrival, hostname, id, now, transaction } = this.#options;
    const { absent, hasDate, hasMessageId } = this.#header.facts;
    const recipients = [...transaction.recipients.values()].map(({ address }) => address);
    const added = Buffer.from(
      traceHeaders({ arrival, hostname, id, recipients, now, hasDate, hasMessageId, headerAbsent: absent }),
    );
    this.#headerOpen = false;
    this.#added = added.length;
    return this.#write(added, this.#header.bytes);
  }

  /** Never rejects: a failure becomes the refusal that `finish` gives. */
  #write(...pieces: readonly Buffer[]): Promise<void> {
    this.#written = this.#writeInOrder(pieces).catch((error: unknown) => this.#fail(error));
    return this.#written;
  }

  async #writeInOrder(pieces: readonly Buffer[]): Promise<void> {
    for (const piece of pieces) await this.#options.writer.write(piece);
  }

  #fail(error: unknown): void {
    this.#refusal ??= { rejection: storeRejection(error), error };
  }

  #refuse(rejection: Rejection): void {
    this.#refusal = { rejection };
    this.#options.writer.abort();
  }

  #envelope(): Omit<Envelope, "size"> {
    const { id, now, transaction } = this.#options;
    const { sender, envelopeId, returnContent } = transaction;
    const addresses = [sender, ...[...transaction.recipients.values()].map(({ address }) => address)];
    const { eightBit } = this.#decoder;
    return {
      id,
      sender,
      acceptedAt: now,
      // RFC 6531 §3.4: not to be asked for when neither envelope nor message needs it, for the next host may not have it.
      smtpUtf8: transaction.smtpUtf8 && (eightBit || addresses.some((address) => /[^\0-\x7f]/.test(address))),
      // What the content is, not what BODY said: applications send 8-bit content undeclared.
      eightBitMime: eightBit,
      requireTls: transaction.requireTls,
      // RFC 8689 §4.1: ignored where REQUIRETLS is given.
      tlsRequiredNo: this.#header.facts.tlsRequiredNo && !transaction.requireTls,
      ...(envelopeId === undefined ? {} : { envelopeId }),
      ...(returnContent === undefined ? {} : { returnContent }),
    };
  }
}

function nonEmpty(recipients: readonly RecipientRequest[]): readonly [RecipientRequest, ...RecipientRequest[]] {
  const [first, ...rest] = recipients;
  if (first === undefined) throw new Error("mail data without a recipient");
  return [first, ...rest];
}
