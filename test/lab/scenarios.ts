import type { Scenario } from "./scenario.ts";
import { MATCHING } from "./scenarios/matching.ts";
import { MTA_STS } from "./scenarios/mtaSts.ts";
import { ROLLOVER } from "./scenarios/rollover.ts";
import { ROUTING } from "./scenarios/routing.ts";
import { SECURITY } from "./scenarios/security.ts";
import { STARTTLS } from "./scenarios/starttls.ts";

/** Every row of the lab. */
export const SCENARIOS: readonly Scenario[] = [...MATCHING, ...STARTTLS, ...SECURITY, ...ROUTING, ...MTA_STS, ...ROLLOVER];
