import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Clock, Random } from "../clock.ts";
import type { DkimKey } from "../dkim/signingKey.ts";
import { type DomainName, isName, parseName, prefixed } from "../dns/name.ts";
import { reasonText } from "../dnssec/securityStatus.ts";
import type { Resolver } from "../resolver/resolver.ts";
import type { MessageId } from "../spool/message.ts";
import type { Store } from "../spool/store.ts";
import { type ReportUri, readTlsrptRecords, readUri } from "../tlsrpt/record.ts";
import { dayText, endOfDay, type Reporter, tlsReport, utcDay } from "../tlsrpt/report.ts";
import { reportMessage } from "./reportMessage.ts";
import type { ReportPost } from "./reportPost.ts";
import { type DispatchTask, TlsrptDispatch } from "./tlsrptDispatch.ts";
import type { TlsrptStore } from "./tlsrptStore.ts";

/** What became of one report at one place. `mailed`: it is in our own queue. `deferred`: tried again later. `unsigned`: no key to sign it with. */
export type ReportEvent = {
  domain: string;
  /** `2026-11-21` */
  day: string;
  uri: string;
  result: "mailed" | "posted" | "deferred" | "failed" | "unsigned";
  id?: MessageId;
  reason?: string;
};

export type TlsrptSenderOptions = {
  reporter: Reporter;
  counts: TlsrptStore;
  resolver: Resolver;
  spool: Pick<Store, "add">;
  post: ReportPost;
  /** Without it reports go by HTTPS only (RFC 8460 §3: reports by mail MUST be signed). */
  dkim?: DkimKey;
  clock: Clock;
  random: Random;
  newId: () => MessageId;
  onEvent: (event: ReportEvent) => void;
  /** Our own fault: a bug, or a file that cannot be written. */
  onTrouble: (error: unknown) => void;
  /** Between two looks at what is due. */
  lookMilliseconds?: number;
};

/** RFC 8460 §4.1: a random delay of up to four hours after the end of the day. */
const MAX_DELAY_SECONDS = 14_400;
/** RFC 8460 §5.5: redelivery for up to 24 hours after the first attempt, with exponential backoff. */
const GIVE_UP_MILLISECONDS = 24 * 3_600_000;
const FIRST_RETRY_MILLISECONDS = 300_000;
const LONGEST_RETRY_MILLISECONDS = 4 * 3_600_000;
/** What of a day has not gone out by then, because the relay did not run, is forgotten; and what went out is kept so long to be looked at. */
const KEEP_MILLISECONDS = 7 * 86_400_000;
const LOOK_MILLISECONDS = 30_000;
const PARALLEL_TASKS = 8;

const compress = promisify(gzip);

/** Sends yesterday's reports, and those of the days before that did not go out. */
export class TlsrptSender {
  readonly #options: TlsrptSenderOptions;
  readonly #dispatch: TlsrptDispatch;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();

  constructor(options: TlsrptSenderOptions) {
    this.#options = options;
    this.#dispatch = new TlsrptDispatch(options.counts.tables);
  }

  start(): void {
    this.#schedule(0);
  }

