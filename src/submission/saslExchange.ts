import type { EnhancedStatus } from "../smtp/enhancedStatus.ts";
import type { Rejection } from "./rejection.ts";
import { saslPrepared } from "./saslName.ts";

/**
 * The dialogue of AUTH (RFC 4954 §4) without sockets: PLAIN (RFC 4616) and LOGIN, as lines in and steps out.
 *
 *   AUTH PLAIN [response]            -> (challenge "" -> response) -> credentials
 *   AUTH LOGIN [user] -> challenge "Username:" -> challenge "Password:" -> credentials
 *
 * LOGIN is no RFC; what is common ([MS-XLOGIN]) lets its client begin with the user name, so that initial response is taken.
 */
export type Credentials = { user: string; password: string };

export type SaslStep =
  /** Reply 334 with this text; the next line is for `respond`. */
  | { kind: "challenge"; text: string }
  | { kind: "credentials"; credentials: Credentials }
  | { kind: "rejected"; rejection: Rejection };

export const SASL_MECHANISMS = ["PLAIN", "LOGIN"] as const;
type Mechanism = (typeof SASL_MECHANISMS)[number];

/** RFC 4954 §4: sufficient for deployed mechanisms. */
const MAX_LINE_OCTETS = 12_288;
const COMMAND = /^AUTH[ \t]+([A-Za-z0-9_-]{1,20})(?:[ \t]+(\S+))?[ \t]*$/i;
/** RFC 4954 §8. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function rejected(code: number, status: EnhancedStatus, text: string): SaslStep {
  return { kind: "rejected", rejection: { reason: code === 535 ? "auth-failed" : "protocol", code, status, text } };
}

function challenge(text: string): SaslStep {
  return { kind: "challenge", text: Buffer.from(text).toString("base64") };
}

/** What is wrong is the line's form, never the credentials: those are not judged here. */
export class SaslExchange {
  #mechanism: Mechanism = "PLAIN";
  #user: string | undefined;

  /** The AUTH command itself. */
  begin(line: Buffer): SaslStep {
    if (line.length > MAX_LINE_OCTETS) return tooLong();
    const [, name = "", initial] = COMMAND.exec(line.toString("latin1")) ?? [];
    if (name === "") return rejected(501, "5.5.4", "use AUTH mechanism [initial-response]");
    const mechanism = SASL_MECHANISMS.find((known) => known === name.toUpperCase());
    // RFC 4954 §4.
    if (mechanism === undefined) return rejected(504, "5.5.4", `AUTH mechanisms are ${SASL_MECHANISMS.join(" and ")}`);
    this.#mechanism = mechanism;
    // A response of zero length is "=".
    if (initial !== undefined) return this.#take(initial === "=" ? "" : initial);
    return mechanism === "PLAIN" ? challenge("") : challenge("Username:");
  }

  /** A client's response line. */
  respond(line: Buffer): SaslStep {
    if (line.length > MAX_LINE_OCTETS) return tooLong();
    const text = line.toString("latin1");
    if (text === "*") return rejected(501, "5.7.0", "authentication cancelled");
    return this.#take(text);
  }

  #take(encoded: string): SaslStep {
    const response = decoded(encoded);
    // RFC 4954 §4: 5.5.2 where the response is not base64; the same for what is not UTF-8, which both mechanisms are made of.
    if (response === undefined) return rejected(501, "5.5.2", "the response is not UTF-8 text in base64");
    switch (this.#mechanism) {
      case "PLAIN":
        return plain(response);
      case "LOGIN":
        if (this.#user === undefined) {
          this.#user = response;
          return challenge("Password:");
        }
        return credentials(this.#user, response);
      default:
        return this.#mechanism satisfies never;
    }
  }
}

function tooLong(): SaslStep {
  return rejected(500, "5.5.6", "the line is too long");
}

function decoded(encoded: string): string | undefined {
  if (!BASE64.test(encoded)) return undefined;
  try {
    return strictUtf8.decode(Buffer.from(encoded, "base64"));
  } catch (problem) {
    if (problem instanceof TypeError) return undefined;
    throw problem;
  }
}

/** RFC 4616 §2: [authzid] NUL authcid NUL passwd. Nobody may act as somebody else. */
function plain(response: string): SaslStep {
  const [authorization, user, password, ...more] = response.split("\0");
  if (authorization === undefined || user === undefined || password === undefined || more.length > 0) {
    return rejected(501, "5.5.2", "the response is not that of PLAIN");
  }
  if (authorization !== "" && saslPrepared(authorization) !== saslPrepared(user)) return invalidCredentials();
  return credentials(user, password);
}

function credentials(user: string, password: string): SaslStep {
  const prepared = { user: saslPrepared(user), password: saslPrepared(password) };
  // RFC 4616 §2: where preparation fails or gives nothing, so does the authentication.
  if (prepared.user === undefined || prepared.password === undefined) return invalidCredentials();
  return { kind: "credentials", credentials: { user: prepared.user, password: prepared.password } };
}

/** The same words whatever was wrong. */
export function invalidCredentials(): { kind: "rejected"; rejection: Rejection } {
  return {
    kind: "rejected",
    rejection: { reason: "auth-failed", code: 535, status: "5.7.8", text: "authentication credentials invalid" },
  };
}
