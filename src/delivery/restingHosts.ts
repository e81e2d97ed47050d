import type { Clock } from "../clock.ts";
import type { ConnectionFailure, ConnectionRequest, ConnectionResult } from "./connection.ts";
import type { DialTarget } from "./dial.ts";

/**
 * Hosts that could not be used lately, for all messages and destinations together: ten thousand domains behind one dead host wait for it once,
 * not ten thousand times. Below, a host is one address and port.
 *
 *   (unknown) --failures in a row--> resting --time--> one connection probes it --ready--> (unknown)
 *                                       ^                       |
 *                                       +------- failed --------+     each rest is twice as long as the one before
 *
 * Only what stands for the host itself counts: no connection, no greeting or a refusal instead, no EHLO. TLS depends on what is demanded; and
 * what this machine is short of is no fault of the host's.
 */
export type RestingHostsOptions = { clock: Clock; maxRemembered?: number };

type Memory = {
  failure: ConnectionFailure;
  failures: number;
  failedAt: number;
  restUntil: number;
  rests: number;
  probe: "none" | "under-way";
};

const FAILURES_BEFORE_REST = 3;
const FIRST_REST_MILLISECONDS = 30_000;
const LONGEST_REST_MILLISECONDS = 600_000;
const DEFAULT_REMEMBERED = 20_000;

export class RestingHosts {
  readonly #clock: Clock;
  readonly #maxRemembered: number;
  /** In the order in which they failed last. */
  readonly #memories = new Map<string, Memory>();

  constructor({ clock, maxRemembered = DEFAULT_REMEMBERED }: RestingHostsOptions) {
    this.#clock = clock;
    this.#maxRemembered = maxRemembered;
  }

  /**
   * Connects by `open`, to one of the addresses that do not rest; where all do it does not, and says how the first one failed before. Rejects
   * only when `open` does.
   */
  async connect(
    request: ConnectionRequest,
    open: (request: ConnectionRequest) => Promise<ConnectionResult>,
  ): Promise<ConnectionResult> {
    const { address, localAddress, others = [], ...same } = request;
    const memoryOf = (target: DialTarget): Memory | undefined => this.#memories.get(`${target.address} ${request.port}`);
    const all = [localAddress === undefined ? { address } : { address, localAddress }, ...others];
    const [first, ...rest] = all.filter((target) => !this.#rests(memoryOf(target)));
    if (first === undefined) {
      const memory = memoryOf({ address });
      if (memory === undefined) throw new Error(`${address} rests, and nothing is known of it`);
      return { kind: "failed", failure: this.#recalled(memory) };
    }
    const probed = [first, ...rest].flatMap((target) => memoryOf(target) ?? []);
    for (const memory of probed) if (memory.failures >= FAILURES_BEFORE_REST) memory.probe = "under-way";
    try {
      const result = await open({ ...same, ...first, ...(rest.length === 0 ? {} : { others: rest }) });
      this.#learnAll(first.address, request.port, result);
      return result;
    } finally {
      for (const memory of probed) memory.probe = "none";
    }
  }

  /** Hosts that rest may be tried now, one connection at a time. */
  endRests(): void {
    for (const memory of this.#memories.values()) memory.restUntil = 0;
  }

  #rests(memory: Memory | undefined): boolean {
    if (memory === undefined || memory.failures < FAILURES_BEFORE_REST) return false;
    return memory.restUntil > this.#clock.monotonic() || memory.probe === "under-way";
  }

  /** Each address that was tried, or the one that was connected to; nothing is known of one that was only slower. */
  #learnAll(address: string, port: number, result: ConnectionResult): void {
    if (result.kind === "failed" && result.failure.dialled !== undefined) {
      for (const { address: tried, text, blame } of result.failure.dialled)
        if (blame === undefined) this.#learn(`${tried} ${port}`, { kind: "failed", failure: { stage: "connect", text } });
      return;
    }
    const ends = result.kind === "ready" ? result.session.ends : result.failure.ends;
    this.#learn(`${ends?.address ?? address} ${port}`, result);
  }

  #learn(host: string, result: ConnectionResult): void {
    if (result.kind === "ready" || !speaksOfHost(result.failure)) {
      this.#memories.delete(host);
      return;
    }
    const before = this.#memories.get(host) ?? { failures: 0, restUntil: 0, rests: 0 };
    const now = this.#clock.monotonic();
    const failures = before.failures + 1;
    // What was under way when the rest began is no news.
    const rests = failures >= FAILURES_BEFORE_REST && before.restUntil <= now;
    const rest = Math.min(FIRST_REST_MILLISECONDS * 2 ** before.rests, LONGEST_REST_MILLISECONDS);
    const memory = { failure: result.failure, failures, failedAt: now, probe: "none" } as const;
    this.#memories.delete(host);
    this.#memories.set(host, {
      ...memory,
      ...(rests ? { restUntil: now + rest, rests: before.rests + 1 } : { restUntil: before.restUntil, rests: before.rests }),
    });
    const [oldest] = this.#memories.keys();
    if (this.#memories.size > this.#maxRemembered && oldest !== undefined) this.#memories.delete(oldest);
  }

  /** The failure that is remembered, said to be one. */
  #recalled({ failure, failures, failedAt, restUntil }: Memory): ConnectionFailure {
    const now = this.#clock.monotonic();
    const seconds = (milliseconds: number): string => `${Math.max(0, Math.ceil(milliseconds / 1000))} s`;
    const next = restUntil > now ? `tried again in ${seconds(restUntil - now)}` : "being tried just now";
    return { ...failure, text: `${failure.text} (${seconds(now - failedAt)} ago, failure ${failures} in a row; ${next})` };
  }
}

function speaksOfHost({ stage }: ConnectionFailure): boolean {
  switch (stage) {
    case "connect":
    case "greeting":
    case "ehlo":
      return true;
    case "starttls-missing":
    case "starttls-refused":
    case "handshake":
    case "verify":
    case "auth":
      return false;
    default:
      return stage satisfies never;
  }
}
