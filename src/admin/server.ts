import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Api } from "./api.ts";
import { isApiRequest, serveApi } from "./apiHttp.ts";
import { shareConnections } from "./connectionShare.ts";
import { CHECK_MILLISECONDS, type Check, checksWithin, healthReport } from "./health.ts";
import { type Pacing, paced } from "./pacedAnswer.ts";
import type { OperatorPage } from "./page.ts";
import { isPageRequest, servePage } from "./pageHttp.ts";

/** The operator's HTTP: GET /metrics, /livez and /readyz, open to whoever reaches it, and the API and the page, which are not (access.ts). */
export type AdminOptions = {
  listen: { address: string; port: number };
  api?: Api;
  page?: OperatorPage;
  /** The Prometheus exposition. */
  metrics: () => Promise<string>;
  checks: () => Promise<readonly Check[]>;
  /** What one client has, of its address; the address itself where not given. */
  placeOf?: (address: string) => string;
  /** Of the bounds below. */
  requestMilliseconds?: number;
  silenceMilliseconds?: number;
};

export type Admin = {
  /** Where it listens; the port is the real one when 0 was asked for. */
  readonly listening: { address: string; port: number };
  close(): Promise<void>;
};

const MAX_CONNECTIONS = 100;
const MAX_CONNECTIONS_PER_CLIENT = 40;
/** /metrics and /readyz are asked for every few seconds, by a few; more is served from memory. Each costs some milliseconds, and a write to the spool. */
const PACING: Pacing = { monotonic: () => performance.now(), burst: 20, intervalMilliseconds: 200 };
const MAX_HEADER_BYTES = 8192;
const REQUEST_MILLISECONDS = 10_000;
/** How often Node looks for requests that are late; its own default would give them half a minute more. */
const LOOK_MILLISECONDS = 1000;
/** Of a connection on which nothing moves: a client that does not read its answer keeps its place no longer. Longer than any answer takes. */
const SILENCE_MILLISECONDS = 120_000;
const KEEP_ALIVE_MILLISECONDS = 5000;

const TEXT = "text/plain; charset=utf-8";
/** The text format of Prometheus. */
const EXPOSITION = "text/plain; version=0.0.4; charset=utf-8";

type Answer = { status: number; type: string; body: string };

/** Listens; rejects when the address cannot be had. */
export async function createAdmin(options: AdminOptions): Promise<Admin> {
  const { requestMilliseconds = REQUEST_MILLISECONDS, silenceMilliseconds = SILENCE_MILLISECONDS } = options;
  const { metrics, checks, placeOf = (address) => address } = options;
  const asked = { metrics: paced(metrics, PACING), checks: paced(() => checksWithin(CHECK_MILLISECONDS, checks), PACING) };
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: requestMilliseconds,
      requestTimeout: requestMilliseconds,
      connectionsCheckingInterval: Math.min(LOOK_MILLISECONDS, requestMilliseconds),
      keepAliveTimeout: KEEP_ALIVE_MILLISECONDS,
    },
    (request, response) => {
      if (options.api !== undefined && isApiRequest(request)) {
        serveApi(options.api, request, response, "remote");
        return;
      }
      if (options.page !== undefined && isPageRequest(request)) {
        servePage(options.page, request, response);
        return;
      }
      answer(request, asked).then(
        (result) => send(request, response, result),
        (error: unknown) => send(request, response, { status: 500, type: TEXT, body: `${reasonOf(error)}\n` }),
      );
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  shareConnections(server, { most: MAX_CONNECTIONS_PER_CLIENT, placeOf });
  server.setTimeout(silenceMilliseconds);
  await listening(server, options.listen);
  const { address, port } = server.address() as AddressInfo;
  return { listening: { address, port }, close: () => closed(server) };
}

function listening(server: Server, { address, port }: { address: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, address, () => {
      server.off("error", reject);
      server.on("error", () => {
        // A connection that could not be accepted (no descriptor left) is the scraper's to try again; mail goes on.
      });
      resolve();
    });
  });
}

/** Ends at once what is open: a scrape can be made again. */
function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function answer(request: IncomingMessage, asked: Pick<AdminOptions, "metrics" | "checks">): Promise<Answer> {
  const [path = "", query = ""] = (request.url ?? "").split("?", 2);
  if (path !== "/metrics" && path !== "/livez" && path !== "/readyz") {
    return { status: 404, type: TEXT, body: "there is /metrics, /livez and /readyz\n" };
  }
  if (request.method !== "GET" && request.method !== "HEAD") return { status: 405, type: TEXT, body: "only GET and HEAD\n" };
  switch (path) {
    case "/metrics":
      return { status: 200, type: EXPOSITION, body: await asked.metrics() };
    case "/livez":
      return { status: 200, type: TEXT, body: "alive\n" };
    case "/readyz": {
      const strict = new URLSearchParams(query).has("strict") ? "strict" : "lenient";
      return { type: TEXT, ...healthReport(await asked.checks(), strict) };
    }
    default:
      return path satisfies never;
  }
}

function send(request: IncomingMessage, response: ServerResponse, { status, type, body }: Answer): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...(status === 405 ? { allow: "GET, HEAD" } : {}),
    // A body would have to be read before the next request on this connection; none of ours has one.
    ...(request.method === "GET" || request.method === "HEAD" ? {} : { connection: "close" }),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
