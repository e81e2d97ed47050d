import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { SmtpClient } from "../fake/smtpClient.ts";

/**
 * Clients that submit message after message until the relay is gone. A token names a message, and its content follows from it.
 *
 * Where a message is when the relay dies, as its client sees it: within the content (the final dot not sent), unanswered (the final dot sent, no
 * reply), acknowledged (250).
 */
const LARGE_EVERY = 6;
const LARGE_OCTETS = 140_000;
const SMALL_OCTETS = 2000;
/** The first client stops in the middle of each content for this long, so that kills find it there. */
const PAUSE_MILLISECONDS = 50;

/** The content that belongs to a token: different in every line, with dots to stuff, some too large for the database. */
export function contentOf(token: string): string {
  const number = Number(token.slice(token.lastIndexOf("-") + 1));
  const octets = number % LARGE_EVERY === 0 ? LARGE_OCTETS : SMALL_OCTETS;
  const line = `.${token} ${"x".repeat(60)}\r\n..\r\n\r\n`;
  return `Subject: ${token}\r\nDate: x\r\nMessage-ID: <${token}>\r\n\r\n${line.repeat(Math.ceil(octets / line.length))}`;
}

export function tokenOf(content: Buffer): string {
  return /^Subject: (.*)\r$/m.exec(content.toString("latin1", 0, 2000))?.[1] ?? "none";
}

function stuffed(content: string): string {
  return content.replaceAll("\r\n.", "\r\n..");
}

export class KillLoad {
  readonly acknowledged = new Set<string>();
  readonly unanswered = new Set<string>();
  /** Messages whose content was on its way when the relay died, of this life. */
  withinContent = 0;
  readonly #prefix: string;
  readonly #onAcknowledged: () => void;
  #number = 0;

  constructor(prefix: string, onAcknowledged: () => void) {
    this.#prefix = prefix;
    this.#onAcknowledged = onAcknowledged;
  }

  /** Resolves when every client has lost its connection. */
  async run(address: string, clients: number): Promise<void> {
    await Promise.all(Array.from({ length: clients }, (_, index) => this.#client(address, index === 0 ? PAUSE_MILLISECONDS : 0)));
  }

  async #client(address: string, pauseMilliseconds: number): Promise<void> {
    const client = await SmtpClient.open(address).catch((error: NodeJS.ErrnoException) => {
      // It died between its "ready" and now.
      assert.match(error.code ?? "", /^(?:ECONNREFUSED|ECONNRESET)$/);
    });
    if (client === undefined) return;
    while (!client.ended) await this.#message(client, pauseMilliseconds);
  }

  async #message(client: SmtpClient, pauseMilliseconds: number): Promise<void> {
    const token = `${this.#prefix}-${this.#number}`;
    this.#number += 1;
    const content = stuffed(contentOf(token));
    if (!(await client.begin()).startsWith("354")) return;
    const half = Math.floor(content.length / 2);
    client.write(content.slice(0, half));
    this.withinContent += 1;
    if (pauseMilliseconds > 0) await delay(pauseMilliseconds);
    if (client.ended) return;
    this.withinContent -= 1;
    this.unanswered.add(token);
    client.write(`${content.slice(half)}.\r\n`);
    const reply = await client.reply();
    if (reply === "") return;
    assert.match(reply, /^250 /, token);
    this.unanswered.delete(token);
    this.acknowledged.add(token);
    this.#onAcknowledged();
  }
}
