import { Authenticator } from "../submission/authenticator.ts";
import { UserDirectory } from "../submission/userDirectory.ts";
import { readUsersFile } from "../submission/usersFile.ts";
import type { Parts } from "./parts.ts";

const USERS_KEY = "submission.usersFile";

/** Who may log in, as `submission.usersFile` has it; undefined: nobody, there is no AUTH. Rejects when the file cannot be used at the start. */
export async function openUsers({
  config,
  clock,
  log,
}: Parts): Promise<{ authenticator: Authenticator; directory: UserDirectory } | undefined> {
  const file = config.submission.usersFile;
  if (file === undefined) return undefined;
  const reading = await readUsersFile(file);
  if (reading.kind === "unusable") throw new Error(`${USERS_KEY}: ${reading.reason}`);
  const { users, identity } = reading;
  const monotonic = (): number => clock.monotonic();
  const tell = (reason: string): void => log.event({ event: "config", key: USERS_KEY, reason });
  const directory = new UserDirectory({
    ...{ file, users, identity, monotonic },
    onRead: (count) =>
      log.event({ event: "config", key: USERS_KEY, state: "reloaded", reason: `there are ${count} users of submission now` }),
    onTrouble: (reason) => tell(`the users in use stay, since those in the file cannot be used: ${reason}`),
  });
  return { authenticator: new Authenticator({ directory, monotonic }), directory };
}
