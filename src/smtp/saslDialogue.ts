import { type DialogueInput, type DialogueStep, type OpeningFailure, openingFailure } from "./dialogueStep.ts";
import { announcedMechanisms, type Extensions } from "./extensions.ts";

/** For AUTH to a next-hop relay (RFC 4954). */
export type Credentials = { user: string; password: string };

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

/** AUTH PLAIN (RFC 4616) with initial response, or LOGIN where only that is offered; undefined when the server accepted. */
export function* authentication(
  credentials: Credentials,
  extensions: Extensions,
): Generator<DialogueStep, OpeningFailure | undefined, DialogueInput> {
  const mechanisms = announcedMechanisms(extensions);
  const refused = "the server refused the authentication";
  let answer: DialogueInput;
  if (mechanisms.has("PLAIN")) {
    const response = base64(`\0${credentials.user}\0${credentials.password}`);
    answer = yield { kind: "reply", send: `AUTH PLAIN ${response}\r\n`, phase: "command" };
  } else if (mechanisms.has("LOGIN")) {
    answer = yield { kind: "reply", send: "AUTH LOGIN\r\n", phase: "command" };
    for (const secret of [credentials.user, credentials.password]) {
      if (answer.kind !== "reply" || answer.reply.code !== 334) return openingFailure("auth", answer, refused);
      answer = yield { kind: "reply", send: `${base64(secret)}\r\n`, phase: "command" };
    }
  } else {
    return { kind: "failed", stage: "auth", text: "the server offers neither AUTH PLAIN nor AUTH LOGIN", quit: "possible" };
  }
  if (answer.kind === "reply" && answer.reply.code === 235) return undefined;
  return openingFailure("auth", answer, refused);
}
