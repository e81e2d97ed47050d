import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/**
 * Log-ins at the operator's page. A session keeps the token that opened it and is worth as much as that token: when the token of the file changes, or
 * the process ends, it is over. The cookie is for this site only, unreadable for scripts, and not
 * sent from other sites' pages; it cannot be Secure, since the admin address speaks HTTP.
 */
export type PageSession = {
  id: string;
  token: string;
  /** What every form of this session carries (CSRF). */
  csrf: string;
  /** What the next page says has been done. */
  notice?: string;
};

/** With the port behind it that the browser asks at: it keeps cookies by host alone, and several relays may be forwarded to one. */
const SESSION_COOKIE = "dane-relay-session";
type AskedWith = Readonly<Record<string, string | undefined>>;

const SECRET_BYTES = 32;
const SESSION_MILLISECONDS = 12 * 3_600_000;
const MAX_SESSIONS = 100;

export class PageSessions {
  readonly #monotonic: () => number;
  /** By the digest of the id: a look-up's time says nothing of the ids that there are. */
  readonly #sessions = new Map<string, PageSession & { until: number }>();

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** `token` has been found to be right. */
  open(token: string): PageSession {
    const session = { id: secret(), token, csrf: secret(), until: this.#monotonic() + SESSION_MILLISECONDS };
    this.#sessions.set(digest(session.id), session);
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size > MAX_SESSIONS && oldest !== undefined) this.#sessions.delete(oldest);
    return session;
  }

  /** The session that a request's headers name. */
  of({ cookie, host }: AskedWith): PageSession | undefined {
    const id = cookieValue(cookie, cookieName(host));
    if (id === undefined) return undefined;
    const key = digest(id);
    const session = this.#sessions.get(key);
    if (session === undefined || session.until > this.#monotonic()) return session;
    this.#sessions.delete(key);
    return undefined;
  }

  close({ id }: PageSession): void {
    this.#sessions.delete(digest(id));
  }
}

/** `host`: as the request had it. */
export function setCookie({ id }: PageSession, { host }: AskedWith): string {
  return `${cookieName(host)}=${id}; Path=/; HttpOnly; SameSite=Strict`;
}

export function forgetCookie({ host }: AskedWith): string {
  return `${cookieName(host)}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0`;
}

function cookieName(host = ""): string {
  const [, port] = /:(\d{1,5})$/.exec(host) ?? [];
  return port === undefined ? SESSION_COOKIE : `${SESSION_COOKIE}-${port}`;
}

export function isCsrf(session: PageSession, presented: string | undefined): boolean {
  return presented !== undefined && timingSafeEqual(Buffer.from(digest(presented)), Buffer.from(digest(session.csrf)));
}

function cookieValue(header: string | undefined, wanted: string): string | undefined {
  const found = (header ?? "").split(";").map((pair) => pair.trim().split("=", 2));
  return found.find(([name]) => name === wanted)?.[1];
}

function secret(): string {
  return randomBytes(SECRET_BYTES).toString("base64url");
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}
