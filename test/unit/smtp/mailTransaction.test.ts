import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DialogueInput } from "../../../src/smtp/dialogueStep.ts";
import { MAX_PIPELINED_RECIPIENTS, mailTransaction } from "../../../src/smtp/mailTransaction.ts";
import { MAX_REPLIES_AHEAD, type Reply, ReplyParser } from "../../../src/smtp/reply.ts";
import {
  leftOverRecipients,
  type RecipientResult,
  type TransactionEnvelope,
  type TransactionRecipient,
} from "../../../src/smtp/transaction.ts";

/**
 * Dialogues as scripts. `C:` what the client sends, `S:` what the server answers, `S: -` the connection breaks, `S! 552 no` a reply before
 * the content was complete, `C: <content>` the content with its end.
 */
type Script = {
  extensions?: Record<string, string>;
  inTls?: boolean;
  envelope?: Partial<TransactionEnvelope>;
  to?: readonly (string | TransactionRecipient)[];
  lines: readonly string[];
  /** One word for each recipient: `accepted`, `rejected RCPT 550`, `lost MAIL`, `lost CONTENT ambiguous`, `unsupported SIZE`. */
  results: readonly string[];
  next: "idle" | "close";
};

const PIPELINING = { PIPELINING: "" };

function reply(text: string): Reply {
  const parser = new ReplyParser();
  assert.equal(parser.feed(Buffer.from(`${text}\r\n`)), undefined);
  const parsed = parser.take();
  assert.ok(parsed);
  return parsed;
}

function word(result: RecipientResult): string {
  switch (result.kind) {
    case "accepted":
      return result.dsnRelayed === "yes" ? "accepted, DSN passed on" : "accepted";
    case "rejected":
      return `rejected ${result.phase} ${result.reply.code}`;
    case "lost":
      return `lost ${result.phase}${result.ambiguous === "yes" ? " ambiguous" : ""}`;
    case "unsupported":
      return `unsupported ${result.extension}`;
    default:
      return result satisfies never;
  }
}

function play(script: Script): { said: string[]; results: readonly RecipientResult[]; next: string } {
  const addresses = script.to ?? ["a@example.org"];
  const to = addresses.map((address) => (typeof address === "string" ? { address } : address));
  const envelope = {
    sender: "s@example.net",
    smtpUtf8: false,
    eightBitMime: false,
    requireTls: false,
    size: 100,
    ...script.envelope,
  };
  const server = { extensions: new Map(Object.entries(script.extensions ?? {})), inTls: script.inTls ?? false };
  const dialogue = mailTransaction(envelope, to as [TransactionRecipient, ...TransactionRecipient[]], server);
  const answers = script.lines.filter((line) => line.startsWith("S"));
  const said: string[] = [];
  let turn = dialogue.next();
  while (!turn.done) {
    const step = turn.value;
    assert.notEqual(step.kind, "startTls");
    if (step.kind !== "startTls" && step.send !== undefined) {
      for (const line of step.send.split("\r\n").slice(0, -1)) said.push(`C: ${line}`);
    }
    if (step.kind === "content") said.push(`C: <content ${step.framing}>`);
    const answer = answers.shift();
    assert.ok(answer !== undefined, `the script has no answer to ${said.at(-1)}`);
    said.push(answer);
    turn = dialogue.next(inputOf(answer, step.kind === "content"));
  }
  assert.deepEqual(answers, [], "replies that nobody waited for");
  return { said, ...turn.value };
}

function inputOf(answer: string, afterContent: boolean): DialogueInput {
  const text = answer.slice(3);
  if (text === "-") return { kind: "lost", text: "gone", ...(afterContent ? { endSent: true as const } : {}) };
  if (text === "- early") return { kind: "lost", text: "gone" };
  return { kind: answer.startsWith("S!") ? "earlyReply" : "reply", reply: reply(text) };
}

function dialogue(name: string, script: Script): void {
  test(name, () => {
    const { said, results, next } = play(script);
    assert.deepEqual(said, script.lines);
    assert.deepEqual(results.map(word), script.results);
    assert.equal(next, script.next);
  });
}

const MAIL = "C: MAIL FROM:<s@example.net>";
const RCPT_A = "C: RCPT TO:<a@example.org>";
const RCPT_B = "C: RCPT TO:<b@example.org>";
const TWO = ["a@example.org", "b@example.org"];
const DOT = "C: <content dot>";

