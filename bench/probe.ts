import { once } from "node:events";
import { createConnection, createServer, type Socket } from "node:net";
import { type Endpoint, PROBE_DOMAIN } from "./sender.ts";

/** Single messages, timed from the end of their DATA to their arrival: client and receiver are this process, so one clock times both ends. */
export type ProbeReceiver = Endpoint & {
  /** Resolves with the time when the message with this subject had arrived in full. */
  arrival: (subject: string) => Promise<number>;
  close: () => Promise<void>;
};

const END_OF_DATA = "\r\n.\r\n";
const PROBE_LINES = 60;

/** A receiver of SMTP that keeps nothing but arrival times. */
export async function startProbeReceiver(at: Endpoint): Promise<ProbeReceiver> {
  const waiting = new Map<string, (time: number) => void>();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    receive(socket, (content, time) => {
      const subject = /^Subject: (.*)\r$/m.exec(content)?.[1] ?? "";
      waiting.get(subject)?.(time);
      waiting.delete(subject);
    });
  });
  server.listen({ host: at.address, port: at.port });
  await once(server, "listening");
  return {
    ...at,
    arrival: (subject) => new Promise((resolve) => waiting.set(subject, resolve)),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

function receive(socket: Socket, arrived: (content: string, time: number) => void): void {
  let text = "";
  let mode: "commands" | "content" = "commands";
  socket
    .setNoDelay(true)
    .setEncoding("latin1")
    .on("error", () => socket.destroy());
  socket.write("220 probe.example ESMTP\r\n");
  socket.on("data", (chunk: string) => {
    const time = performance.now();
    text += chunk;
    for (;;) {
      const end = text.indexOf(mode === "commands" ? "\r\n" : END_OF_DATA);
      if (end === -1) return;
      const part = text.slice(0, end);
      text = text.slice(end + (mode === "commands" ? 2 : END_OF_DATA.length));
      if (mode === "content") {
        mode = "commands";
        arrived(part, time);
        socket.write("250 2.0.0 ok\r\n");
      } else if (part.toUpperCase() === "DATA") {
        mode = "content";
        socket.write("354 go ahead\r\n");
      } else if (part.toUpperCase() === "QUIT") socket.end("221 2.0.0 bye\r\n");
      else socket.write(part.toUpperCase().startsWith("EHLO") ? "250-probe.example\r\n250 PIPELINING\r\n" : "250 2.0.0 ok\r\n");
    }
  });
}

/** One message of 4 KiB on a connection of its own; milliseconds from its final dot to its arrival. Rejects when the relay refuses it. */
export async function probe(relay: Endpoint, receiver: ProbeReceiver, subject: string): Promise<number> {
  const socket = createConnection({ host: relay.address, port: relay.port, noDelay: true }).setEncoding("latin1");
  try {
    const replies = repliesOf(socket);
    await replies.next("220");
    for (const [command, code] of [
      ["EHLO probe.example", "250"],
      ["MAIL FROM:<probe@example.org>", "250"],
      [`RCPT TO:<user@${PROBE_DOMAIN}>`, "250"],
      ["DATA", "354"],
    ] as const) {
      socket.write(`${command}\r\n`);
      await replies.next(code);
    }
    const arrival = receiver.arrival(subject);
    const sent = performance.now();
    socket.write(`Subject: ${subject}\r\n\r\n${`${"x".repeat(66)}\r\n`.repeat(PROBE_LINES)}.\r\n`);
    await replies.next("250");
    socket.write("QUIT\r\n");
    return (await arrival) - sent;
  } finally {
    socket.destroy();
  }
}

function repliesOf(socket: Socket): { next: (code: string) => Promise<void> } {
  let text = "";
  let wake: () => void = () => undefined;
  let ended: Error | undefined;
  socket.on("data", (chunk: string) => {
    text += chunk;
    wake();
  });
  socket.once("error", (error) => {
    ended = error;
    wake();
  });
  socket.once("close", () => {
    ended ??= new Error("the relay closed the connection");
    wake();
  });
  const next = async (code: string): Promise<void> => {
    let match = /^(?:\d{3}-.*\r\n)*(\d{3}) .*\r\n/.exec(text);
    while (match === null) {
      if (ended !== undefined) throw ended;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      match = /^(?:\d{3}-.*\r\n)*(\d{3}) .*\r\n/.exec(text);
    }
    text = text.slice(match[0].length);
    if (match[1] !== code) throw new Error(`the relay said ${match[0].trim()}`);
  };
  return { next };
}
