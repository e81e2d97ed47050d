import { isName, parseName } from "../dns/name.ts";
import { TSIG_ALGORITHMS, type TsigKey } from "../dns/tsig.ts";

/** Base64 has `//` in it too: such a comment is one only where a statement may begin. */
const QUOTED_OR_COMMENT = /("[^"\n]*")|#.*$|(^|[;{}])[ \t]*\/\/.*$/gm;
const KEY_CLAUSE = /^\s*key\s+"?([^"\s{]+)"?\s*\{([^}]*)\}\s*;?\s*$/;

/** A key as `tsig-keygen` and `keymgr tsig generate` write it: `key "name" { algorithm hmac-sha256; secret "..."; };`, or YAML of Knot. */
export function parseTsigKey(text: string): TsigKey | { kind: "error"; reason: string } {
  const plain = text.replaceAll(QUOTED_OR_COMMENT, (_, quoted?: string, before?: string) => quoted ?? before ?? "").trim();
  const clause = KEY_CLAUSE.exec(plain);
  const body = clause?.[2] ?? plain;
  const field = (word: string): string | undefined => new RegExp(`${word}\\s*:?\\s*"?([^";\\s]+)"?`).exec(body)?.[1];
  const nameText = clause?.[1] ?? field("id");
  const algorithmText = field("algorithm")?.toLowerCase();
  const secretText = field("secret");
  if (nameText === undefined || algorithmText === undefined || secretText === undefined)
    return error('it is no key clause: key "NAME" { algorithm hmac-sha256; secret "BASE64"; };');
  const name = parseName(nameText);
  if (!isName(name)) return error(`the key's name ${JSON.stringify(nameText)}: ${name.reason}`);
  const algorithm = TSIG_ALGORITHMS.find((known) => known === algorithmText);
  if (algorithm === undefined) return error(`algorithm ${algorithmText} (${TSIG_ALGORITHMS.join(", ")} are supported)`);
  const secret = Buffer.from(secretText, "base64");
  // Buffer.from leaves out what is not base64: a cut secret must not pass for a whole one.
  if (secret.length === 0 || secret.toString("base64").replace(/=+$/, "") !== secretText.replace(/=+$/, ""))
    return error("the secret is not base64");
  return { name, algorithm, secret };
}

function error(reason: string): { kind: "error"; reason: string } {
  return { kind: "error", reason };
}
