import type { Envelope, Work } from "../spool/message.ts";
import type { DeliveryContext } from "./context.ts";

/** A message as it goes out: with its signatures in front, and of the size that it then has. */
export type SignedMail = { envelope: Envelope; content: () => AsyncIterable<Buffer> };

/** Rejects when the content cannot be read. */
export async function signedMail(work: Work, context: Pick<DeliveryContext, "content" | "signatures">): Promise<SignedMail> {
  const { envelope } = work;
  const content = (): AsyncIterable<Buffer> => context.content(work);
  const signatures = await context.signatures?.(work);
  if (signatures === undefined || signatures.length === 0) return { envelope, content };
  return {
    envelope: { ...envelope, size: envelope.size + signatures.length },
    content: () => preceded(signatures, content()),
  };
}

/** With its first piece, so that a small message is one piece still. */
async function* preceded(signatures: Buffer, content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let first: "yes" | "no" = "yes";
  for await (const piece of content) {
    yield first === "yes" ? Buffer.concat([signatures, piece]) : piece;
    first = "no";
  }
  if (first === "yes") yield signatures;
}
