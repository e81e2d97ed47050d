import { closeSync, constants, openSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import type { Api } from "./api.ts";
import { isApiRequest, serveApi } from "./apiHttp.ts";

/**
 * The API for whoever may open `control.sock` in the spool's directory: its permissions (0600) are the permission, and no token is asked for.
 * A socket that an earlier process left behind is replaced; whoever opens one holds the spool's lock, so nobody answers at it any more.
 */
export const CONTROL_SOCKET = "control.sock";

/** sockaddr_un holds 108 octets with a final zero. */
const MAX_PATH_BYTES = 107;
const UMASK_OWNER_ONLY = 0o177;
const MAX_CONNECTIONS = 20;
const REQUEST_MILLISECONDS = 10_000;

export type ControlSocket = { close(): Promise<void> };

/** A path by which the socket in `directory` can be reached, however long the directory's is; to be `released` when it was used. */
export function controlPath(directory: string): { path: string; release: () => void } {
  const path = join(directory, CONTROL_SOCKET);
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return { path, release: () => undefined };
  const descriptor = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  return { path: `/proc/self/fd/${descriptor}/${CONTROL_SOCKET}`, release: () => closeSync(descriptor) };
}

/** Rejects when the socket cannot be made. */
export async function openControlSocket(api: Api, directory: string): Promise<ControlSocket> {
  const server = createServer(
    { headersTimeout: REQUEST_MILLISECONDS, requestTimeout: REQUEST_MILLISECONDS },
    (request, response) => {
      if (isApiRequest(request)) serveApi(api, request, response, "local");
      else response.writeHead(404).end();
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  rmSync(join(directory, CONTROL_SOCKET), { force: true });
  const { path, release } = controlPath(directory);
  // The socket is made within `listen`: nobody can open it before its permissions are set.
  const mask = process.umask(UMASK_OWNER_ONLY);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      // A worker process would have its supervisor make the socket, which has another umask, and other descriptors below /proc/self.
      server.listen({ path, exclusive: true }, () => resolve());
      process.umask(mask);
    });
  } finally {
    process.umask(mask);
    release();
  }
  server.on("error", () => {
    // A connection that could not be accepted is the operator's to try again; mail goes on.
  });
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          rmSync(join(directory, CONTROL_SOCKET), { force: true });
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}
