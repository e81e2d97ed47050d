import { displayName } from "../dns/name.ts";
import { parseMailDomain } from "../smtp/mailbox.ts";

/** A file of domains: one a line; blank lines and what is behind `#` do not count. `domains`: each once, as A-labels. */
export type DomainFile = { domains: readonly string[]; bad: readonly { line: number; reason: string }[]; duplicates: number };

export function parseDomainFile(text: string): DomainFile {
  const domains = new Set<string>();
  const bad: { line: number; reason: string }[] = [];
  let duplicates = 0;
  const lines = text.replace(/^\ufeff/, "").split(/\r\n|\n|\r/);
  for (const [i, raw] of lines.entries()) {
    const written = raw.replace(/#.*$/, "").trim();
    if (written === "") continue;
    const parsed = parseMailDomain(written.replace(/\.$/, ""));
    if (parsed.kind === "domain") {
      const name = displayName(parsed.name);
      if (domains.has(name)) duplicates += 1;
      domains.add(name);
    } else bad.push({ line: i + 1, reason: parsed.kind === "error" ? parsed.reason : "an address is no domain" });
  }
  return { domains: [...domains], bad, duplicates };
}
