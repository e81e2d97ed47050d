import { execFile } from "node:child_process";

/**
 * dkimpy, a DKIM verifier that shares nothing with ours. The records that it would ask DNS for are given; `records` by their names. One word for
 * each signature of each message, from the top: ok, bad, or the exception that it raised.
 */
const SCRIPT = `
import base64, json, sys
sys.path = [path for path in sys.path if path not in ("", ".")]
import dkim
asked = json.load(sys.stdin)
def record(name, timeout=5):
    found = asked["records"].get(name.decode().rstrip("."))
    return None if found is None else found.encode()
answers = []
for message in asked["messages"]:
    octets = base64.b64decode(message)
    words = []
    for index in range(octets[: octets.index(b"\\r\\nFrom:") if b"\\r\\nFrom:" in octets else None].count(b"DKIM-Signature: v=1; a=")):
        try:
            words.append("ok" if dkim.DKIM(octets).verify(idx=index, dnsfunc=record) else "bad")
        except Exception as error:
            words.append(repr(error))
    answers.append(words)
print(json.dumps(answers))
`;

const MAX_OUTPUT = 64 * 1024 * 1024;

export function dkimpyVerdicts(messages: readonly Buffer[], records: Readonly<Record<string, string>>): Promise<string[][]> {
  return new Promise((resolve, reject) => {
    const child = execFile("/usr/bin/python3", ["-c", SCRIPT], { cwd: "/", maxBuffer: MAX_OUTPUT }, (error, out) => {
      if (error === null) resolve(JSON.parse(out));
      else reject(new Error("dkimpy (Debian package python3-dkim) could not be asked", { cause: error }));
    });
    child.stdin?.end(JSON.stringify({ records, messages: messages.map((message) => message.toString("base64")) }));
  });
}