  /** What is being sent is broken off, and due again at the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    await this.#round;
  }

  #schedule(milliseconds: number): void {
    this.#timer = setTimeout(() => {
      this.#round = this.#send()
        .catch(this.#options.onTrouble)
        .then(() => {
          if (!this.#stopping.signal.aborted) this.#schedule(this.#options.lookMilliseconds ?? LOOK_MILLISECONDS);
        });
    }, milliseconds);
    this.#timer.unref();
  }

  /** Everything that is due now. */
  async #send(): Promise<void> {
    const { counts, clock, random } = this.#options;
    counts.flush();
    const now = clock.now();
    counts.tables.prune(utcDay(now - KEEP_MILLISECONDS));
    for (const day of counts.tables.days()) {
      // Later than the end of the day: never about one that is not over.
      const delay = (1 + random.below(MAX_DELAY_SECONDS)) * 1000;
      if (this.#dispatch.planned(day, endOfDay(day) + delay) <= now) this.#dispatch.begin(day, now);
    }
    for (;;) {
      const tasks = this.#dispatch.due(clock.now());
      if (tasks.length === 0 || this.#stopping.signal.aborted) return;
      const next = tasks.values();
      await Promise.all(Array.from({ length: PARALLEL_TASKS }, () => this.#work(next)));
    }
  }

  async #work(tasks: Iterator<DispatchTask>): Promise<void> {
    for (let next = tasks.next(); next.done !== true; next = tasks.next()) {
      if (this.#stopping.signal.aborted) return;
      const task = next.value;
      await (task.uri === "" ? this.#lookUp(task) : this.#deliver(task));
    }
  }

  /** RFC 8460 §3: who wants the reports about a domain. */
  async #lookUp(task: DispatchTask): Promise<void> {
    const owner = tlsrptName(task.domain);
    if (owner === undefined) return this.#dispatch.done(task);
    const answer = await this.#options.resolver.resolve(owner, "TXT");
    if (this.#stopping.signal.aborted) return;
    if (answer.status === "bogus" || answer.status === "indeterminate") {
      return this.#retry(task, `${owner} TXT: ${reasonText(answer.reasons)}`);
    }
    const record = answer.answer === "records" ? readTlsrptRecords(answer.records) : ({ kind: "absent" } as const);
    const uris = record.kind === "record" ? record.uris.map(({ text }) => text) : [];
    this.#dispatch.wanted(task, uris, this.#options.clock.now());
  }

  async #deliver(task: DispatchTask): Promise<void> {
    const uri = readUri(task.uri);
    if ("reason" in uri) {
      // It was read before it was stored: another release wrote it.
      this.#dispatch.done(task);
      return this.#tell(task, { result: "failed", reason: uri.reason });
    }
    const { counts, reporter } = this.#options;
    const aggregate = counts.tables.aggregate(task.day, task.domain);
    const report = await compress(Buffer.from(JSON.stringify(tlsReport(reporter, aggregate))));
    return uri.scheme === "mailto" ? this.#mail(task, uri, report) : this.#post(task, uri, report);
  }

  async #mail(task: DispatchTask, to: Extract<ReportUri, { scheme: "mailto" }>, report: Buffer): Promise<void> {
    const { dkim, spool, newId, clock, reporter } = this.#options;
    if (dkim === undefined) {
      this.#dispatch.done(task);
      return this.#tell(task, { result: "unsigned", reason: "dkim.keyFile is not set, and unsigned reports are not read" });
    }
    const id = newId();
    const { message, content } = reportMessage({ reporter, report: task, gzip: report, to, now: clock.now(), id, dkim });
    try {
      await spool.add(message, content);
    } catch (error) {
      // A full or failing disk: tried again as any other failure is.
      return this.#retry(task, `the report could not be queued: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.#dispatch.done(task);
    this.#tell(task, { result: "mailed", id });
  }

  async #post(task: DispatchTask, { url }: Extract<ReportUri, { scheme: "https" }>, report: Buffer): Promise<void> {
    const result = await this.#options.post(url, report, this.#stopping.signal);
    if (result.kind === "accepted") {
      this.#dispatch.done(task);
      this.#tell(task, { result: "posted" });
    } else if (!this.#stopping.signal.aborted) this.#retry(task, result.reason);
  }

  /** Once more, later, until 24 hours have passed since the first attempt. */
  #retry(task: DispatchTask, reason: string): void {
    const wait = Math.min(FIRST_RETRY_MILLISECONDS * 2 ** task.attempts, LONGEST_RETRY_MILLISECONDS);
    const due = this.#options.clock.now() + wait;
    if (due - task.began <= GIVE_UP_MILLISECONDS) {
      this.#dispatch.again(task, due);
      this.#tell(task, { result: "deferred", reason });
      return;
    }
    this.#dispatch.done(task);
    this.#tell(task, { result: "failed", reason: `given up after 24 hours; at the last attempt: ${reason}` });
  }

  #tell({ domain, day, uri }: DispatchTask, what: Pick<ReportEvent, "result" | "id" | "reason">): void {
    this.#options.onEvent({ domain, day: dayText(day), uri, ...what });
  }
}

function tlsrptName(domain: string): DomainName | undefined {
  const name = parseName(domain);
  if (!isName(name)) return undefined;
  const owner = prefixed(["_smtp", "_tls"], name);
  return isName(owner) ? owner : undefined;
}
