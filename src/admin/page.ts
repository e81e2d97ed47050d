import type { QueueAdmin, QueuePage } from "../spool/queueAdmin.ts";
import type { QueueCounts } from "../spool/store.ts";
import { type Access, type Actor, type Caller, permissionOf, permissionOfSession, permissionToLogIn } from "./access.ts";
import type { Api } from "./api.ts";
import { type Asked, asked } from "./asked.ts";
import { CONFIRM_SAMPLE, confirmPage, loginPage } from "./askPage.ts";
import type { DeliveryRing } from "./deliveryRing.ts";
import { ExplainDesk, type PageExplanation } from "./explainDesk.ts";
import { explainPage } from "./explainPage.ts";
import { CHECK_MILLISECONDS, type Check, checksWithin } from "./health.ts";
import { type Html, html } from "./html.ts";
import { messagePage } from "./messagePage.ts";
import type { OutcomeSeries } from "./outcomeSeries.ts";
import { overviewPage } from "./overviewPage.ts";
import { actionRequest, changeText, ownPath } from "./pageForm.ts";
import { FAVICON, type Layout, type PageAnswer, page, seeOther, type Visitor } from "./pageLayout.ts";
import { forgetCookie, isCsrf, type PageSession, PageSessions, setCookie } from "./pageSession.ts";
import { QUEUE_PAGE, queuePage } from "./queuePage.ts";
import { isId, listQuery } from "./queueQuery.ts";
import type { RelayFacts } from "./relayVerdict.ts";

/**
 * The operator's page: HTML that the relay writes, for reading and acting without scripts.
 *
 * GET  /            the state of the relay        GET  /queue, /queue/ID   what waits
 * GET  /explain     ?domain=                      POST /queue/act          retry, hold, release, delete
 * POST /login, /logout
 *
 * Who may read the API without a token may read here; everything else, and all of it where a token is configured, needs a log-in with the token.
 */
export type PageRequest = {
  method: string;
  path: string;
  query: URLSearchParams;
  /** Path and query as they came. */
  target: string;
  contentType: string | undefined;
  /** At most `limit` octets of it. */
  body: (limit: number) => Promise<{ kind: "text"; text: string } | { kind: "too-large" }>;
};

export type PageOptions = {
  api: Pick<Api, "destinations" | "perform">;
  queueAdmin: QueueAdmin;
  access: () => Access;
  facts: () => RelayFacts;
  checks: () => Promise<readonly Check[]>;
  counts: () => Promise<QueueCounts>;
  ring: DeliveryRing;
  series: OutcomeSeries;
  explain: (target: string) => Promise<PageExplanation>;
  monotonic: () => number;
  /** Somebody with the token, at `client`. */
  onLogIn: (client: string) => void;
};

type RemoteCaller = Caller & { kind: "remote" };
type Known =
  | { kind: "operator"; session: PageSession; actor: Actor }
  | { kind: "reader" }
  | { kind: "refused"; status: number; message: string; way: "log-in" | "same-page" | "none" };

const FORM_TYPE = /^application\/x-www-form-urlencoded *(?:;|$)/i;
/** Of what anybody may send, and of what an operator's form with all its boxes has. */
const MAX_LOGIN_BYTES = 16_384;
const MAX_FORM_BYTES = 262_144;
const NO_TOKEN =
  "This page is read only, since no token is configured. To act here and to explain domains, let admin.tokenFile name a file with one (openssl rand -base64 32) and restart or reload; on the relay's machine, dane-relay queue acts without.";
const BY_HEADER = "Log in to act.";

export class OperatorPage {
  readonly #options: PageOptions;
  readonly #sessions: PageSessions;
  readonly #desk: ExplainDesk;

  constructor(options: PageOptions) {
    this.#options = options;
    this.#sessions = new PageSessions(options.monotonic);
    this.#desk = new ExplainDesk(options);
  }

  /** Whether `path` is one of these pages. */
  static has(path: string): boolean {
    return ["/", "/queue", "/explain", "/login", "/logout", "/favicon.svg"].includes(path) || path.startsWith("/queue/");
  }

  /** Never rejects but for a broken connection. */
  async answer(request: PageRequest, caller: RemoteCaller): Promise<PageAnswer> {
    if (request.path === "/favicon.svg") return { status: 200, type: "image/svg+xml", body: FAVICON };
    if (request.method === "POST") return this.#posted(request, caller);
    if (request.method !== "GET" && request.method !== "HEAD")
      return this.#told(405, "Only GET, HEAD and POST", { allow: "GET, HEAD, POST" });
    const who = this.#who(caller);
    if (who.kind === "refused") return this.#refused(who, request);
    if (request.path === "/login" || request.path === "/logout") return seeOther("/");
    return await this.#read(request, who);
  }

