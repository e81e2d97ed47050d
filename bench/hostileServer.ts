import { hostileInternet } from "../test/fault/hostileInternet.ts";
import { hostileServer } from "../test/fault/hostileServer.ts";

/** The hostile internet in a process of its own, so that making it costs nothing to who is measured. Argument: the address. Ends with its parent. */
const internet = hostileInternet();
const server = await hostileServer(process.argv[2] ?? "", (query) => {
  const [question] = query.questions;
  return question === undefined ? undefined : internet.answer(question.name, question.type);
});
process.once("disconnect", () => process.exit(0));
process.send?.(server.port);
