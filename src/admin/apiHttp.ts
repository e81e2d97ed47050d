import type { IncomingMessage, ServerResponse } from "node:http";
import type { Caller } from "./access.ts";
import { Api, type ApiRequest } from "./api.ts";
import { type ApiAnswer, refused } from "./apiAnswer.ts";

/** The API as HTTP: what is read of a request, within bounds, and how an answer is written. */
const MAX_BODY_BYTES = 1024 * 1024;

export function isApiRequest(request: IncomingMessage): boolean {
  return Api.has(pathOf(request));
}

/** Answers in any case; `from`: whether it came over the control socket. */
export function serveApi(api: Api, request: IncomingMessage, response: ServerResponse, from: "local" | "remote"): void {
  const caller = from === "local" ? ({ kind: "local" } as const) : remoteCaller(request);
  api.answer(apiRequest(request), caller).then(
    (result) => send(request, response, result),
    (error: unknown) => send(request, response, refused("internal", error instanceof Error ? error.message : String(error))),
  );
}

function apiRequest(request: IncomingMessage): ApiRequest {
  const [, query = ""] = (request.url ?? "").split("?", 2);
  return {
    method: request.method ?? "",
    path: pathOf(request),
    query: new URLSearchParams(query),
    contentType: request.headers["content-type"],
    body: () => bodyOf(request, MAX_BODY_BYTES),
  };
}

/** Without the query. */
export function pathOf(request: IncomingMessage): string {
  return (request.url ?? "").split("?", 1)[0] ?? "";
}

/** Without addresses, as of a connection that has ended meanwhile, nobody is from this machine. */
export function remoteCaller(request: IncomingMessage): Caller & { kind: "remote" } {
  const { remoteAddress = "", localAddress = "" } = request.socket;
  return { kind: "remote", address: remoteAddress, ownAddress: localAddress, headers: headersOf(request) };
}

/** One value for each name: Node has joined or dropped repeated ones, but for those that no decision reads. */
function headersOf({ headers }: IncomingMessage): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : value]),
  );
}

/** The body, within bounds. Not by iteration: to stop in the middle would destroy the connection before the answer is on it. */
export function bodyOf(request: IncomingMessage, limit: number): ReturnType<ApiRequest["body"]> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= limit) chunks.push(chunk);
      else {
        request.pause();
        resolve({ kind: "too-large" });
      }
    });
    request.on("end", () => resolve({ kind: "text", text: Buffer.concat(chunks).toString("utf8") }));
    request.on("error", reject);
  });
}

function send(request: IncomingMessage, response: ServerResponse, { status, body, headers }: ApiAnswer): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'",
    "cross-origin-resource-policy": "same-origin",
    // What of a body was not read must not be taken for the next request.
    ...(request.complete ? {} : { connection: "close" }),
    ...headers,
  });
  response.end(request.method === "HEAD" ? undefined : text);
}
