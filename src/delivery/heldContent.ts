import type { Work } from "../spool/message.ts";
import type { Store } from "../spool/store.ts";

/**
 * The content of `work`, which only comes to its end while the claim on the work holds: the session sends the end of data when this ends, and
 * never when it throws. A process that was paused or cut off for longer than its lease finds here that another one has the message now.
 */
export async function* heldContent(
  work: Work,
  content: AsyncIterable<Buffer>,
  store: Pick<Store, "holds">,
): AsyncGenerator<Buffer> {
  yield* content;
  if (store.holds === undefined || (await store.holds(work)) === "held") return;
  throw new Error(`message ${work.envelope.id} was not sent to its end: the claim on it is lost, or the spool does not say`);
}
