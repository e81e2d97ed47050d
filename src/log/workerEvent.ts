/** A worker process ended unasked, works again, or has emptied the shard that was left over for it. */
export type WorkerEvent = { event: "worker"; shard: string; state: "ended" | "restarted" | "emptied"; reason: string };
