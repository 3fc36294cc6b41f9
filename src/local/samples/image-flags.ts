/** The flags that an image's program knows: whether each takes a value. */
export type KnownFlags = Readonly<Record<string, "value" | "switch">>;

export interface ParsedFlags {
  readonly values: ReadonlyMap<string, string>;
  /** Why the program would end at once, as the start of a sentence. */
  readonly refusal?: string;
}

/**
 * Reads arguments as Go's flag package does: `-name value`, `-name=value`, one dash or two; a switch takes its value
 * behind `=` only; the first word that is no flag ends them.
 */
export function parseFlags(args: readonly string[], known: KnownFlags): ParsedFlags {
  const values = new Map<string, string>();
  const refused = (refusal: string): ParsedFlags => ({ values, refusal });
  for (let index = 0; index < args.length; index++) {
    const word = args[index] as string;
    if (!/^--?[^-=]/.test(word)) {
      if (word === "--" || !/^--?./.test(word)) break;
      return refused(`"${word}" is no flag`);
    }
    const body = word.replace(/^--?/, "");
    const equals = body.indexOf("=");
    const name = equals < 0 ? body : body.slice(0, equals);
    const kind = Object.hasOwn(known, name) ? known[name] : undefined;
    if (kind === undefined) return refused(`the image knows no flag -${name}`);
    if (equals >= 0) values.set(name, body.slice(equals + 1));
    else if (kind === "switch") values.set(name, "true");
    else if (index + 1 < args.length) values.set(name, args[++index] as string);
    else return refused(`flag -${name} has no value`);
  }
  return { values };
}

/** `$(NAME)` in a container's arguments is the variable's value, `$$(NAME)` the text itself; unknown ones stay. */
export function expandVariables(argument: string, env: Readonly<Record<string, string>>): string {
  return argument.replace(/\$\$|\$\(([A-Za-z_][\w.-]*)\)/g, (whole, name: string | undefined) => {
    if (name === undefined) return "$";
    return Object.hasOwn(env, name) ? (env[name] as string) : whole;
  });
}
