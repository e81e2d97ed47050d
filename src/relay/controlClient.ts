import { statSync } from "node:fs";
import { request } from "node:http";
import { controlPath } from "../admin/controlSocket.ts";
import {
  positionOf,
  positionText,
  type QueueAction,
  type QueueAdmin,
  type QueueChange,
  type QueuedMessage,
  type QueueEntry,
  type QueueFilter,
  type QueuePage,
  type QueuePosition,
  type QueueStatistic,
  type StatisticKey,
} from "../spool/queueAdmin.ts";
import { StoreError } from "../spool/store.ts";

/** The queue of a relay that serves, over its control socket: the API of admin/api.ts. */
type Asked = { method: "GET" | "POST"; path: string; body?: object };
type Told = { status: number; body: unknown };

/** A command waits for a relay that is busy, not for one that hangs. */
const SILENCE_MILLISECONDS = 120_000;

/** undefined: no relay serves the spool in `directory`. */
export async function controlClient(directory: string): Promise<QueueAdmin | undefined> {
  if (statSync(directory, { throwIfNoEntry: false }) === undefined) return undefined;
  const { path: socketPath, release } = controlPath(directory);
  try {
    await ask(socketPath, { method: "GET", path: "/api/v1/queue?limit=1" });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    // Nobody listens: what a relay that was killed left behind, or nothing at all.
    if (code === "ENOENT" || code === "ECONNREFUSED") {
      release();
      return undefined;
    }
    if (code !== "EACCES") throw error;
    throw new StoreError(
      "io",
      `the control socket in ${directory} belongs to the relay's user: run this command as that user (or root)`,
    );
  }
  return new ControlClient(socketPath);
}

class ControlClient implements QueueAdmin {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  async list(filter: QueueFilter, { limit, after }: { limit: number; after?: QueuePosition }): Promise<QueuePage> {
    const query = new URLSearchParams({ limit: String(limit) });
    if (after !== undefined) query.set("after", positionText(after));
    for (const [key, value] of Object.entries(filter)) query.set(key, Array.isArray(value) ? value.join(",") : String(value));
    const body = (await this.#get(`queue?${query}`)) as { entries: readonly QueueEntry[]; next?: string };
    const next = body.next === undefined ? undefined : positionOf(body.next);
    return { entries: body.entries, ...(next === undefined ? {} : { next }) };
  }

  async show(id: string): Promise<QueuedMessage | undefined> {
    const { status, body } = await ask(this.#socketPath, { method: "GET", path: `/api/v1/queue/${encodeURIComponent(id)}` });
    return status === 404 ? undefined : (checked(status, body) as QueuedMessage);
  }

  async statistics(by: StatisticKey, limit: number): Promise<readonly QueueStatistic[]> {
    const body = await this.#get(`queue/statistics?by=${by}&limit=${limit}`);
    return (body as { statistics: readonly QueueStatistic[] }).statistics;
  }

  async act(action: QueueAction, filter: QueueFilter): Promise<QueueChange> {
    const all = Object.keys(filter).length === 0;
    const asked = { method: "POST", path: "/api/v1/queue/actions", body: { action, filter, ...(all ? { all } : {}) } } as const;
    const { status, body } = await ask(this.#socketPath, asked);
    return checked(status, body) as QueueChange;
  }

  async #get(path: string): Promise<unknown> {
    const { status, body } = await ask(this.#socketPath, { method: "GET", path: `/api/v1/${path}` });
    return checked(status, body);
  }
}

/** The relay's own words for what went wrong. */
function checked(status: number, body: unknown): unknown {
  if (status === 200) return body;
  const message = typeof body === "object" && body !== null && "message" in body ? String(body.message) : `status ${status}`;
  throw new StoreError("io", message);
}

function ask(socketPath: string, { method, path, body }: Asked): Promise<Told> {
  return new Promise((resolve, reject) => {
    const headers = { host: "localhost", "content-type": "application/json" };
    const asking = request({ socketPath, method, path, headers, agent: false, timeout: SILENCE_MILLISECONDS }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        try {
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString("utf8")) });
        } catch (error) {
          reject(error);
        }
      });
    });
    asking.on("timeout", () =>
      asking.destroy(new StoreError("io", `the relay did not answer within ${SILENCE_MILLISECONDS / 1000} s`)),
    );
    asking.on("error", reject);
    asking.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
