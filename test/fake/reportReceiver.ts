import { once } from "node:events";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import type { TlsReport } from "../../src/tlsrpt/report.ts";

/** A real HTTPS server that reports are posted to; answers what it is told to. */
export type ReceivedReport = { path: string; headers: Readonly<Record<string, string | string[] | undefined>>; body: Buffer };

export type ReportReceiver = {
  address: string;
  port: number;
  requests: readonly ReceivedReport[];
  /** Of all requests, decompressed. */
  reports: () => readonly TlsReport[];
  /** Status of the next answers; with 3xx comes a Location. "hang": none. "close": the connection is cut. */
  answer: (next: number | "hang" | "close") => void;
  close: () => Promise<void>;
};

export async function startReportReceiver(options: {
  address: string;
  port?: number;
  certificate: { keyPem: string; chainPem: string };
}): Promise<ReportReceiver> {
  const requests: ReceivedReport[] = [];
  let next: number | "hang" | "close" = 201;
  const { keyPem, chainPem } = options.certificate;
  const server: Server = createServer({ key: keyPem, cert: chainPem }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      requests.push({ path: `${request.method} ${request.url}`, headers: request.headers, body: Buffer.concat(chunks) });
      if (next === "hang") return;
      if (next === "close") response.destroy();
      else response.writeHead(next, { location: "/elsewhere" }).end("thank you");
    });
  });
  server.listen(options.port ?? 0, options.address);
  await once(server, "listening");
  return {
    address: options.address,
    port: (server.address() as AddressInfo).port,
    requests,
    reports: () => requests.map(({ body }) => JSON.parse(gunzipSync(body).toString()) as TlsReport),
    answer: (wanted) => {
      next = wanted;
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
