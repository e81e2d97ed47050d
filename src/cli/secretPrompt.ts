import type { Input } from "./command.ts";

/** What a terminal in raw mode sends for the keys that end or change a line. */
const ENTER = new Set(["\r", "\n"]);
const INTERRUPT = "\u0003";
const END = "\u0004";
const ERASE = new Set(["\u0008", "\u007f"]);
const ERASE_LINE = "\u0015";

/** Asks on a terminal without showing what is typed; undefined: given up, with Control-C or Control-D. */
export async function promptSecret(question: string, input: Input, show: (text: string) => void): Promise<string | undefined> {
  show(question);
  input.setRawMode?.(true);
  input.resume();
  try {
    return await new Promise<string | undefined>((resolve) => {
      let typed: readonly string[] = [];
      const decoder = new TextDecoder();
      const done = (result: string | undefined): void => {
        input.off("data", take).off("end", gone);
        resolve(result);
      };
      const gone = (): void => done(undefined);
      const take = (chunk: Buffer | string): void => {
        const text = typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
        for (const key of text) {
          if (ENTER.has(key) || key === INTERRUPT || key === END) {
            done(ENTER.has(key) ? typed.join("") : undefined);
            return;
          }
          if (ERASE.has(key)) typed = typed.slice(0, -1);
          else if (key === ERASE_LINE) typed = [];
          else typed = [...typed, key];
        }
      };
      input.on("data", take).on("end", gone);
    });
  } finally {
    input.setRawMode?.(false);
    input.pause();
    show("\n");
  }
}
