import type { DeliveryEngine } from "../delivery/engine.ts";
import { ExceptionWatch, exceptionText } from "../delivery/exceptionWatch.ts";
import type { Parts } from "./parts.ts";

/** What is told of exceptions goes into the log. */
export function createExceptionWatch({ clock, log }: Parts, engine: DeliveryEngine): ExceptionWatch {
  return new ExceptionWatch({
    clock,
    check: (domain) => engine.checkDomain(domain),
    onEvent: (event) =>
      log.event({ event: "config", key: "delivery.tlsPolicies", state: "notice", reason: exceptionText(event) }),
  });
}
