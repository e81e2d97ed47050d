import type { Clock, Random } from "../clock.ts";
import { displayName } from "../dns/name.ts";
import type { Outcome } from "../policy/disposition.ts";
import type { RetrySettings } from "../policy/retrySchedule.ts";
import type { Resolver } from "../resolver/resolver.ts";
import type { Envelope, MessageId, Work } from "../spool/message.ts";
import type { Store } from "../spool/store.ts";
import type { SessionResult } from "../tlsrpt/result.ts";
import type { TrustedRoots } from "../x509/serverIdentity.ts";
import { attempt } from "./attempt.ts";
import { type ConnectionRequest, type ConnectionResult, openConnection } from "./connection.ts";
import { ConnectionPool } from "./connectionPool.ts";
import type { DeliveryContext } from "./context.ts";
import { type ContextSettings, decidingContext } from "./contextSettings.ts";
import { type DestinationFeedback, feedbackOf } from "./destinationFeedback.ts";
import type { RateSetting } from "./destinationRates.ts";
import { checkDomain, type DomainCheck } from "./domainCheck.ts";
import { heldContent } from "./heldContent.ts";
import type { DeliverySight } from "./hostSight.ts";
import type { RecipientOutcome, Trace } from "./ledger.ts";
import type { MessageSigner } from "./messageSigner.ts";
import { type ComposedNotice, composeNotices, unsaid } from "./notices.ts";
import { RestingHosts } from "./restingHosts.ts";
import { Scheduler } from "./scheduler.ts";
import { type Notice, plainSettlement, type Settlement, settlementOf } from "./settlement.ts";
import type { StsPolicyFor } from "./stsOutcome.ts";
import { exceptionsOf, type TlsException } from "./tlsPolicies.ts";
import { type LifeSpan, WitnessedTime } from "./witnessedTime.ts";

