import { join } from "node:path";
import type { Config } from "../config/schema.ts";
import { stateDirectoryOf } from "../config/stateDirectory.ts";
import type { DeliverySight } from "../delivery/hostSight.ts";
import type { HistoryOf } from "../diagnosis/hostFinding.ts";
import type { RolloverSurvey } from "../diagnosis/rolloverSurvey.ts";
import { openHistory } from "../reporting/history.ts";
import { HostHistory } from "../reporting/hostHistory.ts";
import { type Parts, textOf } from "./parts.ts";

/** What the relay keeps of hosts that it delivers to (`history.*`). */
export type Watch = {
  record(sight: DeliverySight): void;
  certificatesOf: HistoryOf;
  rollovers(): RolloverSurvey | undefined;
  stop(): Promise<void>;
};

/** In the state directory. */
const FILE = "history.db";
/** A reader waits this long for the relay's writes. */
const BUSY_MILLISECONDS = 2000;

const OFF: Watch = {
  record: () => undefined,
  certificatesOf: () => [],
  rollovers: () => undefined,
  stop: () => Promise.resolve(),
};

export function openWatch({ config, clock, log }: Pick<Parts, "config" | "clock" | "log">): Watch {
  const { days } = config.history;
  if (days === 0) return OFF;
  const history = new HostHistory({
    file: fileOf(config),
    days,
    clock,
    onTrouble: (error) => log.event({ event: "queue", state: "trouble", reason: `history: ${textOf(error)}` }),
  });
  void history.recount();
  return {
    record: (sight) => history.record(sight),
    certificatesOf: history.certificatesOf,
    rollovers: () => history.rollovers,
    stop: () => history.close(),
  };
}

/** What a relay has kept, for a process beside it; nothing where there is no history, or it cannot be read. */
export function keptHistory(config: Config): { certificatesOf: HistoryOf; close: () => void } {
  try {
    const opened = openHistory(fileOf(config), "read", BUSY_MILLISECONDS);
    if (opened.kind === "history") {
      const { history } = opened;
      return { certificatesOf: (host) => history.certificatesOf(host), close: () => history.close() };
    }
  } catch (error) {
    // No permission, damaged, locked: an explanation without "since when" is still one.
    if (!(error instanceof Error && "errcode" in error)) throw error;
  }
  return { certificatesOf: () => [], close: () => undefined };
}

function fileOf(config: Config): string {
  return join(stateDirectoryOf(config), FILE);
}
