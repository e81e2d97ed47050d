import { SmtpClient } from "../test/fake/smtpClient.ts";

/**
 * `connectionCrowd.ts ADDRESS:PORT idle|busy COUNT`, forked: so many clients that have said EHLO, and then wait, or send message after message
 * until they are told to end. It says how many messages were accepted; anything but 250 ends it with an error.
 */
const [address = "", kind = "", count = "0"] = process.argv.slice(2);
/** Connections that are opened at the same time. */
const BATCH = 50;
const CONTENT = `Subject: crowd\r\n\r\n${`${"x".repeat(70)}\r\n`.repeat(50)}`;

const clients: SmtpClient[] = [];
while (clients.length < Number(count)) {
  const batch = Math.min(BATCH, Number(count) - clients.length);
  clients.push(...(await Promise.all(Array.from({ length: batch }, () => SmtpClient.open(address)))));
}
let state: "running" | "ending" = "running";
let accepted = 0;
process.once("disconnect", () => process.exit(0));

async function work(client: SmtpClient): Promise<void> {
  while (state === "running") {
    const reply = await client.send(CONTENT, "a@example.org", "u@example.net");
    if (!reply.startsWith("250")) throw new Error(`the relay said ${JSON.stringify(reply)}`);
    accepted += 1;
  }
}

process.once("message", () => {
  state = "ending";
});
process.send?.("ready");
if (kind === "busy") {
  await Promise.all(clients.map(work));
  process.send?.(accepted);
}
