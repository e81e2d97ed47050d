import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock, systemRandom } from "../../src/clock.ts";
import type { Work } from "../../src/spool/message.ts";
import { openSqliteStore } from "../../src/spool/sqliteStore.ts";
import type { Store } from "../../src/spool/store.ts";
import { createListener, type Listener, type ListenerOptions } from "../../src/submission/listener.ts";
import type { SubmissionEvent } from "../../src/submission/submissionEvent.ts";
import { SmtpClient } from "./smtpClient.ts";

/** A listener on a free port of `host`, in front of a spool in a temporary directory. */
export type SubmissionServer = AsyncDisposable & {
  listener: Listener;
  store: Store;
  address: string;
  /** Of the spool, unless a store was given. */
  directory: string;
  events: SubmissionEvent[];
  /** Connects and says EHLO. */
  open(): Promise<SmtpClient>;
  /** Takes everything that is queued. */
  queued(): Promise<{ work: Work; content: Buffer }[]>;
};

export async function startSubmission(host: string, changes: Partial<ListenerOptions> = {}): Promise<SubmissionServer> {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-submission-"));
  const store = changes.store ?? (await openSqliteStore({ directory, reserveBytes: 0 }));
  const events: SubmissionEvent[] = [];
  const listener = createListener({
    listen: [`${host}:0`],
    hostname: "relay.example",
    trustedNetworks: ["127.0.0.0/8", "::1/128"],
    maxMessageBytes: 1_000_000,
    maxRecipients: 10,
    maxConnections: 50,
    clock: systemClock,
    random: systemRandom,
    onEvent: (event) => events.push(event),
    ...changes,
    store,
  });
  await listener.start().catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  const [address] = listener.addresses();
  assert.ok(address !== undefined);
  return {
    listener,
    store,
    address,
    directory,
    events,
    open: () => SmtpClient.open(address),
    queued: () => takeAll(store),
    async [Symbol.asyncDispose]() {
      await listener.stop(0);
      await store.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Claims and reads everything that is due, by id. */
export async function takeAll(store: Store): Promise<{ work: Work; content: Buffer }[]> {
  const taken: { work: Work; content: Buffer }[] = [];
  for (;;) {
    const works = await store.claim({ now: Number.MAX_SAFE_INTEGER, limit: 100, exclude: new Set() });
    if (works.length === 0) return taken.sort((a, b) => (a.work.envelope.id < b.work.envelope.id ? -1 : 1));
    for (const work of works) {
      const chunks: Buffer[] = [];
      for await (const chunk of store.content(work.envelope.id)) chunks.push(chunk);
      taken.push({ work, content: Buffer.concat(chunks) });
    }
  }
}

/** The content as the client sent it: without the Received, Date and Message-ID that the relay put at its top. */
export function withoutTrace(content: Buffer): string {
  const text = content.toString("latin1");
  const match =
    /^Received: from (?:[^\r\n]|\r\n[ \t])*\r\n(?:Date: [^\r\n]*\+0000\r\n)?(?:Message-ID: <\w+@relay\.example>\r\n)?/.exec(text);
  assert.ok(match !== null, `no Received on top of ${JSON.stringify(text.slice(0, 200))}`);
  return text.slice(match[0].length);
}
