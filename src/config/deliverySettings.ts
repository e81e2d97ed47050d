import { isIP } from "node:net";
import { ipAddress } from "./address.ts";
import { domainPattern, nextHop, routedDomain } from "./domain.ts";
import { optionalSetting, setting } from "./setting.ts";
import {
  boolean,
  choice,
  integer,
  list,
  mapped,
  object,
  type Problem,
  path,
  problem,
  shown,
  textual,
  type ValueType,
  value,
} from "./value.ts";

/** A year is more than RFC 5321 asks for (4 to 5 days), a day of seconds more than any wait between attempts should be. */
const MAX_LIFETIME_HOURS = 24 * 365;
const MAX_RETRY_SECONDS = 7 * 24 * 3600;
/** RFC 5321 §4.5.3.2 names 10 minutes as the longest of its timeouts. */
const MAX_COMMAND_SECONDS = 3600;

/** A day, which begins at midnight UTC, or an instant with its offset. Yields milliseconds since the epoch. */
const instant = textual<number>("a day (2027-01-31: until it begins, UTC) or an instant (2027-01-31T12:00:00Z)", (text) => {
  const match = /^(\d{4}-\d\d-\d\d)(T\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d))?$/.exec(text);
  const milliseconds = match === null ? Number.NaN : Date.parse(text);
  if (match === null || Number.isNaN(milliseconds)) return "no";
  // Date.parse takes 2027-02-31 for a day in March.
  const day = Date.parse(match[1] ?? "");
  return new Date(day).toISOString().startsWith(match[1] ?? "")
    ? value(milliseconds)
    : problem(`${shown(text)} is no day of the calendar`);
});

const RELAXING = ["encrypt", "may", "none"];

const writtenTlsPolicy = object(
  {
    domain: { type: domainPattern, need: "required" },
    level: { type: choice(["dane-only", "dane", "encrypt", "may", "none"]), need: "required" },
    reason: { type: textual("text", (text) => (text === "" ? "no" : value(text))), need: "optional" },
    expires: { type: instant, need: "optional" },
  },
  (policy): Problem | "ok" => {
    if (RELAXING.includes(policy.level) && policy.expires === undefined) {
      return { path: [], message: `lacks expires: level ${policy.level} is weaker than dane, so it must end some day` };
    }
    if (policy.level === "dane-only" && policy.expires !== undefined) {
      return {
        path: ["expires"],
        message: "is refused for level dane-only: a demand that ends by itself would be a silent downgrade",
      };
    }
    return "ok";
  },
);

/** An entry of `delivery.tlsPolicies`. `expiresAt`: milliseconds since the epoch; whoever applies it has the clock, and drops what has expired. */
export type TlsPolicySetting = {
  domain: string;
  level: "dane-only" | "dane" | "encrypt" | "may" | "none";
  reason?: string;
  expiresAt?: number;
};

const tlsPolicy = mapped(
  writtenTlsPolicy,
  ({ expires, ...policy }): TlsPolicySetting => (expires === undefined ? policy : { ...policy, expiresAt: expires }),
);

/** RFC 4616 §2: neither may hold a NUL. */
const userName = textual("text", (text) => (text === "" || text.includes("\0") ? "no" : value(text)));
/** As it is, blanks too; and never in a message. */
const secret: ValueType<string> = {
  words: "text",
  form: "scalar",
  parse: (input) =>
    typeof input === "string" && input !== "" && !input.includes("\0") ? value(input) : problem("must be text, in quotes"),
};

const routeAuth = object(
  {
    username: { type: userName, need: "required" },
    password: { type: secret, need: "optional" },
    passwordFile: { type: path, need: "optional" },
  },
  ({ password, passwordFile }): Problem | "ok" =>
    (password === undefined) === (passwordFile === undefined)
      ? { path: [], message: "takes one of password and passwordFile" }
      : "ok",
);

const writtenRoute = object(
  {
    domain: { type: routedDomain, need: "required" },
    nextHop: { type: nextHop, need: "required" },
    tls: { type: choice(["starttls", "implicit"]), need: "optional" },
    auth: { type: routeAuth, need: "optional" },
  },
  ({ nextHop: hop, auth }): Problem | "ok" =>
    auth !== undefined && isAddressHop(hop)
      ? { path: ["auth"], message: "needs a next hop with a name: a certificate is checked for it before AUTH" }
      : "ok",
);

/** `[192.0.2.1]`, `[2001:db8::1]:587`. */
function isAddressHop(hop: string): boolean {
  return isIP(/^\[([^\]]+)\]/.exec(hop)?.[1] ?? "") !== 0;
}

/** An entry of `delivery.routes`. `auth`: with one of password and passwordFile. */
export type RouteSetting = {
  domain: string;
  nextHop: string;
  tls: "starttls" | "implicit";
  auth?: { username: string; password?: string; passwordFile?: string };
};

const route = mapped(writtenRoute, ({ tls, ...rest }): RouteSetting => ({ ...rest, tls: tls ?? "starttls" }));

const rate = object(
  {
    domain: { type: routedDomain, need: "required" },
    messagesPerMinute: { type: integer(1, 1_000_000), need: "required" },
  },
  () => "ok",
);