describe("one by one, without PIPELINING", () => {
  dialogue("accepted", {
    lines: [MAIL, "S: 250 ok", RCPT_A, "S: 250 ok", "C: DATA", "S: 354 go", DOT, "S: 250 queued"],
    results: ["accepted"],
    next: "idle",
  });
  dialogue("MAIL refused: nothing more is said but RSET", {
    lines: [MAIL, "S: 550 no", "C: RSET", "S: 250 ok"],
    results: ["rejected MAIL 550"],
    next: "idle",
  });
  dialogue("all RCPT refused: no DATA", {
    to: TWO,
    lines: [MAIL, "S: 250 ok", RCPT_A, "S: 550 no", RCPT_B, "S: 450 later", "C: RSET", "S: 250 ok"],
    results: ["rejected RCPT 550", "rejected RCPT 450"],
    next: "idle",
  });
  dialogue("one of two refused", {
    to: TWO,
    lines: [MAIL, "S: 250 ok", RCPT_A, "S: 550 no", RCPT_B, "S: 251 will forward", "C: DATA", "S: 354 go", DOT, "S: 250 queued"],
    results: ["rejected RCPT 550", "accepted"],
    next: "idle",
  });
  dialogue("DATA refused: it speaks for those who were accepted", {
    to: TWO,
    lines: [MAIL, "S: 250 ok", RCPT_A, "S: 550 no", RCPT_B, "S: 250 ok", "C: DATA", "S: 451 later", "C: RSET", "S: 250 ok"],
    results: ["rejected RCPT 550", "rejected DATA 451"],
    next: "idle",
  });
  dialogue("content refused: the transaction is over without RSET", {
    lines: [MAIL, "S: 250 ok", RCPT_A, "S: 250 ok", "C: DATA", "S: 354 go", DOT, "S: 554 spam"],
    results: ["rejected CONTENT 554"],
    next: "idle",
  });
  dialogue("RSET refused: the connection is not used again", {
    lines: [MAIL, "S: 550 no", "C: RSET", "S: 500 what"],
    results: ["rejected MAIL 550"],
    next: "close",
  });
});

describe("one group, with PIPELINING (RFC 2920)", () => {
  const group = [MAIL, RCPT_A, RCPT_B, "C: DATA"];
  dialogue("accepted", {
    extensions: PIPELINING,
    to: TWO,
    lines: [...group, "S: 250 ok", "S: 250 ok", "S: 250 ok", "S: 354 go", DOT, "S: 250 queued"],
    results: ["accepted", "accepted"],
    next: "idle",
  });
  dialogue("MAIL refused: the other replies are taken, and speak for nobody", {
    extensions: PIPELINING,
    to: TWO,
    lines: [...group, "S: 552 too big", "S: 503 no MAIL", "S: 503 no MAIL", "S: 503 no RCPT", "C: RSET", "S: 250 ok"],
    results: ["rejected MAIL 552", "rejected MAIL 552"],
    next: "idle",
  });
  dialogue("all RCPT refused, DATA refused", {
    extensions: PIPELINING,
    to: TWO,
    lines: [...group, "S: 250 ok", "S: 550 a", "S: 451 b", "S: 554 no valid RCPT", "C: RSET", "S: 250 ok"],
    results: ["rejected RCPT 550", "rejected RCPT 451"],
    next: "idle",
  });
  dialogue("all RCPT refused, DATA accepted: a lone dot (RFC 2920 §3.1)", {
    extensions: PIPELINING,
    to: TWO,
    lines: [...group, "S: 250 ok", "S: 550 a", "S: 550 b", "S: 354 go", "C: .", "S: 554 no recipients", "C: RSET", "S: 250 ok"],
    results: ["rejected RCPT 550", "rejected RCPT 550"],
    next: "idle",
  });
  dialogue("the lone dot is accepted: nobody got anything", {
    extensions: PIPELINING,
    lines: [MAIL, RCPT_A, "C: DATA", "S: 250 ok", "S: 550 a", "S: 354 go", "C: .", "S: 250 queued", "C: RSET", "S: 250 ok"],
    results: ["rejected RCPT 550"],
    next: "idle",
  });
  dialogue("MAIL refused, RCPT and DATA accepted nevertheless: no content", {
    extensions: PIPELINING,
    lines: [MAIL, RCPT_A, "C: DATA", "S: 550 no", "S: 250 ok", "S: 354 go", "C: .", "S: 250 ok", "C: RSET", "S: 250 ok"],
    results: ["rejected MAIL 550"],
    next: "idle",
  });
  dialogue("DATA refused with recipients accepted", {
    extensions: PIPELINING,
    to: TWO,
    lines: [...group, "S: 250 ok", "S: 250 ok", "S: 550 b", "S: 452 full", "C: RSET", "S: 250 ok"],
    results: ["rejected DATA 452", "rejected RCPT 550"],
    next: "idle",
  });
});

