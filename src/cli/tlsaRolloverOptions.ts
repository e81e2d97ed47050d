import { createPrivateKey, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { type DomainName, isName, parseName } from "../dns/name.ts";
import type { PublishOptions } from "../relay/ownHost.ts";
import { type AuthoritativeServer, serverFrom } from "../rollover/authoritativeServers.ts";
import { parseTsigKey } from "../rollover/tsigKeyFile.ts";
import { type readArguments, UsageError } from "./command.ts";

/** What `tlsa rollover` is given: options, and the files that they name. */

const DEFAULT_TTL = 3600;
export const ROLLOVER_OPTIONS = {
  dir: { type: "string" },
  host: { type: "string" },
  port: { type: "string" },
  key: { type: "string" },
  server: { type: "string", multiple: true },
  update: { type: "string" },
  zone: { type: "string" },
  tsig: { type: "string" },
  ttl: { type: "string" },
  wait: { type: "boolean" },
  config: { type: "string" },
} as const;

export type Values = ReturnType<typeof readArguments<typeof ROLLOVER_OPTIONS>>["values"];
export async function publishOptions(values: Values): Promise<PublishOptions> {
  const server = values.update === "auto" || values.update === undefined ? undefined : serverOf(values.update);
  return {
    ttlSeconds: ttlOf(values),
    ...(server === undefined ? {} : { server }),
    ...(values.zone === undefined ? {} : { zone: nameOf(values.zone, "--zone") }),
    ...(values.tsig === undefined ? {} : { key: await tsigKeyIn(values.tsig) }),
  };
}

async function tsigKeyIn(file: string) {
  const key = parseTsigKey((await contentOf(file)).toString("utf8"));
  if ("kind" in key) throw new UsageError(`${file}: ${key.reason}`);
  return key;
}

export async function privateKeyIn(file: string): Promise<KeyObject> {
  const content = await contentOf(file);
  try {
    return createPrivateKey(content);
  } catch (error) {
    throw new UsageError(`${file}: no private key: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function contentOf(file: string): Promise<Buffer> {
  return readFile(file).catch((error: unknown) => {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  });
}

export function serverOf(text: string): AuthoritativeServer {
  const server = serverFrom(text);
  if (server === undefined || isIP(server.address) === 0)
    throw new UsageError(`${JSON.stringify(text)} is no IP address, IP:PORT or [IP]:PORT`);
  return server;
}

export function nameOf(text: string, option: string): DomainName {
  const name = parseName(text);
  if (isName(name)) return name;
  throw new UsageError(`${option}: ${JSON.stringify(text)} is no name: ${name.reason}`);
}

export function ttlOf({ ttl }: Values): number {
  if (ttl === undefined) return DEFAULT_TTL;
  const seconds = /^\d{1,9}$/.test(ttl) ? Number(ttl) : Number.NaN;
  if (Number.isNaN(seconds)) throw new UsageError(`--ttl takes seconds, not ${JSON.stringify(ttl)}`);
  return seconds;
}
