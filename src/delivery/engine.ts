import { readFile } from "node:fs/promises";
import { isIPv6 } from "node:net";
import type { SecureVersion } from "node:tls";
import type { Clock, Random } from "../clock.ts";
import type { InsecureMxPolicy } from "../dane/tlsDiscovery.ts";
import { type DomainName, displayName } from "../dns/name.ts";
import type { Outcome } from "../policy/disposition.ts";
import type { RetrySettings } from "../policy/retrySchedule.ts";
import type { Resolver } from "../resolver/resolver.ts";
import type { MessageId, NewMessage, Work } from "../spool/message.ts";
import type { Store } from "../spool/store.ts";
import type { SessionResult } from "../tlsrpt/result.ts";
import type { TrustedRoots } from "../x509/serverIdentity.ts";
import { attempt } from "./attempt.ts";
import { buildDsn } from "./bounce.ts";
import { type ConnectionRequest, type ConnectionResult, type DialogueTimeouts, openConnection } from "./connection.ts";
import { ConnectionPool } from "./connectionPool.ts";
import type { DeliveryContext } from "./context.ts";
import { type DestinationFeedback, feedbackOf } from "./destinationFeedback.ts";
import { checkDomain, type DomainCheck } from "./domainCheck.ts";
import type { RecipientOutcome, Trace } from "./ledger.ts";
import { RestingHosts } from "./restingHosts.ts";
import type { RouteSetting } from "./route.ts";
import { Scheduler } from "./scheduler.ts";
import { type Notice, settlementOf } from "./settlement.ts";
import type { StsPolicyFor } from "./stsOutcome.ts";
import { demandOf, exceptionsOf, type TlsException, type TlsPolicySettings } from "./tlsPolicies.ts";

export type DeliverySettings = TlsPolicySettings & {
  hostname: DomainName;
  port: number;
  insecureMx: InsecureMxPolicy;
  allowLoopback: boolean;
  routes: readonly RouteSetting[];
  sourceAddresses: readonly string[];
  timeouts: DialogueTimeouts;
  opportunisticTlsVersion?: SecureVersion;
  retry: RetrySettings;
  maxConnections: number;
  maxConnectionsPerDestination: number;
};

/** What delivery tells: relay.ts turns it into log lines and metrics. */
export type DeliveryModuleEvent =
  /** One recipient, one attempt; `seconds` of the whole attempt. */
  | { kind: "attempted"; work: Work; result: RecipientOutcome; seconds: number }
  /** One attempt for one work; `outcome` is the best that any of its recipients had. */
  | { kind: "ended"; outcome: Outcome["kind"]; seconds: number }
  /** One host tried, or kept from by policy. */
  | { kind: "host"; trace: Trace }
  /** One session, or what kept us from it, for TLS reports. */
  | { kind: "session"; result: SessionResult }
  | { kind: "handshake"; protocol: string; group?: string }
  /** A session of the pool was taken for a further transaction. */
  | { kind: "reused" }
  | { kind: "notice"; id: MessageId; about: Work; notice: Notice }
  /** Nobody outside is to blame: the store, or a bug. */
  | { kind: "trouble"; error: unknown };

export type DeliveryOptions = {
  settings: DeliverySettings;
  resolver: Resolver;
  /** What MTA-STS says of a next-hop domain; without, it is off. */
  stsPolicyFor?: StsPolicyFor;
  /** The CAs of PKIX; without, no server is authenticated by it. */
  trustedRoots?: () => TrustedRoots;
  store: Store;
  clock: Clock;
  random: Random;
  newId: () => MessageId;
  onEvent: (event: DeliveryModuleEvent) => void;
};

/** Octets of the original that a notice may carry (RFC 3461 §4.3: a whole message may be returned as its headers). */
const MAX_RETURNED_OCTETS = 64 * 1024;
const HOUR = 3_600_000;
const UNIFORM_STEPS = 2 ** 32;

/** Runs the queue: what is due is attempted, and what came of it is recorded, reported and told to senders. */
export class DeliveryEngine {
  readonly #options: DeliveryOptions;
  readonly #pool: ConnectionPool;
  readonly #restingHosts: RestingHosts;
  readonly #scheduler: Scheduler;
  /** Which record authenticated a session of the pool, whatever was configured since. */
  readonly #matches: DeliveryContext["session"]["matches"] = new WeakMap();
  #settings: DeliverySettings;
  #context: DeliveryContext;

