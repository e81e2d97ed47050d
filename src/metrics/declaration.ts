import type { Registry } from "prom-client";

const PREFIX = "dane_relay_";

type Declaration = { name: string; help: string; labelNames?: readonly string[] };

/** What every constructor of prom-client takes, with our prefix in front of the name. */
export function declared({ name, help, labelNames = [] }: Declaration, registry: Registry) {
  return { name: PREFIX + name, help, labelNames: [...labelNames], registers: [registry] };
}

/** A closed list of label values, for help texts. */
export function values(list: readonly string[]): string {
  return list.join(", ");
}
