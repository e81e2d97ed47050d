import { crc32 } from "node:zlib";
import type { Envelope, MessageId, NewMessage } from "./message.ts";
import { type MessageWriter, StoreError } from "./store.ts";
import { isUnknown } from "./storeFailure.ts";

/** Where the content of one message went: into memory, to be stored in the database, or into a file that is on disk by now. `checksum`: CRC-32. */
export type StoredContent = { size: number; checksum: number } & ({ content: Uint8Array } | { file: string });

/** Where large content goes while it comes in, and one such content; `name` is what its message's row refers to. */
export type BodyPlace = { create(name: string): Promise<BodySink> };
export type BodySink = {
  readonly name: string;
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when all of it is durable, or will be with the message's row. */
  finish(): Promise<void>;
  discard(): Promise<void>;
};

export type WriterOptions = {
  bodies: BodyPlace;
  newName: () => string;
  /** Content up to this size is kept in memory and stored in the database. */
  inlineBytes: number;
  /** Throws a StoreError when the disk has no room to spare. */
  requireSpace: () => void;
  store: (envelope: Envelope, recipients: NewMessage["recipients"], content: StoredContent) => Promise<void>;
};

/** Joined in memory of its own, so that it can be handed to the worker thread without another copy. */
function joined(chunks: readonly Uint8Array[], size: number): Uint8Array {
  // Not zeroed, for all of it is written below; "slow": not a part of the pool, which other buffers share.
  const bytes = Buffer.allocUnsafeSlow(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/**
 * Gathers content in memory; what outgrows `inlineBytes` goes on in a file.
 *
 *   writing --commit--> committing --stored--> over
 *      |                    |
 *      +----abort, failure--+--> over, nothing of the message stays
 *
 * A commit that has begun cannot be aborted: its outcome is decided by the disk.
 */
export class SpoolWriter implements MessageWriter {
  readonly #options: WriterOptions;
  #chunks: Uint8Array[] = [];
  #size = 0;
  #checksum = 0;
  #body: BodySink | undefined;
  #state: "writing" | "committing" | "over" = "writing";
  #failure: unknown;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  async write(chunk: Buffer): Promise<void> {
    this.#requireWriting();
    this.#size += chunk.length;
    this.#checksum = crc32(chunk, this.#checksum);
    if (this.#body === undefined) this.#chunks.push(chunk);
    if (this.#size <= this.#options.inlineBytes) return;
    try {
      if (this.#body === undefined) await this.#spill();
      else await this.#body.write(chunk);
    } catch (error) {
      this.#failure = error;
      this.#state = "over";
      await this.#discard();
      throw error;
    }
    // Aborted while this was written.
    if (this.#state === "over") await this.#discard();
    this.#requireWriting();
  }

  async commit(envelope: Omit<Envelope, "size">, recipients: NewMessage["recipients"]): Promise<void> {
    this.#requireWriting();
    this.#state = "committing";
    const size = this.#size;
    const checksum = this.#checksum;
    try {
      this.#options.requireSpace();
      await this.#body?.finish();
      const content = this.#body === undefined ? { content: joined(this.#chunks, size) } : { file: this.#body.name };
      await this.#options.store({ ...envelope, size }, recipients, { size, checksum, ...content });
    } catch (error) {
      // A body whose row may be there stays; if it is not, the next start sweeps it.
      if (!isUnknown(error)) await this.#discard();
      throw error;
    } finally {
      this.#state = "over";
      this.#chunks = [];
    }
  }

  abort(): void {
    if (this.#state !== "writing") return;
    this.#state = "over";
    void this.#discard();
  }

  #requireWriting(): void {
    if (this.#state === "writing") return;
    throw this.#failure ?? new StoreError("closed", "the message is complete or abandoned");
  }

  async #discard(): Promise<void> {
    this.#chunks = [];
    await this.#body?.discard();
  }

  async #spill(): Promise<void> {
    this.#options.requireSpace();
    const content = joined(this.#chunks, this.#size);
    this.#chunks = [];
    this.#body = await this.#options.bodies.create(this.#options.newName());
    await this.#body.write(content);
  }
}

/** Stores content that is at hand as a whole. */
export async function writeWhole(
  bodies: BodyPlace,
  name: MessageId,
  content: Buffer,
  inlineBytes: number,
): Promise<StoredContent> {
  const size = content.length;
  const checksum = crc32(content);
  if (size <= inlineBytes) return { size, checksum, content: new Uint8Array(content) };
  const body = await bodies.create(name);
  try {
    await body.write(content);
    await body.finish();
  } catch (error) {
    await body.discard();
    throw error;
  }
  return { size, checksum, file: name };
}
