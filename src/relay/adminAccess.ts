import type { Access } from "../admin/access.ts";
import { AdminToken, readToken } from "../admin/adminToken.ts";
import type { Check } from "../admin/health.ts";
import { TokenGuesses } from "../admin/tokenGuesses.ts";
import type { Config } from "../config/schema.ts";
import { networkOf } from "../submission/authenticationThrottle.ts";
import type { Parts } from "./parts.ts";

/** Who may use the operator's HTTP: the token of `admin.tokenFile`, and the names that this relay is known by. */
export type AdminAccess = {
  access: () => Access;
  /** For /readyz: nothing where the token's file can be used. */
  check(): readonly Check[];
  /** Reads the token again, from another file where it is elsewhere now; it counts from `apply` on. */
  reload(config: Config): { kind: "read"; apply: () => void } | { kind: "refused"; key: string; reason: string };
};

type AccessParts = Pick<Parts, "config" | "clock" | "log">;
type TokenResult = { kind: "token"; token: AdminToken | undefined } | { kind: "refused"; key: string; reason: string };

const TOKEN_KEY = "admin.tokenFile";

/** Throws when the token cannot be read. */
export function openAdminAccess(parts: AccessParts): AdminAccess {
  const { config } = parts;
  const first = tokenOf(parts, config);
  if (first.kind === "refused") throw new Error(`${first.key}: ${first.reason}`);
  let { token } = first;
  const guesses = tokenGuesses(parts);
  const hostnames = new Set([config.hostname.toLowerCase(), config.admin.listen.address.toLowerCase()]);
  return {
    access: () => ({ token: accessToken(token, guesses), hostnames }),
    check: () => {
      const reason = token?.trouble();
      if (reason === undefined) return [];
      const text = `the file cannot be used now, and the token from before still counts; mend it, it is read again by itself: ${reason}`;
      return [{ name: "file of token", status: "degraded", text }];
    },
    reload: (changed) => {
      const reading = tokenOf(parts, changed);
      if (reading.kind === "refused") return reading;
      const apply = (): void => {
        token = reading.token;
      };
      return { kind: "read", apply };
    },
  };
}

function tokenGuesses({ clock, log }: AccessParts): TokenGuesses {
  return new TokenGuesses({
    monotonic: clock.monotonic,
    placeOf: networkOf,
    onWrong: (client) =>
      log.event({ event: "authentication", result: "failed", client, reason: "not the token of admin.tokenFile" }),
  });
}

function accessToken(token: AdminToken | undefined, guesses: TokenGuesses): Access["token"] {
  if (token === undefined) return { kind: "none" };
  return { kind: "configured", matches: (presented) => token.matches(presented), guesses };
}

function tokenOf({ clock, log }: AccessParts, { admin: { tokenFile } }: Config): TokenResult {
  if (tokenFile === undefined) return { kind: "token", token: undefined };
  const reading = readToken(tokenFile);
  if (reading.kind === "unusable") return { kind: "refused", key: TOKEN_KEY, reason: `${tokenFile}: ${reading.reason}` };
  const onChange = (change: { kind: "renewed" } | { kind: "unusable"; reason: string }): void => {
    if (change.kind === "renewed") {
      log.event({
        event: "config",
        key: TOKEN_KEY,
        state: "reloaded",
        reason: "the token has changed: the old one is worth nothing now",
      });
    } else {
      log.event({
        event: "config",
        key: TOKEN_KEY,
        reason: `the token in use stays, since ${tokenFile} cannot be used: ${change.reason}`,
      });
    }
  };
  return { kind: "token", token: new AdminToken({ file: tokenFile, monotonic: clock.monotonic, onChange }, reading.token) };
}
