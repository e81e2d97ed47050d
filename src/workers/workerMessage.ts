/** What supervisor and workers say to each other, over the channel between the processes. */
export type ToWorker =
  /** Drain and end. */
  | { kind: "stop" }
  /** Read the configuration again. */
  | { kind: "reload" }
  /** `request`: what is asked of the queue. */
  | { kind: "ask"; number: number; what: Subject; request?: unknown };

export type FromWorker =
  /** It takes mail now, or delivers what was left. */
  { kind: "ready" } | { kind: "answer"; number: number; answer: Answer };

export type Subject = "metrics" | "checks" | "state" | "queue" | "explain";

/** `metrics`: prom-client's registry as JSON; `checks`: what /readyz shows; `state`, `queue` and `explain`: for the API and the page, in relay's own types. */
export type Answer =
  | { what: "metrics"; metrics: readonly unknown[] }
  | { what: "checks"; checks: readonly WorkerCheck[] }
  | { what: "state"; state: unknown }
  | { what: "queue"; result: unknown }
  | { what: "explain"; said: unknown }
  | { what: "failed"; reason: string };

export type WorkerCheck = { name: string; status: "ok" | "degraded" | "failed"; text: string };
