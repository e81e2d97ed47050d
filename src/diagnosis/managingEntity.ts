/**
 * Who runs a domain's mail and its DNS, guessed from names (USENIX Security 2022, "Under the Hood of DANE Mismanagement in SMTP"): whoever
 * has to keep TLSA records and certificates together is one, or are two.
 *
 * second-level domain (SLD): the domain that somebody registered, here guessed without the Public Suffix List.
 */

/** self: under the domain's own SLD, or under one that few share. outsourced: under an SLD that many domains of the survey share. */
export type Management = "self" | "outsourced" | "unknown";
export type ManagingEntity = { mail: Management; names: Management };

/**
 * Domains that share an SLD of hosts before it counts as a provider's. The study separates by shared SLD and popularity; its number is not
 * known to us for certain. Its populations are whole TLDs, where 50 tells a provider from an owner with several domains.
 */
export const PROVIDER_DOMAINS = 50;
/** A small survey has no fifty customers of anybody: a hundredth of it makes a provider then, but never less than this. */
const LEAST_PROVIDER_DOMAINS = 5;

export function providerThreshold(domains: number): number {
  return Math.min(PROVIDER_DOMAINS, Math.max(LEAST_PROVIDER_DOMAINS, Math.ceil(domains / 100)));
}

/** Second labels under which registries of two-letter TLDs register, instead of directly below the TLD. */
const REGISTRY_LABELS: ReadonlySet<string> = new Set(
  "ac co com edu gob gov gouv gv id info ltd me mil net ne nhs nom or org plc sch".split(" "),
);

/** `name` without the trailing dot. */
export function secondLevelDomain(name: string): string {
  const labels = name.toLowerCase().replace(/\.$/, "").split(".");
  const [tld = "", second = ""] = labels.toReversed();
  const kept = tld.length === 2 && REGISTRY_LABELS.has(second) ? 3 : 2;
  return labels.slice(-kept).join(".");
}

export function topLevelDomain(name: string): string {
  return name.toLowerCase().replace(/\.$/, "").split(".").at(-1) ?? "";
}

/** How many domains of a survey have hosts under each SLD; each domain counts once for each. */
export class Popularity {
  readonly #domains = new Map<string, number>();

  add(hosts: readonly string[]): void {
    for (const sld of new Set(hosts.map(secondLevelDomain))) this.#domains.set(sld, (this.#domains.get(sld) ?? 0) + 1);
  }

  of(sld: string): number {
    return this.#domains.get(sld) ?? 0;
  }
}

/** One host at a provider is enough for `outsourced`: from then on two have to act together. */
export function managementOf(domain: string, hosts: readonly string[], popularity: Popularity, threshold: number): Management {
  if (hosts.length === 0) return "unknown";
  const own = secondLevelDomain(domain);
  const shared = hosts.map(secondLevelDomain).some((sld) => sld !== own && popularity.of(sld) >= threshold);
  return shared ? "outsourced" : "self";
}
