/**
 * Types of settings: each turns what was written (a YAML value, or a piece of text from the environment) into what the relay uses, or says
 * what is wrong with it. A problem's `path` leads into lists and objects: `[0, "level"]`.
 */
export type Problem = { path: readonly (string | number)[]; message: string };
export type Parsed<T> = { kind: "value"; value: T } | { kind: "problems"; problems: readonly [Problem, ...Problem[]] };

export type ValueType<T> = {
  /** What may be written, for the reference and for messages: "a whole number from 1 to 65535". */
  words: string;
  /** How an environment variable writes it: as it is, comma separated, or as JSON. */
  form: "scalar" | "list" | "objects";
  parse(input: unknown): Parsed<T>;
};

/** No list in a configuration has more entries than this. */
const MAX_LIST_ENTRIES = 10_000;

export function value<T>(of: T): Parsed<T> {
  return { kind: "value", value: of };
}

export function problem<T>(message: string, path: readonly (string | number)[] = []): Parsed<T> {
  return { kind: "problems", problems: [{ path, message }] };
}

/** Fields whose value is nobody's business. */
const SECRET_FIELDS: ReadonlySet<string> = new Set(["password"]);

/** The same as written, without secrets: for whatever is printed. */
export function masked(input: unknown): unknown {
  if (Array.isArray(input)) return input.map(masked);
  // A password may have an @ in it that nobody encoded: the last one counts.
  if (typeof input === "string") return input.replace(/(:\/\/[^:/@]*:).*@/, "$1***@");
  if (typeof input !== "object" || input === null) return input;
  return Object.fromEntries(
    Object.entries(input).map(([name, inner]) => [name, SECRET_FIELDS.has(name) ? "***" : masked(inner)]),
  );
}

