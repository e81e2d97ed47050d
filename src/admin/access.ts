import { isIP } from "node:net";
import { type ApiAnswer, type ApiError, refused } from "./apiAnswer.ts";
import type { TokenGuesses } from "./tokenGuesses.ts";

/**
 * Who may do what over the operator's HTTP.
 *
 *                        reading                              actions
 *   control socket       yes: its file permissions decide     yes
 *   token configured     with the token                       with the token, from no other site's page
 *                        (wrong ones are slowed down: tokenGuesses.ts)
 *   no token             from this machine itself, by no      no
 *                        name of another, from no other site
 *
 * Recipients' addresses are personal data: reading is not free for everybody who reaches the port.
 */
export type Caller =
  /** Over the control socket. */
  | { kind: "local" }
  /** `address`: of the peer of the connection; `ownAddress`: where it reached us. */
  | { kind: "remote"; address: string; ownAddress: string; headers: Readonly<Record<string, string | undefined>> };

const WRONG_TOKEN = "this is not the token of admin.tokenFile";

export type Access = {
  /** Whether a token is configured, and what one that is presented is; `guesses`: slows wrong ones down. */
  token: { kind: "none" } | { kind: "configured"; matches: (presented: string) => boolean; guesses?: TokenGuesses };
  /** Names of this relay, in lower case, that a browser may know it by when there is no token. */
  hostnames: ReadonlySet<string>;
};

/** Who acts, as the audit log says it. */
export type Actor = { who: "local" } | { who: "token" | "session" | "loopback"; client: string };

export type Permission =
  | { kind: "granted"; actor: Actor }
  | { kind: "refused"; error: ApiError; message: string; answer: ApiAnswer };

/** Whether `caller` may read, or change (`action`), the queue. */
export function permissionOf(caller: Caller, purpose: "read" | "action", access: Access): Permission {
  if (caller.kind === "local") return { kind: "granted", actor: { who: "local" } };
  const site = foreignSite(caller.headers);
  if (site !== undefined) return refusal("cross-site", `a page of ${site} may not use this relay`);
  if (access.token.kind === "none") return withoutToken(caller, purpose, access);
  const presented = /^Bearer +([^ ]+) *$/i.exec(caller.headers.authorization ?? "")?.[1];
  if (presented === undefined) {
    return refusal("token-required", "send the token of admin.tokenFile as Authorization: Bearer TOKEN");
  }
  return byToken(caller, presented, "token", access);
}

/** The same for a browser that uses a session which was opened with `token` (page.ts). Reading and acting are one here. */
export function permissionOfSession(caller: Caller & { kind: "remote" }, token: string, access: Access): Permission {
  const site = foreignSite(caller.headers);
  if (site !== undefined) return refusal("cross-site", `a page of ${site} may not use this relay`);
  // It was right once: this is no guess, and others' guesses from the same address do not end it.
  if (access.token.kind === "none" || !access.token.matches(token)) return refusal("wrong-token", "the token has changed");
  return { kind: "granted", actor: { who: "session", client: caller.address } };
}

/** Whether a browser may open a session with `token`. */
export function permissionToLogIn(caller: Caller & { kind: "remote" }, token: string, access: Access): Permission {
  const site = foreignSite(caller.headers);
  if (site !== undefined) return refusal("cross-site", `a page of ${site} may not use this relay`);
  if (access.token.kind === "none") return refusal("actions-disabled", "no token is configured: set admin.tokenFile");
  return byToken(caller, token, "session", access);
}

function byToken(
  { address }: Caller & { kind: "remote" },
  presented: string,
  who: "token" | "session",
  { token }: Access,
): Permission {
  if (token.kind === "none") return refusal("wrong-token", WRONG_TOKEN);
  const { matches, guesses } = token;
  const wait = Math.ceil(guesses?.waitSeconds(address) ?? 0);
  if (wait > 0) return tooManyGuesses(wait);
  if (!matches(presented)) {
    guesses?.wrong(address);
    return refusal("wrong-token", WRONG_TOKEN);
  }
  guesses?.right(address);
  return { kind: "granted", actor: { who, client: address } };
}

/** RFC 6585 §4. */
function tooManyGuesses(seconds: number): Permission {
  const [error, message] = [
    "too-many-guesses",
    `too many wrong tokens came from this address: none is looked at for ${seconds} s`,
  ] as const;
  const answer = { ...refused(error, message), headers: { "retry-after": String(seconds) } };
  return { kind: "refused", error, message, answer };
}

function withoutToken(caller: Caller & { kind: "remote" }, purpose: "read" | "action", access: Access): Permission {
  if (purpose === "action") {
    const message = "no token is configured: set admin.tokenFile, or use dane-relay queue on the machine of the relay";
    return refusal("actions-disabled", message);
  }
  // Both ends: the proxy of a service mesh shows strangers as a loopback address, and comes to one that is none.
  const here = isLoopback(caller.address) && isLoopback(caller.ownAddress);
  if (!here || isProxied(caller.headers)) {
    return refusal("token-required", "reading from another machine needs a token: set admin.tokenFile");
  }
  // DNS rebinding: a page of another site whose name was made to lead here comes with that name.
  if (!isOwnHost(caller.headers.host, access.hostnames)) {
    return refusal("wrong-host", "without a token the relay answers only to its addresses, localhost and its hostname");
  }
  return { kind: "granted", actor: { who: "loopback", client: caller.address } };
}

/** The site whose page made the request, where that is not ours; "another site" where the browser does not name it. */
function foreignSite(headers: Readonly<Record<string, string | undefined>>): string | undefined {
  const { origin, host } = headers;
  // TLS may end in front of us: the scheme is not compared.
  if (origin !== undefined && origin.replace(/^https?:\/\//, "").toLowerCase() !== host?.toLowerCase()) return origin;
  const site = headers["sec-fetch-site"];
  return site === undefined || site === "same-origin" || site === "none" ? undefined : "another site";
}

/** What proxies say of themselves, or of whom they speak for. */
const PROXY_HEADER = /^(?:forwarded|via|x-real-ip|x-forwarded-.+|x-envoy-.+)$/;

function isProxied(headers: Readonly<Record<string, string | undefined>>): boolean {
  return Object.keys(headers).some((name) => PROXY_HEADER.test(name));
}

function isLoopback(address: string): boolean {
  return /^(?:::ffff:)?127\./.test(address) || address === "::1";
}

function isOwnHost(header: string | undefined, hostnames: ReadonlySet<string>): boolean {
  const host = (header ?? "").toLowerCase().replace(/:\d+$/, "").replace(/\.$/, "");
  return host === "localhost" || hostnames.has(host) || isIP(host.replace(/^\[(.*)\]$/, "$1")) !== 0;
}

function refusal(...[error, message]: Parameters<typeof refused>): Permission {
  return { kind: "refused", error, message, answer: refused(error, message) };
}