describe("421 at any time (RFC 5321 §3.8)", () => {
  dialogue("to MAIL", { lines: [MAIL, "S: 421 bye"], results: ["rejected MAIL 421"], next: "close" });
  dialogue("to the second RCPT: also for the first, accepted one", {
    extensions: PIPELINING,
    to: TWO,
    lines: [MAIL, RCPT_A, RCPT_B, "C: DATA", "S: 250 ok", "S: 250 ok", "S: 421 bye"],
    results: ["rejected RCPT 421", "rejected RCPT 421"],
    next: "close",
  });
  dialogue("a refusal before it stays", {
    extensions: PIPELINING,
    to: TWO,
    lines: [MAIL, RCPT_A, RCPT_B, "C: DATA", "S: 250 ok", "S: 550 no", "S: 250 ok", "S: 421 bye"],
    results: ["rejected RCPT 550", "rejected DATA 421"],
    next: "close",
  });
  dialogue("to the content", {
    lines: [MAIL, "S: 250 ok", RCPT_A, "S: 250 ok", "C: DATA", "S: 354 go", DOT, "S: 421 bye"],
    results: ["rejected CONTENT 421"],
    next: "close",
  });
});

describe("connection lost", () => {
  dialogue("at MAIL", { lines: [MAIL, "S: -"], results: ["lost MAIL"], next: "close" });
  dialogue("at RCPT: what was refused stays refused", {
    to: TWO,
    lines: [MAIL, "S: 250 ok", RCPT_A, "S: 550 no", RCPT_B, "S: -"],
    results: ["rejected RCPT 550", "lost RCPT"],
    next: "close",
  });
  dialogue("at DATA", {
    lines: [MAIL, "S: 250 ok", RCPT_A, "S: 250 ok", "C: DATA", "S: -"],
    results: ["lost DATA"],
    next: "close",
  });
  dialogue("in the content, before its end", {
    lines: [MAIL, "S: 250 ok", RCPT_A, "S: 250 ok", "C: DATA", "S: 354 go", DOT, "S: - early"],
    results: ["lost CONTENT"],
    next: "close",
  });
  dialogue("after the final dot: nobody knows", {
    to: TWO,
    lines: [MAIL, "S: 250 ok", RCPT_A, "S: 550 no", RCPT_B, "S: 250 ok", "C: DATA", "S: 354 go", DOT, "S: -"],
    results: ["rejected RCPT 550", "lost CONTENT ambiguous"],
    next: "close",
  });
  dialogue("at RSET: the results stand", {
    lines: [MAIL, "S: 550 no", "C: RSET", "S: -"],
    results: ["rejected MAIL 550"],
    next: "close",
  });
});

describe("replies that have no meaning in their place are never success", () => {
  dialogue("354 to MAIL", { lines: [MAIL, "S: 354 go"], results: ["lost MAIL"], next: "close" });
  dialogue("354 to RCPT", { lines: [MAIL, "S: 250 ok", RCPT_A, "S: 354 go"], results: ["lost RCPT"], next: "close" });
  dialogue("250 to DATA", {
    lines: [MAIL, "S: 250 ok", RCPT_A, "S: 250 ok", "C: DATA", "S: 250 queued"],
    results: ["lost DATA"],
    next: "close",
  });
  dialogue("354 to the content", {
    lines: [MAIL, "S: 250 ok", RCPT_A, "S: 250 ok", "C: DATA", "S: 354 go", DOT, "S: 354 more"],
    results: ["lost CONTENT ambiguous"],
    next: "close",
  });
  dialogue("a refusal before the content was complete is one", {
    lines: [MAIL, "S: 250 ok", RCPT_A, "S: 250 ok", "C: DATA", "S: 354 go", DOT, "S! 552 too big"],
    results: ["rejected CONTENT 552"],
    next: "close",
  });
  dialogue("250 before the content was complete is not to be believed", {
    lines: [MAIL, "S: 250 ok", RCPT_A, "S: 250 ok", "C: DATA", "S: 354 go", DOT, "S! 250 queued"],
    results: ["lost CONTENT ambiguous"],
    next: "close",
  });
});

