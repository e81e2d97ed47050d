import { counted, dateText, spanText } from "../diagnosis/quantity.ts";
import { NEVER_TRIED, type QueueChange, type QueuedMessage, type QueueEntry, type QueueStatistic } from "../spool/queueAdmin.ts";

/** The queue in words and columns, for people. What peers said is shown without its control characters. */

/** Control characters could command the terminal: C0, DEL, C1, and what turns the direction of writing. */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu, " ");
}

/** Rows of cells under a head, each column as wide as its widest cell; the last one is not padded. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return [head, ...rows].map(line);
}

/** One line an entry, with what is wrong below it. */
export function entriesText(entries: readonly QueueEntry[], now: number): string {
  const head = ["ID", "AGE", "STATE", "TRIES", "NEXT", "DESTINATION", "RECIPIENT"];
  const [titles = "", ...lines] = table(
    head,
    entries.map((entry) => {
      const { id, acceptedAt, state, destination, recipients } = entry;
      const tries = Math.max(...recipients.map(({ attempts }) => attempts));
      const [first] = recipients;
      const more = recipients.length > 1 ? ` and ${recipients.length - 1} more` : "";
      const whom = `${first?.address ?? ""}${more}`;
      return [id, spanText(now - acceptedAt), state, String(tries), nextText(entry, now), destination, whom].map(visible);
    }),
  );
  const blocks = entries.flatMap((entry, index) => [lines[index] ?? "", ...reasonLines(entry)]);
  return [titles, ...blocks].map((line) => `${line}\n`).join("");
}

function nextText({ state, nextAttemptAt }: QueueEntry, now: number): string {
  if (state === "active") return "now";
  if (nextAttemptAt === undefined) return "-";
  return nextAttemptAt <= now ? "due" : `in ${spanText(nextAttemptAt - now)}`;
}

/** Each reason once. */
function reasonLines({ recipients }: QueueEntry): string[] {
  const reasons = new Set(
    recipients.flatMap(({ status, reason }) => (reason === undefined ? [] : [`${status ?? ""} ${reason}`])),
  );
  return [...reasons].map((reason) => `    ${visible(reason).trim()}`);
}

/** A message with its whole history. */
export function messageText({ envelope, entries, attempts }: QueuedMessage, now: number): string {
  const flags = [
    envelope.requireTls ? "REQUIRETLS" : "",
    envelope.tlsRequiredNo ? "TLS-Required: No" : "",
    envelope.smtpUtf8 ? "SMTPUTF8" : "",
    envelope.eightBitMime ? "8BITMIME" : "",
  ].filter((flag) => flag !== "");
  const lines = [
    `message    ${envelope.id}`,
    `sender     ${envelope.sender === "" ? "<> (a notification)" : visible(envelope.sender)}`,
    `accepted   ${dateText(envelope.acceptedAt)}, ${spanText(now - envelope.acceptedAt)} ago`,
    `size       ${envelope.size} octets`,
    ...(flags.length === 0 ? [] : [`needs      ${flags.join(", ")}`]),
  ];
  for (const entry of entries) {
    const next =
      entry.nextAttemptAt === undefined ? "" : `, next attempt ${nextText(entry, now)} (${dateText(entry.nextAttemptAt)})`;
    lines.push("", `${visible(entry.destination)}: ${entry.state}${next}`);
    for (const { address, attempts: tries, status, reason } of entry.recipients) {
      lines.push(`  ${visible(address)}, ${tries === 0 ? NEVER_TRIED : `tried ${times(tries)}`}`);
      if (reason !== undefined) lines.push(`    ${visible(`${status ?? ""} ${reason}`).trim()}`);
    }
  }
  if (attempts.length > 0) lines.push("", "history");
  for (const { at, recipient, outcome, status, host, reason } of attempts) {
    const where = host === undefined ? "" : ` at ${host}`;
    lines.push(`  ${dateText(at)}  ${visible(`${recipient} ${outcome}${where}`)}`);
    lines.push(`    ${visible(`${status ?? ""} ${reason ?? ""}`).trim()}`);
  }
  return lines.map((line) => `${line}\n`).join("");
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}

/** What waits, for whom and why. */
export function statisticsText(destinations: readonly QueueStatistic[], reasons: readonly QueueStatistic[], now: number): string {
  const recipients = destinations.reduce((sum, one) => sum + one.recipients, 0);
  if (recipients === 0) return "the queue is empty\n";
  const row = ({ key, messages, recipients: waiting, oldestAcceptedAt }: QueueStatistic): string[] =>
    [String(waiting), String(messages), spanText(now - oldestAcceptedAt), key].map(visible);
  const [titles = "", ...lines] = table(["RECIPIENTS", "MESSAGES", "OLDEST", "DESTINATION"], destinations.map(row));
  const blocks = destinations.flatMap(({ reason }, index) => [
    lines[index] ?? "",
    ...(reason === undefined ? [] : [`    ${visible(reason)}`]),
  ]);
  const byReason = table(["RECIPIENTS", "MESSAGES", "OLDEST", "REASON"], reasons.map(row));
  const sum = `${counted(recipients, "recipient")} ${recipients === 1 ? "waits" : "wait"} at ${counted(destinations.length, "destination")}`;
  return [titles, ...blocks, "", ...byReason, "", sum].map((line) => `${line}\n`).join("");
}

const DONE = { retry: "due now", hold: "held", release: "released", delete: "deleted" } as const;
const ALREADY = {
  retry: "held, and stay so until they are released",
  hold: "held already",
  release: "not held",
  delete: "",
} as const;

/** What came of an action. */
export function changeText(action: keyof typeof DONE, { changed, unchanged, busy, unknown }: QueueChange): string {
  const lines: string[] = [];
  const nothing = changed + unchanged + busy === 0;
  if (changed > 0) lines.push(`${counted(changed, "entry")} ${DONE[action]}`);
  if (unchanged > 0) lines.push(`${unchanged} ${ALREADY[action]}`);
  if (busy > 0) lines.push(`${busy} left alone, since an attempt is under way: try again in a moment`);
  if (nothing) lines.push("nothing in the queue matches");
  for (const id of unknown) lines.push(`not in the queue: ${id}`);
  return lines.map((line) => `${line}\n`).join("");
}
