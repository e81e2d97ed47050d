import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PeerSession } from "../../fake/smtpPeer.ts";
import { type Played, playOnce, type World } from "./deliveryWorld.ts";

/** One world, and what becomes of a message in it: outcome, status, tls word, dane word, dnssec words of MX/address/TLSA, and what the receivers accepted. */
type Row = [title: string, world: World, expected: string];

export const MX1 = "example.org MX secure 10 mx1.example.org\nmx1.example.org A secure mx1";
export const INSECURE_HOST = `${MX1.replace("A secure", "A insecure")}\nmx1.example.org AAAA insecure nodata`;
export const MX2 = "example.org MX secure 20 mx2.example.org\nmx2.example.org A secure mx2";
export const TLSA1 = "_PORT._tcp.mx1.example.org TLSA secure 3 1 1 own";
export const TLSA2 = "_PORT._tcp.mx2.example.org TLSA secure 3 1 1 own";
export const INSECURE_MX = "example.org MX insecure 10 mx1.example.org\nmx1.example.org A secure mx1";
export const ONE = { mx1: "self-signed" } as const;
export const CLEAR = { mx1: "no-starttls" } as const;
export const TWO = { mx1: "self-signed", mx2: "self-signed" } as const;
export const dns = (...lines: readonly string[]): string => lines.join("\n");

export function summary({ results, received }: Played): string {
  const [first] = results;
  assert.ok(first !== undefined);
  const { outcome, trace } = first;
  const status = outcome.kind === "delivered" ? "2" : outcome.status;
  const { mx, address, tlsa } = trace.dnssec;
  return [outcome.kind, status, trace.tls, trace.dane, `${mx}/${address}/${tlsa}`, ...received].join(" ");
}

function transactions(sessions: readonly PeerSession[]): number {
  return sessions.filter(({ commands }) => commands.some(({ line }) => /^(?:AUTH|MAIL)/.test(line))).length;
}

async function check(world: World, expected: string): Promise<void> {
  const played = await playOnce(world);
  assert.equal(summary(played), expected, JSON.stringify(played.results));
  assert.deepEqual(played.troubles, []);
  // Below its policy no host hears of the message at all, whatever the relay says of itself.
  if (!expected.includes(" !")) return;
  for (const [name, { sessions }] of played.peers) assert.equal(transactions(sessions), 0, `${name} was told of the message`);
}

export function rows(title: string, table: readonly Row[]): void {
  describe(title, () => {
    for (const [name, world, expected] of table) test(`${name}: ${expected}`, () => check(world, expected));
  });
}
