/** Somebody acted on the queue. `who`: `local` over the control socket, `token` over HTTP from `client`; `session`: at the page. */
export type AuditEvent = {
  event: "audit";
  who: "local" | "token" | "session" | "loopback";
  client?: string;
  /** User of the operating system, where a command acted without a relay. */
  uid?: number;
  action: "retry" | "hold" | "release" | "delete";
  /** As it was asked for; at most the first ids. Empty: the whole queue. */
  filter: {
    ids?: readonly string[];
    /** How many ids there were, where not all are told. */
    messages?: number;
    domain?: string;
    sender?: string;
    state?: string;
    acceptedBefore?: string;
    reason?: string;
  };
  outcome: "done" | "failed";
  /** Entries; `unknown`: ids that were not in the queue. */
  changed?: number;
  unchanged?: number;
  busy?: number;
  unknown?: number;
  /** Why it failed; part of it may be done. */
  reason?: string;
};