  #who(caller: RemoteCaller): Known {
    const access = this.#options.access();
    const session = this.#sessions.of(caller.headers);
    const permission =
      session === undefined ? permissionOf(caller, "read", access) : permissionOfSession(caller, session.token, access);
    if (permission.kind === "granted")
      return session === undefined ? { kind: "reader" } : { kind: "operator", session, actor: permission.actor };
    const { error, message, answer } = permission;
    // The token has changed: what it opened is over.
    if (session !== undefined && error === "wrong-token") this.#sessions.close(session);
    const loginHelps = access.token.kind === "configured" && (error === "token-required" || error === "wrong-token");
    return {
      kind: "refused",
      status: answer.status,
      message,
      way: loginHelps ? "log-in" : error === "cross-site" ? "same-page" : "none",
    };
  }

  async #read({ path, query }: PageRequest, who: Exclude<Known, { kind: "refused" }>): Promise<PageAnswer> {
    const visitor = this.#visitor(who);
    switch (path) {
      case "/":
        return this.#page(200, { title: "Overview", place: "overview", content: await this.#overview(visitor) }, who);
      case "/queue":
        return this.#page(200, { title: "Queue", place: "queue", content: await this.#queue(query, visitor) }, who);
      case "/explain": {
        const target = query.get("domain") ?? "";
        const answer = who.kind === "operator" && target.trim() !== "" ? await this.#desk.ask(target) : undefined;
        return this.#page(200, { title: "Explain", place: "explain", content: explainPage({ target, answer, visitor }) }, who);
      }
      default: {
        const id = path.slice("/queue/".length);
        if (!isId(id)) return this.#told(404, "There is no such page", {}, who);
        const { queueAdmin, ring, facts } = this.#options;
        const found = await asked(() => queueAdmin.show(id));
        const remembered = ring.ofMessage(id);
        const nothing = found.kind === "known" && found.value === undefined && remembered.length === 0;
        const content = messagePage({ id, found, remembered, now: facts().now, visitor });
        return this.#page(nothing ? 404 : 200, { title: `Message ${id}`, place: "queue", content }, who);
      }
    }
  }

  async #overview(visitor: Visitor): Promise<Html> {
    const { api, checks, counts, facts, series } = this.#options;
    const [checked, counted, destinations] = await Promise.all([
      checksWithin(CHECK_MILLISECONDS, checks),
      asked(counts),
      asked(() => api.destinations()),
    ]);
    const known = facts();
    const [minutes, lastHour] = [series.since(known.now), series.since(known.now, 60)];
    return overviewPage({ facts: known, checks: checked, counts: counted, destinations, minutes, lastHour, visitor });
  }

  async #queue(query: URLSearchParams, visitor: Visitor): Promise<Html> {
    const { queueAdmin, facts } = this.#options;
    const { now } = facts();
    // A form sends its empty fields too.
    const given = new URLSearchParams([...query].filter(([, value]) => value !== ""));
    given.set("limit", String(QUEUE_PAGE));
    const read = listQuery(given, now);
    if (read.kind === "wrong") {
      const found: Asked<QueuePage> = { kind: "known", value: { entries: [] } };
      return queuePage({ query, wrong: read.message, found, now, visitor });
    }
    const { filter, ...position } = read.value;
    return queuePage({ query, found: await asked(() => queueAdmin.list(filter, position)), now, visitor });
  }

  async #posted(request: PageRequest, caller: RemoteCaller): Promise<PageAnswer> {
    if (!["/login", "/logout", "/queue/act"].includes(request.path))
      return this.#told(405, "Only GET and HEAD", { allow: "GET, HEAD" });
    if (!FORM_TYPE.test(request.contentType ?? "")) return this.#told(415, "Send it as a form");
    const session = this.#sessions.of(caller.headers);
    if (request.path !== "/login" && session === undefined)
      return this.#refused(
        { kind: "refused", status: 401, message: "You are not logged in, or not any more.", way: "log-in" },
        request,
      );
    const text = await request.body(request.path === "/login" ? MAX_LOGIN_BYTES : MAX_FORM_BYTES);
    if (text.kind === "too-large") return this.#told(413, "That form is too large");
    const form = new URLSearchParams(text.text);
    if (request.path === "/login") return this.#logIn(form, caller);
    const who = this.#who(caller);
    if (who.kind === "refused") return this.#refused(who, request);
    if (who.kind !== "operator" || !isCsrf(who.session, form.get("csrf") ?? undefined))
      return this.#told(403, "This form is not of your session: load the page again", {}, who);
    if (request.path === "/logout") {
      this.#sessions.close(who.session);
      return seeOther("/", { "set-cookie": forgetCookie(caller.headers) });
    }
    return this.#act(form, who);
  }

  #logIn(form: URLSearchParams, caller: RemoteCaller): PageAnswer {
    const token = form.get("token")?.trim() ?? "";
    const back = ownPath(form.get("back"));
    const permission = permissionToLogIn(caller, token, this.#options.access());
    if (permission.kind === "granted") {
      this.#options.onLogIn(caller.address);
      return seeOther(back, { "set-cookie": setCookie(this.#sessions.open(token), caller.headers) });
    }
    const { error, message, answer } = permission;
    switch (error) {
      case "wrong-token":
        return this.#login(answer.status, "This is not the token.", back);
      case "too-many-guesses":
        return this.#login(answer.status, `Wait: ${message}.`, back, answer.headers);
      default:
        return this.#told(answer.status, message);
    }
  }

  async #act(form: URLSearchParams, who: Known & { kind: "operator" }): Promise<PageAnswer> {
    const { api, queueAdmin, facts } = this.#options;
    const read = actionRequest(form, facts().now);
    if (read.kind === "wrong") {
      who.session.notice = `Nothing was done: ${read.message}.`;
      return seeOther(ownPath(form.get("back")));
    }
    const { action, filter, confirmed, back } = read.value;
    if (confirmed === "no" && (action === "delete" || filter.ids === undefined)) {
      const sample = await asked(() => queueAdmin.list(filter, { limit: CONFIRM_SAMPLE }));
      const content = confirmPage(read.value, sample, who.session.csrf, facts().now);
      return this.#page(200, { title: "Confirm", place: "queue", content }, who);
    }
    try {
      who.session.notice = changeText(action, await api.perform(action, filter, who.actor));
    } catch (error) {
      // The log has it; a part of it may be done.
      who.session.notice = `It failed, perhaps half way: ${error instanceof Error ? error.message : String(error)}`;
    }
    return seeOther(back);
  }

  #refused({ status, message, way }: Known & { kind: "refused" }, { target }: Pick<PageRequest, "target">): PageAnswer {
    if (way === "log-in") return this.#login(status, undefined, ownPath(target));
    const again = way === "same-page" ? html`<p><a class="button" href="${ownPath(target)}">Open this page</a></p>` : undefined;
    const content = html`<h1>Not here</h1><p>${message}.</p>${again}`;
    return this.#page(status, { title: "Refused", place: "none", content }, undefined);
  }

  #login(status: number, trouble: string | undefined, back: string, headers: PageAnswer["headers"] = {}): PageAnswer {
    const content = loginPage({ trouble, back });
    // RFC 9110 §11.6.1: a 401 says how to authenticate; programs use this.
    const scheme = status === 401 ? { "www-authenticate": "Bearer" } : {};
    return this.#page(status, { title: "Log in", place: "none", content }, undefined, { ...scheme, ...headers });
  }

  #told(status: number, message: string, headers: Record<string, string> = {}, who?: Known): PageAnswer {
    const content = html`<h1>${message}</h1><p><a href="/">Overview</a></p>`;
    return this.#page(status, { title: message, place: "none", content }, who, headers);
  }

  #visitor(who: Known | undefined): Visitor {
    if (who?.kind === "operator") return { kind: "operator", csrf: who.session.csrf };
    if (who?.kind !== "reader") return { kind: "stranger" };
    return { kind: "reader", because: this.#options.access().token.kind === "none" ? NO_TOKEN : BY_HEADER };
  }

  #page(
    status: number,
    what: Pick<Layout, "title" | "place" | "content">,
    who: Known | undefined,
    headers: Readonly<Record<string, string>> = {},
  ): PageAnswer {
    const { hostname, version } = this.#options.facts();
    const notice = who?.kind === "operator" ? who.session.notice : undefined;
    if (who?.kind === "operator") delete who.session.notice;
    return page(status, { ...what, visitor: this.#visitor(who), hostname, version, notice }, headers);
  }
}