/** What stands in a message for a value that was refused. */
export function shown(input: unknown): string {
  const text = JSON.stringify(masked(input)) ?? String(input);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** A setting written as text. `read` gives the value or, as an error, what is wrong: "must be ..." is put before `words` where it has nothing better. */
export function textual<T>(words: string, read: (text: string) => Parsed<T> | "no"): ValueType<T> {
  const refuse = (input: unknown): Parsed<T> => problem(`must be ${words}, not ${shown(input)}`);
  return {
    words,
    form: "scalar",
    parse(input) {
      if (typeof input !== "string") return refuse(input);
      const result = read(input.trim());
      return result === "no" ? refuse(input) : result;
    },
  };
}

export function choice<const C extends string>(choices: readonly C[]): ValueType<C> {
  return textual(choices.join(" | "), (text) => {
    const found = choices.find((known) => known === text);
    return found === undefined ? "no" : value(found);
  });
}

/** A whole number in `minimum`..`maximum`; `unit` only names it. Digits in quotes, as the environment has them, are taken too. */
export function integer(minimum: number, maximum: number, unit?: string): ValueType<number> {
  const words = `a whole number${unit === undefined ? "" : ` of ${unit}`} from ${minimum} to ${maximum}`;
  return {
    words,
    form: "scalar",
    parse(input) {
      const number = typeof input === "string" && /^[0-9]{1,15}$/.test(input.trim()) ? Number(input) : input;
      const fits = typeof number === "number" && Number.isInteger(number) && number >= minimum && number <= maximum;
      return fits ? value(number) : problem(`must be ${words}, not ${shown(input)}`);
    },
  };
}

export const boolean: ValueType<boolean> = {
  words: "true | false",
  form: "scalar",
  parse(input) {
    if (input === true || input === "true") return value(true);
    if (input === false || input === "false") return value(false);
    return problem(`must be true or false, not ${shown(input)}`);
  },
};

export const path: ValueType<string> = textual("a path", (text) => (text === "" || text.includes("\0") ? "no" : value(text)));

/** A list of values; `identity` names what must not be there twice. */
export function list<T>(words: string, of: ValueType<T>, identity: (entry: T) => string): ValueType<readonly T[]> {
  return {
    words: `a list of ${words}`,
    form: of.form === "objects" ? "objects" : "list",
    parse(input) {
      if (!Array.isArray(input)) return problem(`must be a list of ${words}, not ${shown(input)}`);
      if (input.length > MAX_LIST_ENTRIES) return problem(`has ${input.length} entries (at most ${MAX_LIST_ENTRIES})`);
      const entries: T[] = [];
      const problems: Problem[] = [];
      const seen = new Map<string, number>();
      input.forEach((written: unknown, i) => {
        const parsed = of.parse(written);
        if (parsed.kind === "problems") {
          for (const found of parsed.problems) problems.push({ path: [i, ...found.path], message: found.message });
          return;
        }
        const name = identity(parsed.value);
        const first = seen.get(name);
        if (first === undefined) seen.set(name, i);
        else problems.push({ path: [i], message: `${name} is there twice (entry ${first} and entry ${i})` });
        entries.push(parsed.value);
      });
      return settled(problems, entries);
    },
  };
}

/** A list with at least one entry. */
export function nonEmpty<T>(of: ValueType<readonly T[]>): ValueType<readonly [T, ...T[]]> {
  return {
    words: `${of.words}, at least one`,
    form: of.form,
    parse(input) {
      const parsed = of.parse(input);
      if (parsed.kind === "problems") return parsed;
      const [first, ...rest] = parsed.value;
      return first === undefined ? problem(`must be ${of.words}, at least one`) : value<readonly [T, ...T[]]>([first, ...rest]);
    },
  };
}

type Fields = Readonly<Record<string, { type: ValueType<unknown>; need: "required" | "optional" }>>;
type FieldValues<F extends Fields> = {
  readonly [K in keyof F as F[K]["need"] extends "required" ? K : never]: F[K]["type"] extends ValueType<infer T> ? T : never;
} & {
  readonly [K in keyof F as F[K]["need"] extends "required" ? never : K]?: F[K]["type"] extends ValueType<infer T> ? T : never;
};

/** A mapping with fixed fields, for entries of lists. `check` sees what all fields together must hold. */
export function object<const F extends Fields>(
  fields: F,
  check: (value: FieldValues<F>) => Problem | "ok",
): ValueType<FieldValues<F>> {
  const words = `{${Object.entries(fields)
    .map(([name, field]) => (field.need === "required" ? name : `${name}?`))
    .join(", ")}}`;
  return {
    words,
    form: "objects",
    parse(input) {
      if (typeof input !== "object" || input === null || Array.isArray(input))
        return problem(`must be ${words}, not ${shown(input)}`);
      const entries = new Map<string, unknown>(Object.entries(input));
      const problems: Problem[] = [];
      const values: Record<string, unknown> = {};
      for (const name of entries.keys()) {
        if (!Object.hasOwn(fields, name))
          problems.push({ path: [name], message: `is unknown here; known are ${Object.keys(fields).join(", ")}` });
      }
      for (const [name, field] of Object.entries(fields)) {
        if (!entries.has(name)) {
          if (field.need === "required") problems.push({ path: [], message: `lacks ${name}` });
          continue;
        }
        const parsed = field.type.parse(entries.get(name));
        if (parsed.kind === "value") values[name] = parsed.value;
        else for (const found of parsed.problems) problems.push({ path: [name, ...found.path], message: found.message });
      }
      if (problems.length > 0) return settled(problems, values as FieldValues<F>);
      const whole = check(values as FieldValues<F>);
      return settled(whole === "ok" ? [] : [whole], values as FieldValues<F>);
    },
  };
}

/** The same as written, and another value out of it. */
export function mapped<A, B>(type: ValueType<A>, to: (of: A) => B): ValueType<B> {
  return {
    ...type,
    parse(input) {
      const parsed = type.parse(input);
      return parsed.kind === "value" ? value(to(parsed.value)) : parsed;
    },
  };
}

function settled<T>(problems: readonly Problem[], of: T): Parsed<T> {
  const [first, ...rest] = problems;
  return first === undefined ? value(of) : { kind: "problems", problems: [first, ...rest] };
}
