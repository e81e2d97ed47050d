import { systemClock } from "../clock.ts";
import type { DomainAggregate, PolicyAggregate } from "../tlsrpt/report.ts";
import { dayText, tlsReport, utcDay } from "../tlsrpt/report.ts";
import { type Command, type ExitStatus, readArguments, type Terminal, UsageError } from "./command.ts";
import { complain, configurationOf } from "./configuration.ts";

/** `tlsrpt`: what the reports of a day say so far (RFC 8460). */
export const tlsrptCommand: Command = {
  name: "tlsrpt",
  synopsis: ["tlsrpt [--day 2027-01-31] [--json] [--config FILE]"],
  summary: "Shows today's TLS sessions by domain and policy, as the TLS reports will tell them; another UTC day with --day.",
  run,
};

async function run(args: readonly string[], terminal: Terminal): Promise<ExitStatus> {
  const { values, positionals } = readArguments(args, {
    config: { type: "string" },
    day: { type: "string" },
    json: { type: "boolean" },
  });
  if (positionals.length > 0) throw new UsageError(`tlsrpt takes no argument: ${positionals.join(" ")}`);
  const day = values.day === undefined ? utcDay(systemClock.now()) : dayOf(values.day);
  const loaded = configurationOf(values.config, terminal);
  if (loaded.kind === "invalid") {
    complain(loaded, terminal);
    return 2;
  }
  const { countedOn, reporterOf } = await import("../relay/tlsReporting.ts");
  const reporter = reporterOf(loaded.config);
  const counted = reporter === undefined ? ({ kind: "counted", aggregates: [] } as const) : countedOn(loaded.config, day);
  if (counted.kind === "unreadable") {
    terminal.err(`dane-relay tlsrpt: ${counted.reason}\n`);
    return 1;
  }
  const { aggregates } = counted;
  if (values.json === true) {
    const reports = reporter === undefined ? [] : aggregates.map((aggregate) => tlsReport(reporter, aggregate));
    terminal.out(`${JSON.stringify({ day: dayText(day), reports })}\n`);
  } else if (reporter === undefined) terminal.out("TLS reports are off: tlsrpt.contact is not set\n");
  else terminal.out(aggregates.length === 0 ? `no TLS sessions on ${dayText(day)}\n` : aggregates.map(domainText).join("\n"));
  return 0;
}

function dayOf(text: string): number {
  const day = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(day)) throw new UsageError(`--day takes a day such as 2027-01-31, not ${JSON.stringify(text)}`);
  return day;
}

function domainText({ domain, policies }: DomainAggregate): string {
  return `${domain}\n${policies.map(policyText).join("")}`;
}

function policyText({ policy, successful, failed, failures }: PolicyAggregate): string {
  const about = policy.type === "no-policy-found" ? policy.type : `${policy.type} of ${policy.domain}`;
  const lines = [`  ${about}: ${successful} successful, ${failed} failed`];
  for (const { failure, ends, count } of failures) {
    const where = [ends.host, ends.address].filter((part) => part !== undefined).join(" ");
    lines.push(`    ${count} ${failure.resultType} ${where}${failure.reason === undefined ? "" : ` (${failure.reason})`}`);
  }
  return lines.map((line) => `${line.trimEnd()}\n`).join("");
}
