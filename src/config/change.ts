import { configOf, type InForce } from "./load.ts";
import type { Config } from "./schema.ts";

/** What follows from another configuration for a relay that runs. */
export type ConfigChange = {
  /** The configuration from now on: changed where that needs no restart, else as it was. */
  config: Config;
  inForce: readonly InForce[];
  /** Keys that changed and are in force. */
  live: readonly string[];
  /** Keys that changed and wait for the next start. */
  atRestart: readonly string[];
};

/**
 * Keys, or sections of them, that a running relay takes over. Not among them: addresses that are listened at, the spool, the resolver,
 * who we are, and delivery.retry.maximumSeconds, by which the spool knows due times that a wrong clock made.
 */
const LIVE = [
  "submission.tls.certificateFile",
  "submission.tls.keyFile",
  "submission.trustedNetworks",
  "submission.proxyProtocolNetworks",
  "submission.senderRewrites",
  "submission.maxMessageBytes",
  "submission.maxRecipients",
  "submission.maxConnections",
  "submission.maxConnectionsPerClient",
  "submission.rate.messagesPerMinute",
  "submission.rate.recipientsPerMinute",
  "delivery.port",
  "delivery.insecureMx",
  "delivery.sourceAddresses",
  "delivery.tlsPolicies",
  "delivery.routes",
  "delivery.tlsRequiredNo",
  "delivery.opportunisticTlsVersion",
  "delivery.maxConnections",
  "delivery.maxConnectionsPerDestination",
  "delivery.rates",
  "delivery.drain",
  "delivery.drainSeconds",
  "delivery.retry.initialSeconds",
  "delivery.retry.lifetimeHours",
  "delivery.retry.delayWarningHours",
  "delivery.timeouts.connectSeconds",
  "delivery.timeouts.commandSeconds",
  "dkim.sign",
  "admin.tokenFile",
  "log.level",
  "log.recipients",
];

/** TLS of submission cannot begin or end while its listeners are open. */
const ONLY_RENEWED: ReadonlySet<string> = new Set(["submission.tls.certificateFile", "submission.tls.keyFile"]);

/** Compares what is in force with what was loaded now. */
export function configChange(before: readonly InForce[], loaded: readonly InForce[]): ConfigChange {
  const live: string[] = [];
  const atRestart: string[] = [];
  const inForce = before.map((old) => {
    const fresh = loaded.find(({ key }) => key === old.key);
    if (fresh === undefined || sameValue(old.value, fresh.value)) return old;
    if (!isLive(old, fresh)) {
      atRestart.push(old.key);
      return old;
    }
    live.push(old.key);
    return fresh;
  });
  return { config: configOf(inForce), inForce, live, atRestart };
}

function isLive(old: InForce, fresh: InForce): boolean {
  if (!LIVE.includes(old.key)) return false;
  return !ONLY_RENEWED.has(old.key) || (old.value !== undefined && fresh.value !== undefined);
}

/** Values are what YAML can hold. */
function sameValue(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
