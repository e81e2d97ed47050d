import type { Outcome } from "../../src/policy/disposition.ts";
import { contentOf, tappedUntilClosed } from "./attackerCampaign.ts";
import { evidenceOf, judge, markOf, type Sent, type Violation } from "./attackOracle.ts";
import { scheduleOf } from "./attackSchedule.ts";
import { TARGETS, type Target } from "./attackTargets.ts";
import type { AttackWorld } from "./attackWorld.ts";
import { type RelayEvent, type RelayProcess, startRelayProcess } from "./relayProcess.ts";

/** The same attacks on the relay as users run it: a process with a configuration file, its queue, its retries. */
export type ProcessResult = { messages: number; violations: readonly Violation[] };

/** The lab has no web server for MTA-STS, and REQUIRETLS needs a submission inside TLS. */
const PROCESS_TARGETS = TARGETS.filter(({ sts, requireTls }) => sts === undefined && requireTls === undefined);
const TIMEOUT_SECONDS = 2;
/** After the attack: destinations that only failed rest for half a minute or a minute, and the machine may be busy. */
const RECOVERY_SECONDS = 150;
const EXPIRES = "2099-01-01";

type Message = { target: Target; token: string; recipient: string };

function configuration(source: string): Readonly<Record<string, unknown>> {
  const tlsPolicies = PROCESS_TARGETS.flatMap(({ domain, level, name }) =>
    level === undefined ? [] : [{ domain, level, reason: name, ...(level === "dane-only" ? {} : { expires: EXPIRES }) }],
  );
  return {
    tlsPolicies,
    sourceAddresses: [source],
    retry: { initialSeconds: 1, maximumSeconds: 2 },
    timeouts: { connectSeconds: TIMEOUT_SECONDS, commandSeconds: TIMEOUT_SECONDS },
  };
}

function deliveriesOf(relay: RelayProcess, { recipient }: Message): readonly RelayEvent[] {
  return relay.events().filter((event) => event.event === "delivery" && event.recipient === recipient);
}

function outcomeOf(relay: RelayProcess, message: Message): Sent["outcome"] {
  const last = deliveriesOf(relay, message).at(-1);
  if (last === undefined) throw new Error(`no delivery event for ${message.recipient}`);
  return { kind: last.outcome as Outcome["kind"], text: String(last.reason) };
}

/** One message to each target in each round, under that round's attack; then the attack ends, and what can be delivered has to be. */
export async function attackProcess(world: AttackWorld, seed: number, rounds: number): Promise<ProcessResult> {
  const [lane] = world.lanes;
  if (lane === undefined) throw new Error("the world has no lane");
  const mark = markOf(world);
  const messages: Message[] = [];
  const relay = await startRelayProcess(world.lab, `attacked-${seed}`, {
    upstreams: [lane.resolver],
    lookupSeconds: TIMEOUT_SECONDS,
    delivery: configuration(lane.source),
  });
  try {
    for (let round = 0; round < rounds; round += 1) {
      const [step] = scheduleOf(seed, round).steps;
      if (step === undefined) throw new Error("a schedule without a step");
      lane.attack(step);
      const sent = PROCESS_TARGETS.map((target, i): Message => {
        const token = `p${seed}x${round}x${i}x`;
        return { target, token, recipient: `${token}@${target.domain}` };
      });
      messages.push(...sent);
      await relay.submit(
        // Without a sender nobody is told of a failure: a notice would carry the token to where it came from.
        sent.map(({ token, recipient }) => ({ sender: "", recipient, content: contentOf(token) })),
      );
      for (const message of sent) {
        await relay.event(
          `an attempt for ${message.recipient}`,
          (event) => event.event === "delivery" && event.recipient === message.recipient,
        );
      }
    }
    lane.attack({ dns: { kind: "honest" }, wire: [{ kind: "idle" }] });
    for (const message of messages.filter(({ target }) => target.promise !== "never")) {
      await relay.event(
        `${message.recipient} delivered, or bounced by the attacker where he may`,
        (event) => event.event === "delivery" && event.recipient === message.recipient && event.outcome !== "deferred",
        RECOVERY_SECONDS,
      );
    }
  } finally {
    await relay.stop();
  }
  const evidence = evidenceOf(world, mark, await tappedUntilClosed(world, lane));
  const violations = messages.flatMap((message) => {
    const { target, token } = message;
    return judge({ target, token, content: contentOf(token), outcome: outcomeOf(relay, message) }, evidence);
  });
  return { messages: messages.length, violations };
}
