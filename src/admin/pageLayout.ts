import { type Html, html, ownMarkup } from "./html.ts";
import { PAGE_STYLE, PAGE_STYLE_HASH } from "./pageStyle.ts";

/** What every page has around its content, and how it goes out. */
export type Visitor =
  /** Logged in: may act. `csrf` stands in every form. */
  | { kind: "operator"; csrf: string }
  /** May only read. `because`: what to do to act. */
  | { kind: "reader"; because: string }
  /** May do nothing yet. */
  | { kind: "stranger" };

export type PageAnswer = {
  status: number;
  type: "text/html; charset=utf-8" | "image/svg+xml" | "text/plain; charset=utf-8";
  body: string;
  headers?: Readonly<Record<string, string>>;
};

export type Layout = {
  title: string;
  /** Which entry of the navigation this is. */
  place: "overview" | "queue" | "explain" | "none";
  visitor: Visitor;
  hostname: string;
  version: string;
  /** What was just done. */
  notice?: string | undefined;
  content: Html;
};

const PLACES = [
  ["overview", "/", "Overview"],
  ["queue", "/queue", "Queue"],
  ["explain", "/explain", "Explain a domain"],
] as const;

export const HTML_TYPE = "text/html; charset=utf-8";

/**
 * Nothing is loaded but the favicon, nothing runs, nobody may frame it, and forms lead here only. The referrer stays on this site: with `no-referrer`
 * browsers send forms with `Origin: null`, which could be anybody's.
 */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": `default-src 'none'; style-src '${PAGE_STYLE_HASH}'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`,
  "referrer-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "cache-control": "no-store",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  // Nor does it use what a browser could lend.
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
};

export function page(status: number, layout: Layout, headers: Readonly<Record<string, string>> = {}): PageAnswer {
  const { title, place, visitor, hostname, version, notice, content } = layout;
  const { markup } = html`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · ${hostname}</title><link rel="icon" href="/favicon.svg" type="image/svg+xml">
<style>${ownMarkup(PAGE_STYLE)}</style></head>
<body><a class="skip" href="#content">Skip to the content</a>
<header class="top"><p class="name">dane-relay <span class="quiet">${hostname}</span></p>
${visitor.kind === "stranger" ? undefined : navigation(place)}
${whoText(visitor)}</header>
<main id="content" tabindex="-1">
${notice === undefined ? undefined : html`<div class="notice" role="status"><p>${notice}</p></div>`}
${content}
</main>
<footer class="foot">dane-relay ${version}</footer>
</body></html>
`;
  return { status, type: HTML_TYPE, body: markup, headers };
}

function navigation(place: Layout["place"]): Html {
  const entries = PLACES.map(([name, path, text]) =>
    name === place
      ? html`<li><a href="${path}" aria-current="page">${text}</a></li>`
      : html`<li><a href="${path}">${text}</a></li>`,
  );
  return html`<nav aria-label="Pages"><ul>${entries}</ul></nav>`;
}

function whoText(visitor: Visitor): Html {
  switch (visitor.kind) {
    case "operator":
      return html`<div class="who"><form method="post" action="/logout">${csrfField(visitor.csrf)}<button class="plain">Log out</button></form></div>`;
    case "reader":
      return html`<div class="who">read only</div>`;
    case "stranger":
      return html``;
    default:
      return visitor satisfies never;
  }
}

export function csrfField(csrf: string): Html {
  return html`<input type="hidden" name="csrf" value="${csrf}">`;
}

/** To another page of ours; the browser asks for it with GET. `path` is one that we made. */
export function seeOther(path: string, headers: Readonly<Record<string, string>> = {}): PageAnswer {
  return { status: 303, type: "text/plain; charset=utf-8", body: "", headers: { location: path, ...headers } };
}

export const FAVICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#0072b2"/><path d="M3 5l5 4 5-4M3 5v7h10V5z" fill="none" stroke="#fff" stroke-width="1.4" stroke-linejoin="round"/></svg>`;