export type DeliverySettings = ContextSettings & {
  retry: RetrySettings;
  maxConnections: number;
  maxConnectionsPerDestination: number;
  rates: readonly RateSetting[];
  /** What `stop` does first: only end what is open, or for `drainSeconds` at most try everything that is due. */
  drain: "transactions" | "queue";
  drainSeconds: number;
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
  /** What a new session showed of its host, for the history. */
  | { kind: "sight"; sight: DeliverySight }
  | { kind: "handshake"; protocol: string; group?: string }
  /** A session of the pool was taken for a further transaction. */
  | { kind: "reused" }
  | { kind: "notice"; id: MessageId; about: Work; notice: Notice }
  /** Nobody outside is to blame: the store, or a bug. */
  | { kind: "trouble"; error: unknown };

export type DeliveryOptions = {
  settings: DeliverySettings;
  resolver: Resolver;
  /** What MTA-STS says of a next-hop domain. */
  stsPolicyFor: StsPolicyFor;
  /** The CAs of PKIX. */
  trustedRoots: () => TrustedRoots;
  store: Store;
  clock: Clock;
  random: Random;
  newId: () => MessageId;
  /** Signs what goes out. */
  signer?: Pick<MessageSigner, "fieldsFor">;
  onEvent: (event: DeliveryModuleEvent) => void;
};

const UNIFORM_STEPS = 2 ** 32;
const HOUR = 3_600_000;

/** Runs the queue: what is due is attempted, and what came of it is recorded, reported and told to senders. */
export class DeliveryEngine {
  readonly #options: DeliveryOptions;
  readonly #pool: ConnectionPool;
  readonly #restingHosts: RestingHosts;
  readonly #scheduler: Scheduler;
  readonly #time: WitnessedTime;
  /** Which record authenticated a session of the pool, whatever was configured since. */
  readonly #matches: DeliveryContext["session"]["matches"] = new WeakMap();
  #settings: DeliverySettings;
  #context: DeliveryContext;

  constructor(options: DeliveryOptions) {
    const { settings, store, clock } = options;
    this.#options = options;
    this.#settings = settings;
    const { maxConnections, maxConnectionsPerDestination, rates } = settings;
    this.#pool = new ConnectionPool({ clock, maxConnections, maxConnectionsPerKey: maxConnectionsPerDestination });
    this.#restingHosts = new RestingHosts({ clock });
    this.#time = new WitnessedTime(clock);
    this.#context = this.#contextOf(settings);
    this.#scheduler = new Scheduler({
      store,
      clock,
      run: (work) => this.#run(work),
      maxConnections,
      maxConnectionsPerDestination,
      rates,
      onError: (error) => options.onEvent({ kind: "trouble", error }),
    });
  }

  start(): void {
    this.#scheduler.start();
  }

  /** For attempts that begin from now on; those that run, and open connections, stay as they are. */
  reconfigure(settings: DeliverySettings): void {
    const { maxConnections, maxConnectionsPerDestination, rates } = settings;
    this.#settings = settings;
    this.#context = this.#contextOf(settings);
    this.#pool.limit({ maxConnections, maxConnectionsPerKey: maxConnectionsPerDestination });
    this.#scheduler.limit({ maxConnections, maxConnectionsPerDestination, rates });
  }

  /**
   * With `drain: queue` what is due is tried first. Open transactions end and are recorded; then idle connections are closed politely. Says
   * which drain it was.
   */
  async stop(): Promise<DeliverySettings["drain"]> {
    const { drain, drainSeconds } = this.#settings;
    await this.#scheduler.stop(drain === "queue" ? drainSeconds * 1000 : 0);
    await this.#pool.close();
    return drain;
  }

  /** What failed before is tried now all the same, where something of it is due: the operator asks for it. */
  endRests(): void {
    this.#restingHosts.endRests();
    this.#scheduler.endRests();
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
    const { clock, onEvent } = this.#options;
    const began = clock.monotonic();
    const outcomes = await attempt(work, this.#context);
    const seconds = (clock.monotonic() - began) / 1000;
    const now = this.#time.now();
    const span = this.#time.spanOf(work.envelope.acceptedAt);
    const settlement = this.#settlementOf(work, outcomes, now, span);
    const told = await this.#record(work, settlement, await this.#notices(work, settlement.notices, now, span));
    for (const result of settlement.final) onEvent({ kind: "attempted", work, result, seconds });
    onEvent({ kind: "ended", outcome: bestOf(settlement.final), seconds });
    for (const { dsn, notice } of told) onEvent({ kind: "notice", id: dsn.message.envelope.id, about: work, notice });
    return feedbackOf(outcomes);
  }

  #settlementOf(work: Work, outcomes: readonly RecipientOutcome[], now: number, span: LifeSpan): Settlement {
    const { random, onEvent } = this.#options;
    const { retry } = this.#settings;
    const uniform = () => random.below(UNIFORM_STEPS) / UNIFORM_STEPS;
    try {
      return settlementOf(work, outcomes, { now, span, retry, random: uniform });
    } catch (error) {
      // A bug; and what was delivered is recorded all the same, or it would be delivered again.
      onEvent({ kind: "trouble", error });
      return plainSettlement(outcomes, now + retry.initialSeconds * 1000);
    }
  }

  #notices(work: Work, notices: readonly Notice[], now: number, span: LifeSpan): Promise<readonly ComposedNotice[]> {
    const { newId, onEvent } = this.#options;
    const { hostname, retry } = this.#settings;
    return composeNotices(work, notices, {
      hostname: displayName(hostname),
      retryUntil: span.since + retry.lifetimeHours * HOUR,
      now,
      newId,
      content: () => this.#contentOf(work),
      onTrouble: (error) => onEvent({ kind: "trouble", error }),
    });
  }

  /** Records what became of the recipients, with the notices; without them where the store does not take them. Which were queued. */
  async #record(work: Work, { settled }: Settlement, notices: readonly ComposedNotice[]): Promise<readonly ComposedNotice[]> {
    const { store, onEvent } = this.#options;
    try {
      await store.settle(
        work,
        settled,
        notices.map(({ dsn }) => dsn),
      );
      return notices;
    } catch (error) {
      if (notices.length === 0) throw error;
      await store.settle(work, settled, []);
      for (const { notice } of notices) onEvent({ kind: "trouble", error: unsaid(work, notice, error) });
      return [];
    }
  }

  #contentOf(work: Work): AsyncIterable<Buffer> {
    return work.content === undefined
      ? this.#options.store.content(work.envelope.id)
      : inlineContent(work.envelope, work.content);
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
    const { onEvent, signer } = this.#options;
    const { verification, ...deciding } = decidingContext(settings, this.#options);
    return {
      ...deciding,
      session: {
        ...verification,
        matches: this.#matches,
        release: (session) => this.#pool.release(session),
        connect: async (key, request, source) => {
          const result = await this.#pool.acquire(key, source, () => this.#open(request));
          if (result.kind === "ready" && result.reused === "yes") onEvent({ kind: "reused" });
          return result;
        },
      },
      content: (work) => heldContent(work, this.#contentOf(work), this.#options.store),
      ...(signer === undefined
        ? {}
        : { signatures: (work: Work) => signer.fieldsFor(work.envelope, () => this.#contentOf(work)) }),
      onHost: (trace) => onEvent({ kind: "host", trace }),
      onSession: (result) => onEvent({ kind: "session", result }),
      onSight: (sight) => onEvent({ kind: "sight", sight }),
      onTrouble: (error) => onEvent({ kind: "trouble", error }),
    };
  }
}

function bestOf(outcomes: readonly RecipientOutcome[]): Outcome["kind"] {
  const kinds = outcomes.map(({ outcome }) => outcome.kind);
  return (["delivered", "deferred", "failed"] as const).find((kind) => kinds.includes(kind)) ?? "failed";
}

/** Rejects where it is not what was accepted: half a message is never sent. */
async function* inlineContent({ id, size }: Envelope, content: Buffer): AsyncGenerator<Buffer> {
  if (content.length !== size) throw new Error(`message ${id} has ${content.length} octets of ${size} in the queue`);
  yield content;
}