  constructor(options: DeliveryOptions) {
    const { settings, store, clock } = options;
    this.#options = options;
    this.#settings = settings;
    const { maxConnections, maxConnectionsPerDestination } = settings;
    this.#pool = new ConnectionPool({ clock, maxConnections, maxConnectionsPerKey: maxConnectionsPerDestination });
    this.#restingHosts = new RestingHosts({ clock });
    this.#context = this.#contextOf(settings);
    this.#scheduler = new Scheduler({
      store,
      clock,
      run: (work) => this.#run(work),
      maxConnections,
      maxConnectionsPerDestination,
      onError: (error) => options.onEvent({ kind: "trouble", error }),
    });
  }

  start(): void {
    this.#scheduler.start();
  }

  /** For attempts that begin from now on; those that run, and open connections, stay as they are. */
  reconfigure(settings: DeliverySettings): void {
    const { maxConnections, maxConnectionsPerDestination } = settings;
    this.#settings = settings;
    this.#context = this.#contextOf(settings);
    this.#pool.limit({ maxConnections, maxConnectionsPerKey: maxConnectionsPerDestination });
    this.#scheduler.limit({ maxConnections, maxConnectionsPerDestination });
  }

  /** Open transactions end and are recorded; then idle connections are closed politely. */
  async stop(): Promise<void> {
    await this.#scheduler.stop();
    await this.#pool.close();
  }

  get openConnections(): number {
    return this.#pool.open;
  }

  /** `delivery.tlsPolicies` in force now that relax what DANE demands. */
  activeExceptions(): readonly TlsException[] {
    const now = this.#options.clock.now();
    return exceptionsOf(this.#settings.tlsPolicies).filter(({ expiresAt }) => expiresAt > now);
  }

  /** Whether mail for `domain` would be delivered if no exception were made for it. */
  checkDomain(domain: string): Promise<DomainCheck> {
    return checkDomain(domain, this.#context);
  }

  async #run(work: Work): Promise<DestinationFeedback> {
    const { clock, random, store, onEvent } = this.#options;
    const settings = this.#settings;
    const began = clock.monotonic();
    const outcomes = await attempt(work, this.#context);
    const seconds = (clock.monotonic() - began) / 1000;
    const now = clock.now();
    const uniform = () => random.below(UNIFORM_STEPS) / UNIFORM_STEPS;
    const settlement = settlementOf(work, outcomes, { now, retry: settings.retry, random: uniform });
    const generated = await this.#compose(work, settlement.notices, now);
    await store.settle(
      work,
      settlement.settled,
      generated.map(({ dsn }) => dsn),
    );
    for (const result of settlement.final) onEvent({ kind: "attempted", work, result, seconds });
    onEvent({ kind: "ended", outcome: bestOf(settlement.final), seconds });
    for (const { dsn, notice } of generated) onEvent({ kind: "notice", id: dsn.message.envelope.id, about: work, notice });
    return feedbackOf(outcomes);
  }

  async #compose(
    work: Work,
    notices: readonly Notice[],
    now: number,
  ): Promise<{ notice: Notice; dsn: { message: NewMessage; content: Buffer } }[]> {
    if (notices.length === 0) return [];
    const original = await this.#beginningOf(work).catch((error: unknown) => {
      // A notice without the original is better than a recipient whose failure nobody hears of.
      this.#options.onEvent({ kind: "trouble", error });
      return Buffer.alloc(0);
    });
    const { newId } = this.#options;
    const settings = this.#settings;
    const composed: { notice: Notice; dsn: { message: NewMessage; content: Buffer } }[] = [];
    for (const notice of notices) {
      const dsn = await buildDsn({
        envelope: work.envelope,
        kind: notice.action,
        recipients: notice.recipients,
        original,
        hostname: displayName(settings.hostname),
        now,
        newId,
        ...(notice.action === "delayed" ? { retryUntil: work.envelope.acceptedAt + settings.retry.lifetimeHours * HOUR } : {}),
      });
      if (dsn.kind === "dsn") composed.push({ notice, dsn });
    }
    return composed;
  }

  async #beginningOf(work: Work): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let octets = 0;
    for await (const chunk of this.#contentOf(work)) {
      chunks.push(chunk);
      octets += chunk.length;
      if (octets >= MAX_RETURNED_OCTETS) break;
    }
    return Buffer.concat(chunks).subarray(0, MAX_RETURNED_OCTETS);
  }

  #contentOf(work: Work): AsyncIterable<Buffer> {
    return work.content === undefined ? this.#options.store.content(work.envelope.id) : once(work.content);
  }

  async #open(request: ConnectionRequest): Promise<ConnectionResult> {
    const result = await this.#restingHosts.connect(request, openConnection);
    if (result.kind === "ready" && result.session.security.kind === "tls") {
      const { protocol, group } = result.session.security;
      this.#options.onEvent({ kind: "handshake", protocol, ...(group === undefined ? {} : { group }) });
    }
    return result;
  }

  #contextOf(settings: DeliverySettings): DeliveryContext {
    const { resolver, clock, random, onEvent, stsPolicyFor, trustedRoots } = this.#options;
    const below = (exclusiveMaximum: number) => random.below(exclusiveMaximum);
    return {
      route: { resolver, routes: settings.routes, port: settings.port, self: settings.hostname, random: below, readSecret },
      resolver,
      allowLoopback: settings.allowLoopback,
      insecureMx: settings.insecureMx,
      demandOf: (work) => demandOf(work, settings, clock.now()),
      ...(stsPolicyFor === undefined ? {} : { stsPolicyFor }),
      request: {
        hostname: displayName(settings.hostname),
        timeouts: settings.timeouts,
        ...(settings.opportunisticTlsVersion === undefined ? {} : { opportunisticVersion: settings.opportunisticTlsVersion }),
      },
      localAddressFor: (remote) => settings.sourceAddresses.find((address) => isIPv6(address) === isIPv6(remote)),
      session: {
        now: () => clock.now(),
        ...(trustedRoots === undefined ? {} : { trustedRoots }),
        matches: this.#matches,
        connect: async (key, request, source) => {
          const result = await this.#pool.acquire(key, source, () => this.#open(request));
          if (result.kind === "ready" && result.reused === "yes") onEvent({ kind: "reused" });
          return result;
        },
      },
      release: (session) => this.#pool.release(session),
      content: (work) => this.#contentOf(work),
      onHost: (trace) => onEvent({ kind: "host", trace }),
      onSession: (result) => onEvent({ kind: "session", result }),
      onTrouble: (error) => onEvent({ kind: "trouble", error }),
    };
  }
}

function bestOf(outcomes: readonly RecipientOutcome[]): Outcome["kind"] {
  const kinds = outcomes.map(({ outcome }) => outcome.kind);
  return (["delivered", "deferred", "failed"] as const).find((kind) => kinds.includes(kind)) ?? "failed";
}

function readSecret(file: string): Promise<string> {
  return readFile(file, "utf8");
}

async function* once(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}
