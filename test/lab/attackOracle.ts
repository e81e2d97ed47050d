import type { Outcome } from "../../src/policy/disposition.ts";
import type { Peer, PeerSession } from "../fake/smtpPeer.ts";
import type { Tapped } from "./attacker.ts";
import { type Target, UNSIGNED_DOMAINS } from "./attackTargets.ts";
import type { AttackWorld } from "./attackWorld.ts";

/**
 * The judge of an attack. It knows what the proxies read, what the attacker's servers and the trap were given, and what the receivers hold;
 * of the relay's own words it hears only the outcome, to compare it with what the receivers hold.
 */
export type Sent = { target: Target; token: string; content: string; outcome: { kind: Outcome["kind"]; text: string } };

/** below-policy: what the attacker must never reach. delivery: mail that waits or bounces where it need not. trouble: the relay met a bug of its own. */
export type Violation = { sort: "below-policy" | "delivery" | "trouble"; target: string; token: string; what: string };

export type Evidence = {
  /** What went over the wire in clear text, as far as the attacker could read it. */
  wire: readonly Buffer[];
  /** What the attacker's own servers got inside their TLS. */
  terminated: readonly Buffer[];
  /** What the trap got, by DNS alone. */
  trapped: readonly Buffer[];
  held: readonly { host: string; content: string; inTls: boolean }[];
};

/** Where each server's list of sessions ended when a schedule began: what is before is not its. */
export type Mark = ReadonlyMap<Peer, number>;

export function markOf(world: AttackWorld): Mark {
  const peers = [...world.endpoints.all, ...world.receivers.values(), world.trap];
  return new Map(peers.map((peer) => [peer, peer.sessions.length]));
}

function since(mark: Mark, peer: Peer): readonly PeerSession[] {
  return peer.sessions.slice(mark.get(peer) ?? 0);
}

export function evidenceOf(world: AttackWorld, mark: Mark, tapped: readonly Tapped[]): Evidence {
  const endpoints = world.endpoints.all.flatMap((peer) => since(mark, peer));
  const trap = since(mark, world.trap);
  const held = [...world.receivers].flatMap(([host, peer]) => {
    const sessions = new Set(since(mark, peer));
    return peer.messages
      .filter(({ session }) => sessions.has(session))
      .map(({ content, inTls }) => ({ host, content: content.toString("latin1"), inTls }));
  });
  return {
    wire: [...tapped.map(({ fromRelay }) => Buffer.concat(fromRelay)), ...endpoints.map(({ clear }) => Buffer.concat(clear))],
    terminated: endpoints.map(({ insideTls }) => Buffer.concat(insideTls)),
    trapped: trap.map(({ clear, insideTls }) => Buffer.concat([...clear, ...insideTls])),
    held,
  };
}

/** What nobody on the way adds to. */
function bodyOf(content: string): string {
  return content.slice(content.indexOf("\r\n\r\n"));
}

/** Everything in which the message fared worse than its policy promises. */
export function judge({ target, token, content, outcome }: Sent, evidence: Evidence): Violation[] {
  const seen = (octets: readonly Buffer[]): boolean => octets.some((one) => one.includes(token));
  const held = evidence.held.filter((one) => one.content.includes(token));
  const inClear = seen(evidence.wire) || held.some(({ inTls }) => !inTls);
  const below: string[] = [];
  const strict = target.promise === "authenticate" || target.promise === "never";
  const unsigned = UNSIGNED_DOMAINS.includes(target.domain);
  const redirectable = unsigned && target.promise !== "never" && target.sts === undefined;
  if (inClear && target.promise !== "opportunistic") below.push("went over the wire in clear text");
  if (strict && seen(evidence.terminated)) below.push("was said inside TLS to the attacker's own server");
  if (seen(evidence.trapped) && !redirectable) below.push("forged DNS led it into the trap");
  if (target.promise === "never" && held.length > 0) below.push("was delivered although its policy cannot be met");
  for (const { host, content: got } of held) {
    if (target.promise !== "never" && !target.hosts.includes(host)) below.push(`is with ${host}, which is not the domain's`);
    if (target.promise === "authenticate" && !got.endsWith(bodyOf(content))) below.push(`was changed on its way to ${host}`);
  }
  if (target.promise === "authenticate") {
    const trapped = redirectable && seen(evidence.trapped);
    if (outcome.kind === "delivered" && held.length === 0 && !trapped)
      below.push("is called delivered, and no receiver holds it");
  }
  const violations = below.map((what): Violation => ({ sort: "below-policy", target: target.name, token, what }));
  // An attacker may delay such mail; that he makes it bounce is more than he may.
  if (strict && !unsigned && target.requireTls === undefined && outcome.kind === "failed") {
    const what = `was bounced because of an attack: ${outcome.text}`;
    violations.push({ sort: "delivery", target: target.name, token, what });
  }
  return violations;
}

/** While nobody attacks: what can be delivered is delivered, once, to the right host and inside TLS; the rest waits. */
export function judgeIdle(sent: Sent, evidence: Evidence): Violation[] {
  const { target, token, outcome } = sent;
  const violations = judge(sent, evidence);
  const held = evidence.held.filter(({ content }) => content.includes(token));
  const report = (what: string): void => {
    violations.push({ sort: "delivery", target: target.name, token, what: `nobody attacks, and it ${what}` });
  };
  if (target.promise === "never") {
    const expected = target.requireTls === undefined ? "deferred" : "failed";
    if (outcome.kind !== expected) report(`is ${outcome.kind}, not ${expected}`);
    return violations;
  }
  if (outcome.kind !== "delivered") report(`is ${outcome.kind}: ${outcome.text}`);
  else if (held.length !== 1 || held.some(({ inTls }) => !inTls)) report(`is held ${held.length} times inside TLS`);
  return violations;
}
