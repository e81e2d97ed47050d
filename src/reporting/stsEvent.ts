import { displayName } from "../dns/name.ts";
import type { StsEvent as StsLogEvent } from "../log.ts";
import type { StsEvent } from "./stsPolicies.ts";

/** The log's `sts` event: a new policy, or one that could not be had (RFC 8461 §3.3: administrators are to be told of refreshes that fail). */
export function stsEvent(event: StsEvent): StsLogEvent {
  switch (event.kind) {
    case "policy": {
      const { id, mode, maxAgeSeconds } = event;
      return { event: "sts", state: "policy", domain: displayName(event.domain), mode, id, maxAgeSeconds };
    }
    case "failed": {
      const { failure, reason, holds } = event;
      return { event: "sts", state: "failed", domain: displayName(event.domain), mode: holds, failure, reason };
    }
    case "trouble": {
      const { error } = event;
      return { event: "sts", state: "trouble", reason: error instanceof Error ? error.message : String(error) };
    }
    default:
      return event satisfies never;
  }
}
