import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from "node:crypto";

/**
 * A password as it is kept: its scrypt hash (RFC 7914) with salt and parameters, in the PHC string form
 *
 *     $scrypt$ln=15,r=8,p=3$<salt, base64>$<hash, base64>
 *
 * ln: log2 of N. Memory is 128 * N * r octets, time grows with N * r * p. Passwords are compared as SASLprep makes them (see saslName.ts).
 */
export type PasswordRecord = { ln: number; r: number; p: number; salt: Buffer; hash: Buffer };

/** 32 MiB for about a tenth of a second; three times, as OWASP's table has it for this much memory. */
export const SCRYPT_PARAMETERS = { ln: 15, r: 8, p: 3 } as const;
const SALT_OCTETS = 16;
const HASH_OCTETS = 32;
/** A record may not make a check cost more than this, nor so little that it is no protection. */
const MAX_MEMORY_OCTETS = 256 * 1024 * 1024;
const MIN_LN = 10;
const MAX_LN = 20;
const MAX_R = 32;
const MAX_P = 16;
const MIN_SALT_OCTETS = 8;
const MAX_SECRET_OCTETS = 64;

const FORM = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

/** Reads the text form; undefined when it is none, or asks for too much or too little. */
export function parsePasswordRecord(text: string): PasswordRecord | undefined {
  const [, lnText, rText, pText, saltText = "", hashText = ""] = FORM.exec(text) ?? [];
  const [ln, r, p] = [Number(lnText), Number(rText), Number(pText)];
  const salt = Buffer.from(saltText, "base64");
  const hash = Buffer.from(hashText, "base64");
  const costs = ln >= MIN_LN && ln <= MAX_LN && r >= 1 && r <= MAX_R && p >= 1 && p <= MAX_P;
  if (!costs || memoryOctets({ ln, r }) > MAX_MEMORY_OCTETS) return undefined;
  const sizes = salt.length >= MIN_SALT_OCTETS && salt.length <= MAX_SECRET_OCTETS && hash.length >= HASH_OCTETS;
  return sizes && hash.length <= MAX_SECRET_OCTETS ? { ln, r, p, salt, hash } : undefined;
}

export function passwordRecordText({ ln, r, p, salt, hash }: PasswordRecord): string {
  const unpadded = (octets: Buffer): string => octets.toString("base64").replace(/=+$/, "");
  return `$scrypt$ln=${ln},r=${r},p=${p}$${unpadded(salt)}$${unpadded(hash)}`;
}

/** Hashes a prepared password with a fresh salt, off the event loop. */
export async function makePasswordRecord(
  password: string,
  parameters: Pick<PasswordRecord, "ln" | "r" | "p"> = SCRYPT_PARAMETERS,
): Promise<PasswordRecord> {
  const { ln, r, p } = parameters;
  const blank = { ln, r, p, salt: randomBytes(SALT_OCTETS), hash: Buffer.alloc(HASH_OCTETS) };
  return { ...blank, hash: await hashOf(password, blank) };
}

/** Whether the prepared password is the record's; off the event loop, and in the same time whatever the answer. */
export async function passwordMatches(password: string, record: PasswordRecord): Promise<boolean> {
  return timingSafeEqual(await hashOf(password, record), record.hash);
}

function memoryOctets({ ln, r }: Pick<PasswordRecord, "ln" | "r">): number {
  return 128 * 2 ** ln * r;
}

function hashOf(password: string, { ln, r, p, salt, hash }: PasswordRecord): Promise<Buffer> {
  // Node counts a little more than the table itself.
  const options: ScryptOptions = { N: 2 ** ln, r, p, maxmem: 2 * memoryOctets({ ln, r }) + 1024 * r * p };
  return new Promise((resolve, reject) => {
    scrypt(password, salt, hash.length, options, (error, derived) => (error === null ? resolve(derived) : reject(error)));
  });
}
