import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { closing, type OpeningOptions, opening } from "../../../src/smtp/clientDialogue.ts";
import { type DialogueInput, type DialogueStep, phaseSeconds, type TimeoutPhase } from "../../../src/smtp/dialogueStep.ts";
import { mailTransaction } from "../../../src/smtp/mailTransaction.ts";
import { type Reply, ReplyParser } from "../../../src/smtp/reply.ts";

function reply(text: string): Reply {
  const parser = new ReplyParser();
  assert.equal(parser.feed(Buffer.from(`${text.split("|").join("\r\n")}\r\n`)), undefined);
  const parsed = parser.take();
  assert.ok(parsed);
  return parsed;
}

/** Plays `script`: `C:` what is sent, `S:` what comes, lines of one reply separated by "|"; `TLS` the handshake, `S: -` the end of the connection. */
function play(options: Partial<OpeningOptions>, script: readonly string[]): string {
  const dialogue = opening({ hostname: "relay.example", starttls: "opportunistic", implicitTls: false, ...options });
  const answers = script.filter((line) => !line.startsWith("C:"));
  const said: string[] = [];
  let turn = dialogue.next();
  while (!turn.done) {
    if (turn.value.kind === "reply" && turn.value.send !== undefined) said.push(`C: ${turn.value.send.trimEnd()}`);
    const answer = answers.shift();
    assert.ok(answer !== undefined, `no answer to ${said.at(-1)}`);
    said.push(answer);
    assert.equal(turn.value.kind === "startTls", answer === "TLS");
    turn = dialogue.next(inputOf(answer));
  }
  assert.deepEqual(said, script);
  const end = turn.value;
  if (end.kind === "failed") return `${end.stage}${end.quit === "possible" ? ", QUIT" : ""}`;
  return [end.starttls, ...end.extensions.keys()].join(" ");
}

function inputOf(answer: string): DialogueInput {
  if (answer === "TLS") return { kind: "secured" };
  return answer === "S: -" ? { kind: "lost", text: "gone" } : { kind: "reply", reply: reply(answer.slice(3)) };
}

const GREETED = ["S: 220 mx ESMTP", "C: EHLO relay.example"];
const OFFER = "S: 250-mx|250-STARTTLS|250 PIPELINING";
const credentials = { user: "me", password: "secret" };

