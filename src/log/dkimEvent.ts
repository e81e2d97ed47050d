/** A message goes out unsigned although there are keys, because it is not clear who its author is. */
export type DkimEvent = { event: "dkim"; id: string; result: "unsigned"; reason: string };