describe("CHUNKING (RFC 3030)", () => {
  const BDAT = ["C: BDAT 100 LAST", "C: <content chunk>"];
  dialogue("accepted", {
    extensions: { ...PIPELINING, CHUNKING: "" },
    lines: [MAIL, RCPT_A, "S: 250 ok", "S: 250 ok", ...BDAT, "S: 250 queued"],
    results: ["accepted"],
    next: "idle",
  });
  dialogue("refused: the transaction is open until RSET (RFC 3030 §2)", {
    extensions: { CHUNKING: "" },
    lines: [MAIL, "S: 250 ok", RCPT_A, "S: 250 ok", ...BDAT, "S: 552 too big", "C: RSET", "S: 250 ok"],
    results: ["rejected CONTENT 552"],
    next: "idle",
  });
  dialogue("no recipient accepted: no content", {
    extensions: { ...PIPELINING, CHUNKING: "" },
    lines: [MAIL, RCPT_A, "S: 250 ok", "S: 550 no", "C: RSET", "S: 250 ok"],
    results: ["rejected RCPT 550"],
    next: "idle",
  });
});

describe("what the message needs and the server lacks: not a word is said", () => {
  const rows: readonly [string, Partial<TransactionEnvelope>, Record<string, string>, boolean, string][] = [
    ["SMTPUTF8 asked for", { smtpUtf8: true }, { "8BITMIME": "" }, false, "SMTPUTF8"],
    ["a sender outside ASCII", { sender: "jürgen@example.net" }, {}, false, "SMTPUTF8"],
    ["8-bit content", { eightBitMime: true }, {}, false, "8BITMIME"],
    ["larger than announced", { size: 1001 }, { SIZE: "1000" }, false, "SIZE"],
    ["REQUIRETLS not announced", { requireTls: true }, {}, true, "REQUIRETLS"],
    ["REQUIRETLS announced in clear text", { requireTls: true }, { REQUIRETLS: "" }, false, "REQUIRETLS"],
  ];
  for (const [name, envelope, extensions, inTls, extension] of rows) {
    dialogue(name, {
      envelope,
      extensions,
      inTls,
      to: TWO,
      lines: [],
      results: [`unsupported ${extension}`, `unsupported ${extension}`],
      next: "idle",
    });
  }
  dialogue("a recipient outside ASCII", { to: ["用户@example.org"], lines: [], results: ["unsupported SMTPUTF8"], next: "idle" });
});