const rows: readonly [string, Partial<OpeningOptions>, readonly string[], string][] = [
  [
    "TLS and EHLO again: only what was said inside counts",
    {},
    [...GREETED, OFFER, "C: STARTTLS", "S: 220 go", "TLS", "C: EHLO relay.example", "S: 250-mx|250 SIZE 5"],
    "done SIZE",
  ],
  [
    "STARTTLS announced again inside TLS is not used",
    {},
    [...GREETED, OFFER, "C: STARTTLS", "S: 220 go", "TLS", "C: EHLO relay.example", OFFER],
    "done STARTTLS PIPELINING",
  ],
  ["never: STARTTLS is not tried", { starttls: "never" }, [...GREETED, OFFER], "not-tried STARTTLS PIPELINING"],
  ["implicit TLS: nor there", { starttls: "required", implicitTls: true }, [...GREETED, OFFER], "not-tried STARTTLS PIPELINING"],
  [
    "keywords in any case, lines that are none",
    {},
    [...GREETED, "S: 250-mx|250-Size 5|250-= odd|250-|250 pipelining"],
    "not-offered SIZE PIPELINING",
  ],
  ["the server's name is no keyword", { starttls: "required" }, [...GREETED, "S: 250 STARTTLS"], "starttls-missing, QUIT"],
  ["refused, opportunistic: goes on", {}, [...GREETED, OFFER, "C: STARTTLS", "S: 454 no"], "refused STARTTLS PIPELINING"],
  ["refused, required", { starttls: "required" }, [...GREETED, OFFER, "C: STARTTLS", "S: 454 no"], "starttls-refused, QUIT"],
  ["421 to STARTTLS", {}, [...GREETED, OFFER, "C: STARTTLS", "S: 421 bye"], "starttls-refused"],
  ["lost at STARTTLS", {}, [...GREETED, OFFER, "C: STARTTLS", "S: -"], "starttls-refused"],
  ["greeting 554", {}, ["S: 554 no"], "greeting, QUIT"],
  ["greeting 250", {}, ["S: 250 hello"], "greeting, QUIT"],
  ["greeting 421", {}, ["S: 421 busy"], "greeting"],
  ["EHLO unknown: HELO", {}, [...GREETED, "S: 500 what", "C: HELO relay.example", "S: 250 mx"], "not-offered"],
  ["EHLO and HELO unknown", {}, [...GREETED, "S: 502 what", "C: HELO relay.example", "S: 502 what"], "ehlo, QUIT"],
  ["EHLO unknown, TLS required", { starttls: "required" }, [...GREETED, "S: 502 what"], "starttls-missing, QUIT"],
  ["EHLO refused for what it says: no HELO", {}, [...GREETED, "S: 550 not you"], "ehlo, QUIT"],
  [
    "EHLO refused inside TLS: no HELO",
    {},
    [...GREETED, OFFER, "C: STARTTLS", "S: 220 go", "TLS", "C: EHLO relay.example", "S: 502 what"],
    "ehlo, QUIT",
  ],
  [
    "AUTH PLAIN where both are offered",
    { implicitTls: true, credentials },
    [...GREETED, "S: 250-mx|250 AUTH LOGIN PLAIN", "C: AUTH PLAIN AG1lAHNlY3JldA==", "S: 235 ok"],
    "not-tried AUTH",
  ],
  [
    "AUTH LOGIN",
    { implicitTls: true, credentials },
    [
      ...GREETED,
      "S: 250-mx|250 AUTH LOGIN",
      "C: AUTH LOGIN",
      "S: 334 VXNlcm5hbWU6",
      "C: bWU=",
      "S: 334 UGFzc3dvcmQ6",
      "C: c2VjcmV0",
      "S: 235 ok",
    ],
    "not-tried AUTH",
  ],
  [
    "AUTH LOGIN broken off",
    { implicitTls: true, credentials },
    [...GREETED, "S: 250-mx|250 AUTH LOGIN", "C: AUTH LOGIN", "S: 334 x", "C: bWU=", "S: 535 no"],
    "auth, QUIT",
  ],
  ["AUTH never outside TLS", { credentials }, [...GREETED, "S: 250-mx|250 AUTH PLAIN"], "not-offered AUTH"],
];

describe("opening", () => {
  for (const [name, options, script, expected] of rows) test(name, () => assert.equal(play(options, script), expected));
});

test("the times of RFC 5321 §4.5.3.2, and a ceiling for all of them", () => {
  const minutes: Record<TimeoutPhase, number> = {
    greeting: 5,
    command: 5,
    MAIL: 5,
    RCPT: 5,
    DATA: 2,
    block: 3,
    end: 10,
    QUIT: 1 / 12,
  };
  for (const [phase, expected] of Object.entries(minutes) as [TimeoutPhase, number][]) {
    assert.equal(phaseSeconds(phase, undefined), expected * 60);
    assert.equal(phaseSeconds(phase, 7), Math.min(7, expected * 60));
  }
});

test("each step of a transaction has its own time", () => {
  const phases = (pipelining: boolean): string[] => {
    const extensions = new Map(pipelining ? [["PIPELINING", ""]] : []);
    const envelope = { sender: "", smtpUtf8: false, eightBitMime: false, requireTls: false, size: 1 };
    const dialogue = mailTransaction(envelope, [{ address: "a@b" }, { address: "c@d" }], { extensions, inTls: false });
    const answers = ["250 a", "250 b", "250 c", "354 d", "250 e"];
    const seen: string[] = [];
    let turn: IteratorResult<DialogueStep, unknown> = dialogue.next();
    while (!turn.done) {
      seen.push(turn.value.kind === "reply" ? turn.value.phase : turn.value.kind);
      turn = dialogue.next({ kind: "reply", reply: reply(answers.shift() ?? "") });
    }
    return seen;
  };
  for (const pipelining of [true, false]) assert.deepEqual(phases(pipelining), ["MAIL", "RCPT", "RCPT", "DATA", "content"]);
});

test("closing is QUIT, whatever comes", () => {
  for (const answer of ["221 bye", "500 what"]) {
    const dialogue = closing();
    assert.deepEqual(dialogue.next().value, { kind: "reply", send: "QUIT\r\n", phase: "QUIT" });
    assert.equal(dialogue.next({ kind: "reply", reply: reply(answer) }).done, true);
  }
});
