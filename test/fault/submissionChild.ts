import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const PROGRAM = new URL("submissionProcess.ts", import.meta.url).pathname;

/** submissionProcess.ts as a child: where it listens, or why it does not. */
export class SubmissionChild {
  readonly #process: ChildProcess;
  readonly pid: number;
  readonly address: string;
  readonly refusal: string | undefined;

  private constructor(process: ChildProcess, line: string) {
    this.#process = process;
    assert.ok(process.pid !== undefined);
    this.pid = process.pid;
    const [, word, text] = /^(ready|refused) (.*)$/.exec(line) ?? [];
    assert.ok(word !== undefined && text !== undefined, `the child said ${JSON.stringify(line)}`);
    this.address = word === "ready" ? text : "";
    this.refusal = word === "refused" ? text : undefined;
  }

  static async start(directory: string, host: string, reserveBytes = 0): Promise<SubmissionChild> {
    const argv = [PROGRAM, directory, `${host}:0`, String(reserveBytes)];
    const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
    assert.ok(child.stdout !== null);
    const [line] = (await once(createInterface(child.stdout), "line")) as [string];
    return new SubmissionChild(child, line);
  }

  /** kill -9; resolves when it is dead. */
  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await exited;
  }
}
