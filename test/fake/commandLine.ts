import { readFileSync } from "node:fs";
import { Readable } from "node:stream";
import { dispatch } from "../../src/cli/dispatch.ts";

export type Told = { status: number; out: string; err: string };

/** One command line in this process, which spares the start of another: the words, what was said, the exit status. */
export async function runHere(
  args: readonly string[],
  { environment = {}, input = "" }: { environment?: Readonly<Record<string, string>>; input?: string } = {},
): Promise<Told> {
  const said = { out: "", err: "" };
  const status = await dispatch(args, {
    out: (text) => {
      said.out += text;
    },
    err: (text) => {
      said.err += text;
    },
    environment,
    readFile: (path) => ({ kind: "text", text: readFileSync(path, "utf8") }),
    hostname: "relay.example",
    onStopSignal: () => undefined,
    onReloadSignal: () => undefined,
    input: Readable.from(input === "" ? [] : [input]),
  });
  return { status, ...said };
}
