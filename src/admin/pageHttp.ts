import type { IncomingMessage, ServerResponse } from "node:http";
import { bodyOf, pathOf, remoteCaller } from "./apiHttp.ts";
import { OperatorPage, type PageRequest } from "./page.ts";
import { PAGE_HEADERS, type PageAnswer } from "./pageLayout.ts";

/** The operator's page as HTTP. */
export function isPageRequest(request: IncomingMessage): boolean {
  return OperatorPage.has(pathOf(request));
}

/** Answers in any case. */
export function servePage(operatorPage: OperatorPage, request: IncomingMessage, response: ServerResponse): void {
  operatorPage.answer(pageRequest(request), remoteCaller(request)).then(
    (answer) => send(request, response, answer),
    // A bug of ours: the text may hold anything, and is no HTML.
    (error: unknown) => send(request, response, { status: 500, type: "text/plain; charset=utf-8", body: String(error) }),
  );
}

function pageRequest(request: IncomingMessage): PageRequest {
  const target = request.url ?? "";
  const [, query = ""] = target.split("?", 2);
  return {
    method: request.method ?? "",
    path: pathOf(request),
    query: new URLSearchParams(query),
    target,
    contentType: request.headers["content-type"],
    body: (limit) => bodyOf(request, limit),
  };
}

function send(request: IncomingMessage, response: ServerResponse, { status, type, body, headers }: PageAnswer): void {
  response.writeHead(status, {
    ...PAGE_HEADERS,
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    // What of a body was not read must not be taken for the next request.
    ...(request.complete ? {} : { connection: "close" }),
    ...headers,
  });
  response.end(request.method === "HEAD" ? undefined : body);
}
