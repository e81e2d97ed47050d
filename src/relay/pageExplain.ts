import type { PageExplanation } from "../admin/explainDesk.ts";
import { explanationContent } from "../admin/explainPage.ts";
import { ownMarkup } from "../admin/html.ts";
import type { Config } from "../config/schema.ts";
import type { TargetError } from "../delivery/explain.ts";
import { explainTarget } from "../delivery/explainTarget.ts";
import { engineSettings } from "./delivery.ts";
import type { Explain } from "./explain.ts";

/** What a worker process says to its supervisor: the markup is its own. */
export type ToldExplanation = { kind: "explained"; markup: string } | TargetError;

/**
 * Explanations as the page shows them. Of next hops only those of `delivery.routes`: whoever has the token of the page shall not have this machine
 * connect to any host and port around it, and read what answers there.
 */
export function createPageExplain(explain: Explain, config: () => Config): (target: string) => Promise<ToldExplanation> {
  return async (target) => {
    const { routes, port } = engineSettings(config());
    const wanted = explainTarget(target, routes, port);
    if (wanted.kind === "nextHop" && !routes.some(({ nextHop }) => nextHop.toLowerCase() === target.toLowerCase())) {
      const reason =
        "the page explains next hops of delivery.routes only; `dane-relay explain` on the relay's machine explains others";
      return { kind: "error", reason };
    }
    const said = await explain(target);
    return said.kind === "error" ? said : { kind: "explained", markup: explanationContent(said).markup };
  };
}

export function shownExplanation(told: ToldExplanation): PageExplanation {
  return told.kind === "error" ? told : { kind: "explained", content: ownMarkup(told.markup) };
}
