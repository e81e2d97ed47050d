import { isMainThread } from "node:worker_threads";
import type { AtPoint } from "../../src/spool/commitPoint.ts";

/** `dieInThread.ts?point=POINT`: the spool's thread ends when it comes to that point, and its process lives on. */
const fatal = new URL(import.meta.url).searchParams.get("point");

export const at: AtPoint = (point) => {
  if (!isMainThread && point === fatal) process.exit(1);
};