/** One of each family: which of two would be used is nothing that a reader could know. */
const sourceAddresses = list("IP addresses, at most one of each family", ipAddress, (address) =>
  address.includes(":") ? "an IPv6 address" : "an IPv4 address",
);

/** `delivery.*`: how mail goes out. */
export const DELIVERY_SETTINGS = {
  port: setting(integer(1, 65535), 25, "The port that MX hosts are reached at, and of _PORT._tcp in TLSA names."),
  insecureMx: setting(
    choice(["dane", "encrypt", "may"]),
    "dane",
    "What an MX host with usable TLSA records needs when the MX records themselves are not signed (RFC 7672 §2.2.1): authentication " +
      "(logged as halfdane), TLS, or TLS where it is offered.",
  ),
  allowLoopback: setting(
    boolean,
    false,
    "Whether MX hosts at loopback, link-local, unspecified and multicast addresses are used. For labs; elsewhere it invites loops.",
  ),
  sourceAddresses: setting(sourceAddresses, [], "Local addresses to send from, at most one of each family.", [
    "192.0.2.10",
    "2001:db8::10",
  ]),
  tlsPolicies: setting(
    list("{domain, level, reason?, expires?}", tlsPolicy, (policy) => policy.domain),
    [],
    "Exceptions by recipient domain (.example.org: its subdomains). level: dane-only, dane, encrypt, may or none. What relaxes (encrypt, may, " +
      "none) must expire; dane-only must not.",
    [
      { domain: "example.org", level: "dane-only", reason: "contract" },
      { domain: "example.net", level: "may", reason: "ticket 4711: their TLSA record is stale", expires: "2027-01-31" },
    ],
  ),
  routes: setting(
    list("{domain, nextHop, tls?, auth?}", route, (entry) => entry.domain),
    [],
    'Next hops by recipient domain (.example.org: its subdomains; "*": everything else). "[host]:port" skips the MX look-up. tls: starttls ' +
      "(when not given) or implicit. auth: {username, passwordFile} (or password), used only inside TLS that DANE or a trusted CA authenticates.",
    [
      { domain: ".example.org", nextHop: "[hub.example.org]:587" },
      {
        domain: "*",
        nextHop: "[smarthost.example.net]:465",
        tls: "implicit",
        auth: { username: "relay", passwordFile: "/etc/dane-relay/smarthost.password" },
      },
    ],
  ),
  tlsRequiredNo: setting(
    choice(["honour", "ignore"]),
    "honour",
    "The header TLS-Required: No (RFC 8689 §5): with honour, such a message is delivered even where DANE cannot be met. It never relaxes tlsPolicies.",
  ),
  opportunisticTlsVersion: setting(
    choice(["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]),
    "TLSv1",
    "The least TLS version where no policy demands TLS; a host below it gets its mail in clear text. Demanded TLS is 1.2 at least.",
  ),
  maxConnections: setting(integer(1, 10_000), 200, "Outgoing connections at a time."),
  maxConnectionsPerDestination: setting(integer(1, 1000), 20, "Outgoing connections at a time to one destination."),
  rates: setting(
    list("{domain, messagesPerMinute}", rate, (entry) => entry.domain),
    [],
    'Most messages a minute to one destination, by recipient domain (.example.org: each of its subdomains; "*": each other one). Evenly spread: ' +
      "a second's worth may go at once.",
    [{ domain: "example.org", messagesPerMinute: 60 }],
  ),
  drain: setting(
    choice(["transactions", "queue"]),
    "transactions",
    "What SIGTERM does before the process ends. transactions: open ones are finished, what is queued stays in the spool. queue: also everything " +
      "that is due is tried, for delivery.drainSeconds at most, and the log says how much stays: for a sidecar whose spool goes with it.",
  ),
  drainSeconds: setting(
    integer(1, 3600, "seconds"),
    20,
    "How long new attempts are begun at a stop with drain: queue. Kubernetes kills a container 30 seconds after SIGTERM unless told otherwise.",
  ),
  retry: {
    initialSeconds: setting(
      integer(1, MAX_RETRY_SECONDS, "seconds"),
      300,
      "The wait after the first failed attempt; it then doubles.",
    ),
    maximumSeconds: setting(integer(1, MAX_RETRY_SECONDS, "seconds"), 14_400, "The longest wait between two attempts."),
    lifetimeHours: setting(
      integer(1, MAX_LIFETIME_HOURS, "hours"),
      120,
      "After this time a message is given up, and its sender is told so.",
    ),
    delayWarningHours: setting(
      integer(1, MAX_LIFETIME_HOURS, "hours"),
      4,
      "After this time the sender of a waiting message is told that it waits.",
    ),
  },
  timeouts: {
    connectSeconds: setting(integer(1, 300, "seconds"), 30, "Time for a TCP connection."),
    commandSeconds: optionalSetting(
      integer(1, MAX_COMMAND_SECONDS, "seconds"),
      "each phase has the minimum of RFC 5321 §4.5.3.2",
      "A ceiling for every phase of the dialogue.",
      120,
    ),
  },
};
