/** The command line of `sendmail`, as programs have used it for forty years: options bundled, values attached or apart, most of them ignored. */
export type SendmailArguments = {
  /** "" or "<>": the null reverse-path; undefined: the user that runs it. */
  sender: string | undefined;
  fullName: string | undefined;
  recipients: readonly string[];
  /** -t: recipients are (also) in the header. */
  fromHeader: "yes" | "no";
  /** -i, -oi: a line that is a dot alone does not end the message. */
  dots: "content" | "end";
  notify: string | undefined;
  returnContent: string | undefined;
  envelopeId: string | undefined;
  /** deliver: a message on standard input; session: SMTP on it (-bs); nothing: asked for what there is none of here (-q, -bi). */
  mode: "deliver" | "session" | "nothing";
  server: string | undefined;
  config: string | undefined;
};

export type Parsed = { kind: "parsed"; arguments: SendmailArguments } | { kind: "usage"; reason: string };

/** With a value, attached or in the next word. */
const WITH_VALUE = new Set(["B", "C", "F", "f", "h", "L", "N", "O", "o", "p", "R", "r", "V", "X", "A", "D", "a"]);
/** With a value only where it is attached. */
const WITH_ATTACHED = new Set(["b", "d", "q", "Q", "e", "m"]);
const NOTIFY = /^(?:never|(?:success|failure|delay)(?:,(?:success|failure|delay))*)$/i;

export function parseSendmailArguments(words: readonly string[]): Parsed {
  const result: { -readonly [K in keyof SendmailArguments]: SendmailArguments[K] } = {
    ...{ sender: undefined, fullName: undefined, recipients: [], fromHeader: "no", dots: "end", notify: undefined },
    ...{ returnContent: undefined, envelopeId: undefined, mode: "deliver", server: undefined, config: undefined },
  };
  const recipients: string[] = [];
  const rest = [...words];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--") {
      recipients.push(...rest.splice(0));
    } else if (word.startsWith("--")) {
      const [, name = "", value = rest.shift()] = /^--(server|config)(?:=(.*))?$/.exec(word) ?? [];
      if ((name !== "server" && name !== "config") || value === undefined) return usage(`${word} is unknown, or lacks its value`);
      // A program may pass on words of others: they must not lead the message elsewhere than whoever set up the program has said.
      if (result[name] !== undefined) return usage(`--${name} is given twice`);
      result[name] = value;
    } else if (!word.startsWith("-") || word === "-") {
      recipients.push(word);
    } else {
      const wrong = bundle(word.slice(1), rest, result);
      if (wrong !== undefined) return usage(wrong);
    }
  }
  return { kind: "parsed", arguments: { ...result, recipients } };
}

function usage(reason: string): Parsed {
  return { kind: "usage", reason };
}

type Draft = { -readonly [K in keyof SendmailArguments]: SendmailArguments[K] };

/** One word of options: `-ti`, `-fjoe@example.org`, `-oi`. What is wrong with it, if anything. */
function bundle(letters: string, rest: string[], draft: Draft): string | undefined {
  for (let i = 0; i < letters.length; i += 1) {
    const letter = letters.charAt(i);
    const attached = letters.slice(i + 1);
    if (WITH_VALUE.has(letter)) {
      const value = attached === "" ? rest.shift() : attached;
      return value === undefined ? `-${letter} lacks its value` : apply(letter, value, draft);
    }
    if (WITH_ATTACHED.has(letter)) return apply(letter, attached, draft);
    if (letter === "t") draft.fromHeader = "yes";
    else if (letter === "i") draft.dots = "content";
    else if (!/[GUnvscx]/.test(letter)) return `-${letter} is unknown`;
  }
  return undefined;
}

function apply(letter: string, value: string, draft: Draft): string | undefined {
  switch (letter) {
    case "f":
    case "r":
      draft.sender = value === "<>" ? "" : value.replace(/^<(.*)>$/, "$1");
      return undefined;
    case "F":
      draft.fullName = value;
      return undefined;
    case "N":
      if (!NOTIFY.test(value)) return "-N takes never, or a list of success, failure, delay";
      draft.notify = value.toUpperCase();
      return undefined;
    case "R":
      if (!/^(?:full|hdrs)$/i.test(value)) return "-R takes full or hdrs";
      draft.returnContent = value.toUpperCase();
      return undefined;
    case "V":
      draft.envelopeId = value;
      return undefined;
    case "o":
    case "O":
      if (/^(?:i|IgnoreDots(?:=true)?)$/i.test(value)) draft.dots = "content";
      return undefined;
    case "q":
      draft.mode = "nothing";
      return undefined;
    case "b":
      return applyMode(value, draft);
    default:
      // What programs pass and what means nothing here: -B (the relay sees what the body is), -C, -d, -e, -h, -L, -m, -p, -X.
      return undefined;
  }
}

function applyMode(mode: string, draft: Draft): string | undefined {
  if (mode === "m" || mode === "") return undefined;
  if (mode === "i") draft.mode = "nothing";
  else if (mode === "s") draft.mode = "session";
  else return mode === "p" ? "-bp: see `dane-relay queue list`" : `-b${mode} is nothing that this relay does`;
  return undefined;
}
