import { readFileSync } from "node:fs";
import type { Check } from "../admin/health.ts";
import type { Config } from "../config/schema.ts";
import { MessageSigner } from "../delivery/messageSigner.ts";
import { SigningKeyFiles } from "../delivery/signingKeyFiles.ts";
import { recordName } from "../dkim/signingKey.ts";
import { type ReadKeyFile, readSigningKeys } from "../dkim/signingKeys.ts";
import { type Parts, textOf } from "./parts.ts";

/** `dkim.sign`: the signer of what goes out, with its keys, and what of them changes without a restart. */
export type DkimSigning = {
  signer: MessageSigner;
  /** The keys of another configuration; they sign from `apply` on. */
  reload(config: Config): { kind: "read"; apply: () => void } | { kind: "refused"; key: string; reason: string };
  /** For /readyz: nothing where each file can be used. */
  checks(): readonly Check[];
  stop(): void;
};

const SIGN_KEY = "dkim.sign";

/** Throws when a key cannot be used. */
export function openDkimSigning({ config, log }: Parts): DkimSigning {
  const first = keysOf(config);
  if (first.kind === "refused") throw new Error(`${first.key}: ${first.reason}`);
  const files = new SigningKeyFiles({
    settings: config.dkim.sign,
    keys: first.keys,
    readFile,
    onRenewed: ({ key }) =>
      log.event({
        event: "config",
        key: SIGN_KEY,
        state: "reloaded",
        reason: `the key of ${recordName(key)} is another one now`,
      }),
    onTrouble: (reason) =>
      log.event({ event: "config", key: SIGN_KEY, reason: `the keys in use stay, since a file cannot be used: ${reason}` }),
  });
  const signer = new MessageSigner({
    keys: () => files.keys,
    onUnsigned: (id, reason) => log.event({ event: "dkim", id, result: "unsigned", reason }),
  });
  return {
    signer,
    reload: (changed) => {
      const read = keysOf(changed);
      if (read.kind === "keys") return { kind: "read", apply: () => files.replace(changed.dkim.sign, read.keys) };
      // What is wrong may be wrong with the files in use as well: told now, not in a minute.
      files.check();
      return read;
    },
    checks: () => {
      const reason = files.trouble;
      if (reason === undefined) return [];
      const text = `a key cannot be read now, and the one from before still signs; mend it, it is read again by itself: ${reason}`;
      return [{ name: "file of dkim", status: "degraded", text }];
    },
    stop: () => files.stop(),
  };
}

type Keys = Extract<ReturnType<typeof readSigningKeys>, { kind: "keys" }>;

function keysOf({ dkim }: Config): Keys | { kind: "refused"; key: string; reason: string } {
  const read = readSigningKeys(dkim.sign, readFile);
  return read.kind === "keys" ? read : { kind: "refused", key: SIGN_KEY, reason: read.reasons.join("; ") };
}

const readFile: ReadKeyFile = (path) => {
  try {
    return { kind: "text", text: readFileSync(path, "utf8") };
  } catch (error) {
    return { kind: "unreadable", reason: textOf(error) };
  }
};
