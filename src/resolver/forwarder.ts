import type { Clock } from "../clock.ts";
import type { Message } from "../dns/message.ts";
import { type DomainName, displayName } from "../dns/name.ts";
import type { AskOptions, Source, SourceAnswer } from "./source.ts";
import { EDNS_UDP_PAYLOAD_SIZE, type ExchangeResult, type ServerAddress, type Transport } from "./transport.ts";

/** The least that one upstream gets before the next is tried. */
const MIN_ATTEMPT_MILLISECONDS = 500;
const DNS_PORT = 53;
/** An upstream that gave no answer is asked last for this long. */
const PENALTY_MILLISECONDS = 30_000;

const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, YXDOMAIN: 6 } as const;
const RCODE_WORDS: ReadonlyMap<number, string> = new Map(Object.entries(RCODE).map(([word, rcode]) => [rcode, word]));

export type ForwarderOptions = {
  /** In order of preference. */
  upstreams: readonly [ServerAddress, ...ServerAddress[]];
  transport: Transport;
  clock: Clock;
  /** For one question with all its retries and upstreams. */
  timeoutSeconds: number;
};

/** Asks recursive servers, DO=1 so that signatures come along and CD=1 so that they hold nothing back (RFC 4035 §3.2.2, §4.9.3). */
export function createForwarder(options: ForwarderOptions): Source {
  const { clock, transport } = options;
  const penalties = new Map<ServerAddress, number>();

  function inOrder(): ServerAddress[] {
    const now = clock.monotonic();
    const late = (upstream: ServerAddress) => ((penalties.get(upstream) ?? 0) > now ? 1 : 0);
    return [...options.upstreams].sort((a, b) => late(a) - late(b));
  }

  async function ask(name: DomainName, type: number, { avoid }: AskOptions = {}): Promise<SourceAnswer> {
    const deadline = clock.monotonic() + options.timeoutSeconds * 1000;
    const upstreams = inOrder().filter((upstream) => avoid?.has(upstreamLabel(upstream)) !== true);
    const reasons: string[] = [];
    for (const [i, upstream] of upstreams.entries()) {
      const left = deadline - clock.monotonic();
      if (left <= 0) break;
      const share = Math.min(left, Math.max(MIN_ATTEMPT_MILLISECONDS, left / (upstreams.length - i)));
      const result = await transport.exchange(
        upstream,
        {
          name,
          type,
          recursionDesired: true,
          checkingDisabled: true,
          edns: { udpPayloadSize: EDNS_UDP_PAYLOAD_SIZE, dnssecOk: true },
        },
        share,
      );
      const answer = judgeExchange(upstream, result);
      if (result.kind === "response") penalties.delete(upstream);
      else penalties.set(upstream, clock.monotonic() + PENALTY_MILLISECONDS);
      if (answer.kind === "message") return answer;
      reasons.push(answer.reason);
    }
    return { kind: "failed", reason: reasons.join("; ") || `no upstream is left to ask for ${displayName(name)}` };
  }
  return { ask };
}

/** Whether an upstream's reply is something to judge. Only NOERROR, NXDOMAIN and YXDOMAIN (RFC 6672 §2.2) say something about the name. */
function judgeExchange(upstream: ServerAddress, result: ExchangeResult): SourceAnswer {
  const who = `upstream ${upstreamLabel(upstream)}`;
  switch (result.kind) {
    case "timeout":
      return { kind: "failed", reason: `${who} did not answer in time` };
    case "unreachable":
      return { kind: "failed", reason: `${who} cannot be reached (${result.reason})` };
    case "malformed":
      return { kind: "failed", reason: `${who} sent a malformed message (${result.reason})` };
    case "response":
      return judgeMessage(upstream, result.message);
    default:
      return result satisfies never;
  }
}

function judgeMessage(upstream: ServerAddress, message: Message): SourceAnswer {
  const { rcode } = message;
  const who = `upstream ${upstreamLabel(upstream)}`;
  if (rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN && rcode !== RCODE.YXDOMAIN) {
    const word = RCODE_WORDS.get(rcode) ?? `RCODE ${rcode}`;
    // RFC 6891 §7: this is how a server without EDNS answers; without EDNS there is no DO bit, and without DO no signatures.
    const why = rcode === RCODE.FORMERR || rcode === RCODE.NOTIMP ? " (it may not know EDNS, which DNSSEC needs)" : "";
    return { kind: "failed", reason: `${who} answered ${word}${why}` };
  }
  if (message.edns === undefined) return { kind: "failed", reason: `${who} does not speak EDNS, so no DNSSEC passes through it` };
  return { kind: "message", message, from: upstreamLabel(upstream) };
}

/** As in the configuration, for people and for `avoid`. */
export function upstreamLabel({ address, port, tls }: ServerAddress): string {
  if (tls !== undefined) return `tls://${address}#${tls.name}`;
  if (port === DNS_PORT) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
