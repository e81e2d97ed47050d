import { destinationOf, parseMailbox } from "../smtp/mailbox.ts";

/**
 * `submission.senderRewrites`: another envelope sender for mail that comes with one of these: `from` and `to` are both an address or both
 * `@domain`, of which only the domain is replaced. The first that fits counts. The null reverse-path always stays what it is.
 */
export type SenderRewrite = { from: string; to: string };

/** `sender` in the form of an envelope; "" is the null reverse-path. */
export function rewrittenSender(sender: string, rewrites: readonly SenderRewrite[]): string {
  if (sender === "" || rewrites.length === 0) return sender;
  const mailbox = parseMailbox(sender);
  if ("kind" in mailbox) return sender;
  const domain = `@${destinationOf(mailbox)}`;
  const address = `${mailbox.localPart}${domain}`.toLowerCase();
  const rewrite = rewrites.find(({ from }) => from.toLowerCase() === address || from.toLowerCase() === domain);
  if (rewrite === undefined) return sender;
  return rewrite.to.startsWith("@") ? `${sender.slice(0, sender.lastIndexOf("@"))}${rewrite.to}` : rewrite.to;
}
