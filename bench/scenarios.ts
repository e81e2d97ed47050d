import type { DaneWorld } from "./daneWorld.ts";
import type { Load } from "./load.ts";

/** What is measured end to end, by the name that `--only` takes. */
export type Scenario = {
  title: string;
  /**
   * plain: one next hop without TLS, which is smtp-sink; ending: one that ends the connection behind each message; the others: MX and TLSA
   * records, validated, of one destination or of 200 domains on 20 hosts.
   */
  delivery: "plain" | "ending" | keyof Pick<DaneWorld, "one" | "many"> | "one-ending";
  /** Of the clients; the relays reuse theirs as they see fit. */
  clients: Load["clients"];
  /** Where it is not that of the command line. */
  bytes?: number;
  /** Whom the first is compared with; this relay and Postfix when not given. */
  relays?: readonly [RelayName, RelayName];
};

export type RelayName = "dane-relay" | "two workers" | "postfix" | "exim" | "opensmtpd" | "haraka";

const FRESH = "a connection per message";
const REUSED = "reused connections";
const LARGE_BYTES = 100 * 1024;

export const SCENARIOS = {
  plain: { title: "plain", delivery: "plain", clients: FRESH },
  "plain-reused": { title: "plain", delivery: "plain", clients: REUSED },
  "plain-100k": { title: "plain, 100 KiB", delivery: "plain", clients: FRESH, bytes: LARGE_BYTES },
  "plain-ending": { title: "plain, the receiver ends the connection after each message", delivery: "ending", clients: FRESH },
  dane: { title: "DANE, one destination", delivery: "one", clients: FRESH },
  "dane-reused": { title: "DANE, one destination", delivery: "one", clients: REUSED },
  "dane-100k": { title: "DANE, one destination, 100 KiB", delivery: "one", clients: REUSED, bytes: LARGE_BYTES },
  "dane-domains": { title: "DANE, 200 domains on 20 hosts", delivery: "many", clients: REUSED },
  "dane-handshakes": { title: "DANE, a handshake for each message", delivery: "one-ending", clients: REUSED },
  workers: { title: "plain, two workers and one", delivery: "plain", clients: FRESH, relays: ["two workers", "dane-relay"] },
} as const satisfies Readonly<Record<string, Scenario>>;

type ScenarioName = keyof typeof SCENARIOS;

function isName(text: string): text is ScenarioName {
  return Object.hasOwn(SCENARIOS, text);
}

/** `npm run bench -- peers`: what else passes mail on, where it installs. */
export const PEERS: readonly Scenario[] = (["exim", "opensmtpd", "haraka"] as const).map((peer) => ({
  ...SCENARIOS.plain,
  title: `plain, and ${peer}`,
  relays: ["dane-relay", peer],
}));

/** Those that `only` names, with commas between them; all without it. Throws when there is none of a name. */
export function chosen(only: string | undefined): readonly ScenarioName[] {
  const names = Object.keys(SCENARIOS).filter(isName);
  if (only === undefined) return names;
  return only.split(",").map((name) => {
    if (!isName(name)) throw new Error(`no scenario ${name}: ${names.join(", ")}`);
    return name;
  });
}

export function needsDane({ delivery }: Scenario): boolean {
  return delivery !== "plain" && delivery !== "ending";
}
