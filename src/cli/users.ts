import { createInterface } from "node:readline";
import { type Command, type ExitStatus, readArguments, type Terminal, UsageError } from "./command.ts";
import { complain, configurationAlone } from "./configuration.ts";
import { promptSecret } from "./secretPrompt.ts";

/** `users`: who may log in at submission (the file of submission.usersFile). */
export const usersCommand: Command = {
  name: "users",
  synopsis: [
    "users add NAME [--senders ADDRESS,@DOMAIN] [--replace] [--generate|--stdin] [--file FILE] [--config FILE]",
    "users list|delete NAME [--file FILE] [--config FILE]",
  ],
  summary:
    "add: asks for a password, takes the first line of standard input, or generates one and prints it. --senders: the envelope senders that the " +
    "user may use; without it any. The file is that of submission.usersFile; a running relay sees the change by itself.",
  run,
};

const OPTIONS = {
  config: { type: "string" },
  file: { type: "string" },
  senders: { type: "string" },
  replace: { type: "boolean" },
  generate: { type: "boolean" },
  stdin: { type: "boolean" },
} as const;

async function run(args: readonly string[], terminal: Terminal): Promise<ExitStatus> {
  const { values, positionals } = readArguments(args, OPTIONS);
  const [subcommand, name, ...more] = positionals;
  if (more.length > 0) throw new UsageError(`there is an argument too many: ${more.join(" ")}`);
  const file = values.file ?? configuredFile(values.config, terminal);
  if (file === undefined) return 2;
  switch (subcommand) {
    case "add":
      return await add({ ...values, file, name: named(name) }, terminal);
    case "delete":
      return await remove(file, named(name), terminal);
    case "list":
      if (name !== undefined) throw new UsageError("list takes no name");
      return await list(file, terminal);
    default:
      throw new UsageError("users takes one of add, list, delete");
  }
}

function named(name: string | undefined): string {
  if (name === undefined) throw new UsageError("the user's name is missing");
  return name;
}

function configuredFile(config: string | undefined, terminal: Terminal): string | undefined {
  const loaded = configurationAlone(config, terminal);
  if (loaded.kind === "invalid") {
    complain(loaded, terminal);
    return undefined;
  }
  const { usersFile } = loaded.config.submission;
  if (usersFile === undefined)
    terminal.err("dane-relay users: submission.usersFile is not set: set it, or name a file with --file\n");
  return usersFile;
}

type Addition = { file: string; name: string; senders?: string; replace?: boolean; generate?: boolean; stdin?: boolean };

async function add({ file, name, senders, replace, generate, stdin }: Addition, terminal: Terminal): Promise<ExitStatus> {
  if (generate === true && stdin === true) throw new UsageError("--generate and --stdin exclude each other");
  const { addUserTo, generatedPassword } = await import("../relay/users.ts");
  const password = generate === true ? generatedPassword() : await givenPassword(stdin === true, terminal);
  if (password === undefined) return 2;
  const edit = await addUserTo(file, {
    name,
    password,
    senders: senders === undefined ? undefined : senders.split(",").map((sender) => sender.trim()),
    ifKnown: replace === true ? "replace" : "refuse",
  });
  if (edit.kind === "refused") return no(edit.reason, terminal);
  terminal.out(generate === true ? `${password}\n` : `user ${name} is in ${file}\n`);
  return 0;
}

async function givenPassword(fromInput: boolean, terminal: Terminal): Promise<string | undefined> {
  const input = terminal.input ?? process.stdin;
  if (fromInput) {
    for await (const line of createInterface({ input })) return line;
    terminal.err("dane-relay users: standard input is empty\n");
    return undefined;
  }
  if (input.isTTY !== true) throw new UsageError("there is no terminal to ask for the password: use --stdin or --generate");
  const first = await promptSecret("password: ", input, terminal.err);
  if (first === undefined) return undefined;
  if (first === (await promptSecret("again: ", input, terminal.err))) return first;
  terminal.err("dane-relay users: the two are not the same\n");
  return undefined;
}

async function remove(file: string, name: string, terminal: Terminal): Promise<ExitStatus> {
  const { deleteUserFrom } = await import("../relay/users.ts");
  const edit = await deleteUserFrom(file, name);
  if (edit.kind === "refused") return no(edit.reason, terminal);
  terminal.out(`user ${name} is deleted\n`);
  return 0;
}

async function list(file: string, terminal: Terminal): Promise<ExitStatus> {
  const { usersIn } = await import("../relay/users.ts");
  const listed = await usersIn(file);
  if (listed.kind === "refused") return no(listed.reason, terminal);
  for (const { name, senders } of listed.users) terminal.out(`${name}${senders === undefined ? "" : ` ${senders.join(",")}`}\n`);
  return 0;
}

function no(reason: string, terminal: Terminal): ExitStatus {
  terminal.err(`dane-relay users: ${reason}\n`);
  return 1;
}
