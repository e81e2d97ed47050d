import { once } from "node:events";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { SMTPServer } from "smtp-server";

/**
 * Receivers of the soak, one for each way to behave; they know messages by the local part of their recipient, and notices by the recipients
 * that they speak of.
 *
 * good    takes everything, notices too
 * slow    takes everything, a second after the final dot
 * flaky   says 4yz to some recipients and contents, and resets connections at random instants
 * strict  refuses every recipient for good
 */
export type Behaviour = "good" | "slow" | "flaky" | "strict";
export const BEHAVIOURS: readonly Behaviour[] = ["good", "slow", "flaky", "strict"];

export type SoakReceivers = {
  delivered: ReadonlySet<string>;
  bounced: ReadonlySet<string>;
  port: (behaviour: Behaviour) => number;
  stop: () => Promise<void>;
};

const SLOW_MILLISECONDS = 1000;
const TRANSIENT_SHARE = 0.1;
const RESET_MILLISECONDS = 700;
const FINAL_RECIPIENT = /^Final-Recipient: rfc822;\s*(\w+)@/gim;
const ACTION_FAILED = /^Action: failed/im;

function refusal(code: number, text: string): Error {
  return Object.assign(new Error(text), { responseCode: code });
}

class Receivers {
  readonly delivered = new Set<string>();
  readonly bounced = new Set<string>();
  readonly sockets: Socket[] = [];

  server(behaviour: Behaviour): SMTPServer {
    const server = new SMTPServer({
      disabledCommands: ["AUTH", "STARTTLS"],
      disableReverseLookup: true,
      onRcptTo: (_, __, done) => {
        if (behaviour === "strict") done(refusal(550, "5.1.1 no such user"));
        else if (behaviour === "flaky" && Math.random() < TRANSIENT_SHARE) done(refusal(451, "4.3.0 not now"));
        else done();
      },
      onData: (stream, session, done) => {
        const chunks: Buffer[] = [];
        stream.on("data", (chunk: Buffer) => chunks.push(chunk));
        stream.on("end", () => {
          if (behaviour === "flaky" && Math.random() < TRANSIENT_SHARE) {
            done(refusal(452, "4.2.2 later"));
            return;
          }
          const local = session.envelope.rcptTo.map(({ address }) => address.slice(0, address.indexOf("@")));
          void delay(behaviour === "slow" ? SLOW_MILLISECONDS : 0).then(() => {
            this.#take(local, Buffer.concat(chunks).toString("latin1"));
            done();
          });
        });
      },
    });
    // Connections that are reset, by either side.
    server.on("error", () => undefined);
    if (behaviour === "flaky") {
      server.server.on("connection", (socket: Socket) => {
        this.sockets.push(socket);
        socket.on("close", () => this.sockets.splice(this.sockets.indexOf(socket), 1));
      });
    }
    return server;
  }

  #take(recipients: readonly string[], content: string): void {
    for (const token of recipients) if (token !== "sender") this.delivered.add(token);
    if (!recipients.includes("sender") || !ACTION_FAILED.test(content)) return;
    for (const [, token] of content.matchAll(FINAL_RECIPIENT)) if (token !== undefined) this.bounced.add(token);
  }
}

export async function startSoakReceivers(address: string): Promise<SoakReceivers> {
  const receivers = new Receivers();
  const ports = new Map<Behaviour, number>();
  const servers: SMTPServer[] = [];
  for (const behaviour of BEHAVIOURS) {
    const server = receivers.server(behaviour);
    server.listen(0, address);
    await once(server.server, "listening");
    const bound = server.server.address();
    if (bound === null || typeof bound === "string") throw new Error("no port");
    ports.set(behaviour, bound.port);
    servers.push(server);
  }
  const resets = setInterval(
    () => receivers.sockets[Math.floor(Math.random() * receivers.sockets.length)]?.resetAndDestroy(),
    RESET_MILLISECONDS,
  );
  return {
    delivered: receivers.delivered,
    bounced: receivers.bounced,
    port: (behaviour) => ports.get(behaviour) ?? 0,
    stop: async () => {
      clearInterval(resets);
      await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
    },
  };
}
