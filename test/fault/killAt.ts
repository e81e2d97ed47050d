import type { AtPoint } from "../../src/spool/commitPoint.ts";

/** `killAt.ts?point=POINT&hit=N`: kills this process, as kill -9 does, when it comes to that point of the spool for the Nth time. */
const plan = new URL(import.meta.url).searchParams;
const fatal = plan.get("point");
let left = Number(plan.get("hit"));

export const at: AtPoint = (point) => {
  if (point !== fatal) return;
  left -= 1;
  if (left === 0) process.kill(process.pid, "SIGKILL");
};
