import type { RecipientResult } from "../smtp/transaction.ts";
import { missingUtf8 } from "../smtp/transactionCommands.ts";
import { type ConnectionRequest, type ConnectionResult, type ConnectionSight, openConnection } from "./connection.ts";
import type { SessionContext } from "./hostSession.ts";
import type { SmtpSession, Transaction } from "./smtpSession.ts";

/** Connects as `openConnection` does; a survey remembers what it saw. */
export type OpenConnection = (request: ConnectionRequest) => Promise<ConnectionResult>;

/**
 * Deliveries without mail: connections are opened and verified as always, and ended with QUIT where MAIL would follow. Whoever goes on with
 * such a session is told that everything was accepted that the server can take. Each connection is made once, however often it is asked for.
 */
export class Rehearsal {
  readonly #connecting: "yes" | "no";
  readonly #openConnection: OpenConnection;
  readonly #made = new Map<string, Promise<ConnectionResult>>();
  #sights: ConnectionSight[] = [];

  constructor(connecting: "yes" | "no", open: OpenConnection = openConnection) {
    this.#connecting = connecting;
    this.#openConnection = open;
  }

  readonly connect: SessionContext["connect"] = async (key, request) => {
    const before = this.#made.get(key);
    const made = before ?? this.#open(request);
    this.#made.set(key, made);
    const result = await made;
    // The verdict on the certificates is part of the attempt, not of the connection.
    const chain = chainOf(result);
    if (before !== undefined && request.tls.need === "authenticate" && chain !== undefined) request.tls.verify(chain);
    return result;
  };

  /** What servers showed since this was asked last. */
  takeSights(): readonly ConnectionSight[] {
    const sights = this.#sights;
    this.#sights = [];
    return sights;
  }

  async #open(request: ConnectionRequest): Promise<ConnectionResult> {
    if (this.#connecting === "no") {
      return { kind: "failed", failure: { stage: "connect", text: "no connection was made (--no-connect)" } };
    }
    // Credentials are for mail. The channel is held to what they demand all the same.
    const { auth: _never, ...withoutCredentials } = request;
    const result = await this.#openConnection({ ...withoutCredentials, onSight: (sight) => this.#sights.push(sight) });
    if (result.kind === "failed") return result;
    await result.session.quit();
    return { kind: "ready", session: rehearsed(result.session) };
  }
}

function chainOf(result: ConnectionResult): readonly Buffer[] | undefined {
  if (result.kind === "failed") return result.failure.chain;
  const { security } = result.session;
  return security.kind === "tls" ? security.chain : undefined;
}

const ACCEPTED: RecipientResult = {
  kind: "accepted",
  reply: { code: 250, enhanced: "2.0.0", lines: ["nothing was sent"] },
  dsnRelayed: "no",
};

/** What is left of a session that has ended: what it was like. */
export function rehearsed({ security, extensions, ends }: SmtpSession): SmtpSession {
  return {
    security,
    extensions,
    ...(ends === undefined ? {} : { ends }),
    state: "idle",
    transact: ({ envelope, recipients }: Transaction) => {
      // The one thing that an address alone asks of a server.
      const missing = missingUtf8(envelope, recipients, extensions);
      const result: RecipientResult = missing === undefined ? ACCEPTED : { kind: "unsupported", ...missing };
      return Promise.resolve(recipients.map(() => result));
    },
    quit: () => Promise.resolve(),
    destroy: () => undefined,
  };
}