describe("parameters of MAIL and RCPT", () => {
  const all = { SIZE: "1000", "8BITMIME": "", SMTPUTF8: "", DSN: "", REQUIRETLS: "" };
  const rest = ["S: 250 ok", "C: DATA", "S: 354 go", DOT, "S: 250 queued"];
  dialogue("everything that was asked for", {
    extensions: all,
    inTls: true,
    envelope: { smtpUtf8: true, eightBitMime: true, requireTls: true, returnContent: "HDRS", envelopeId: "id=1+2 x" },
    to: [{ address: "a@example.org", notify: ["SUCCESS", "DELAY"], originalRecipient: "rfc822;A+b=c@Example.ORG" }],
    lines: [
      "C: MAIL FROM:<s@example.net> SIZE=100 BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=id+3D1+2B2+20x",
      "S: 250 ok",
      "C: RCPT TO:<a@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;A+2Bb+3Dc@Example.ORG",
      ...rest,
    ],
    results: ["accepted, DSN passed on"],
    next: "idle",
  });
  dialogue("nothing that was not asked for", {
    extensions: all,
    inTls: true,
    lines: ["C: MAIL FROM:<s@example.net> SIZE=100", "S: 250 ok", RCPT_A, ...rest],
    results: ["accepted, DSN passed on"],
    next: "idle",
  });
  dialogue("no DSN parameters without DSN (RFC 3461 §5.2.2 (a))", {
    envelope: { returnContent: "FULL", envelopeId: "x" },
    to: [{ address: "a@example.org", notify: ["NEVER"], originalRecipient: "rfc822;a@example.org" }],
    lines: [MAIL, "S: 250 ok", RCPT_A, ...rest],
    results: ["accepted"],
    next: "idle",
  });
  dialogue("the null reverse-path; a REQUIRETLS notification goes on without it (RFC 8689 §5)", {
    envelope: { sender: "", requireTls: true },
    lines: ["C: MAIL FROM:<>", "S: 250 ok", RCPT_A, ...rest],
    results: ["accepted"],
    next: "idle",
  });
  dialogue("utf-8 ORCPT natively, for a server with SMTPUTF8 (RFC 6533 §3)", {
    extensions: { DSN: "", SMTPUTF8: "" },
    to: [{ address: "ü@example.org", originalRecipient: "utf-8;ü+=\\ x\\x{FC}@example.org" }],
    lines: [
      "C: MAIL FROM:<s@example.net> SMTPUTF8",
      "S: 250 ok",
      "C: RCPT TO:<ü@example.org> ORCPT=utf-8;ü\\x{2B}\\x{3D}\\x{5C}\\x{20}x\\x{FC}@example.org",
      ...rest,
    ],
    results: ["accepted, DSN passed on"],
    next: "idle",
  });
  dialogue("utf-8 ORCPT in ASCII, for a server without", {
    extensions: { DSN: "" },
    to: [{ address: "a@example.org", originalRecipient: "utf-8;ü用@example.org" }],
    lines: [MAIL, "S: 250 ok", "C: RCPT TO:<a@example.org> ORCPT=utf-8;\\x{FC}\\x{7528}@example.org", ...rest],
    results: ["accepted, DSN passed on"],
    next: "idle",
  });
  test("a line break in an address never reaches the wire", () => {
    for (const bad of ["a@example.org>\r\nRCPT TO:<b@example.org", "a\n@example.org", "a\0@example.org"]) {
      assert.throws(() => play({ to: [bad], lines: [], results: [], next: "close" }), /line break or NUL/);
    }
  });
});

describe("too many recipients (RFC 5321 §4.5.3.1.10)", () => {
  const accepted: RecipientResult = { kind: "accepted", reply: reply("250 ok"), dsnRelayed: "no" };
  const rcpt = (text: string): RecipientResult => ({ kind: "rejected", phase: "RCPT", reply: reply(text) });
  const rows: readonly [string, readonly RecipientResult[], readonly number[]][] = [
    [
      "452 and 552 behind accepted ones",
      [accepted, rcpt("452 too many"), rcpt("552 too many"), rcpt("452 4.5.3 too many")],
      [1, 2, 3],
    ],
    ["452 for another reason", [accepted, rcpt("452 4.2.2 mailbox full"), rcpt("552 5.2.2 mailbox full"), rcpt("450 later")], []],
    ["nobody was accepted", [rcpt("452 too many")], []],
  ];
  for (const [name, results, expected] of rows) {
    test(name, () => assert.deepEqual(leftOverRecipients(results), expected));
  }
});

test("recipients beyond what the reply parser holds leave in several groups (RFC 2920 §3.1)", () => {
  for (const count of [1, MAX_PIPELINED_RECIPIENTS, MAX_PIPELINED_RECIPIENTS + 1, 2 * MAX_REPLIES_AHEAD]) {
    const to = Array.from({ length: count }, (_, index) => ({ address: `u${index}@example.org` }));
    const envelope = { sender: "s@example.net", smtpUtf8: false, eightBitMime: false, requireTls: false, size: 100 };
    const server = { extensions: new Map(Object.entries(PIPELINING)), inTls: false };
    const dialogue = mailTransaction(envelope, to as [TransactionRecipient, ...TransactionRecipient[]], server);
    const said: string[] = [];
    let replies = 0;
    let most = 0;
    let turn = dialogue.next();
    while (!turn.done) {
      const step = turn.value;
      if ("send" in step && step.send !== undefined) said.push(...step.send.split("\r\n").slice(0, -1));
      most = Math.max(most, said.length - replies);
      const answer = step.kind === "reply" && step.phase === "DATA" ? "354 go" : "250 ok";
      replies += 1;
      turn = dialogue.next({ kind: "reply", reply: reply(answer) });
    }
    assert.ok(most <= MAX_REPLIES_AHEAD, `${most} replies outstanding`);
    assert.deepEqual(said, ["MAIL FROM:<s@example.net>", ...to.map(({ address }) => `RCPT TO:<${address}>`), "DATA"]);
    assert.equal(turn.value.results.filter(({ kind }) => kind === "accepted").length, count);
  }
});
