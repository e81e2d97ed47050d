/**
 * The instants at which a crash could tear something: the fault campaign kills the process at each of them. In production nothing is called.
 *
 * A message comes:  body-written, body-synced, body-named (large ones), store-before-commit, store-after-commit, stored-before-reply (250)
 * A message goes:   replied-before-record (the peer has said 250), settle-before-commit, settle-after-commit, body-before-removal, settled
 * The log is moved into the database: before-checkpoint, after-checkpoint (at the close; in between SQLite does it within a COMMIT)
 */
export const COMMIT_POINTS = [
  "body-written",
  "body-synced",
  "body-named",
  "store-before-commit",
  "store-after-commit",
  "stored-before-reply",
  "replied-before-record",
  "settle-before-commit",
  "settle-after-commit",
  "body-before-removal",
  "settled",
  "before-checkpoint",
  "after-checkpoint",
] as const;

export type CommitPoint = (typeof COMMIT_POINTS)[number];

/** Called when the process is at that point; it may never return. */
export type AtPoint = (point: CommitPoint) => void;

const nothing: AtPoint = () => undefined;

/** The function `at` of the module with this URL; both threads load it, for it cannot be sent from one to the other. */
export async function loadPoints(module: string | undefined): Promise<AtPoint> {
  if (module === undefined) return nothing;
  const loaded = (await import(module)) as { at: AtPoint };
  return loaded.at;
}
