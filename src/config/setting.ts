import type { ValueType } from "./value.ts";

/** What a default may depend on. `nameservers`: those of /etc/resolv.conf. */
export type Surroundings = { hostname: string; nameservers: readonly string[] };

/**
 * One setting. `fallback` is written as a user would write it, and goes through the same parser: `written`, taken from the machine
 * (`derived`), or `unset` (the value then is undefined, and `meaning` says what that does).
 */
export type Setting<T> = {
  readonly type: ValueType<T>;
  readonly fallback:
    | { readonly kind: "written"; readonly written: unknown }
    | { readonly kind: "derived"; readonly meaning: string; readonly from: (surroundings: Surroundings) => unknown }
    | { readonly kind: "unset"; readonly meaning: string };
  /** One sentence or two, for the example file and the reference. */
  readonly doc: string;
  /** A value to show where the default says nothing: written in the example file. */
  readonly example?: unknown;
};

/** A mapping of settings and further sections; the key path of a setting is the path to it. */
export type Section = { readonly [key: string]: Setting<unknown> | Section };

/** The values of a section's settings, in the same shape. */
export type ValuesOf<S> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : ValuesOf<S[K]> };

export function isSetting(entry: Setting<unknown> | Section): entry is Setting<unknown> {
  return "fallback" in entry && "type" in entry && typeof entry.doc === "string";
}

export function setting<T>(type: ValueType<T>, written: unknown, doc: string, example?: unknown): Setting<T> {
  return { type, fallback: { kind: "written", written }, doc, ...(example === undefined ? {} : { example }) };
}

export function derivedSetting<T>(
  type: ValueType<T>,
  meaning: string,
  from: (surroundings: Surroundings) => unknown,
  doc: string,
  example: unknown,
): Setting<T> {
  return { type, fallback: { kind: "derived", meaning, from }, doc, example };
}

export function optionalSetting<T>(type: ValueType<T>, meaning: string, doc: string, example: unknown): Setting<T | undefined> {
  return { type, fallback: { kind: "unset", meaning }, doc, example };
}

/** A setting with its key path, such as `delivery.retry.initialSeconds`. */
export type KeyedSetting = { key: string; setting: Setting<unknown> };

/** All settings below `section`, in the order of the table. */
export function settingsBelow(section: Section, prefix = ""): readonly KeyedSetting[] {
  return Object.entries(section).flatMap(([name, entry]) =>
    isSetting(entry) ? [{ key: `${prefix}${name}`, setting: entry }] : settingsBelow(entry, `${prefix}${name}.`),
  );
}
