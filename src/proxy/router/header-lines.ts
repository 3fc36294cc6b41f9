import type { RequestView, ValueTest } from "./types.ts";

/**
 * How routes and rules read the lines of a request that is on no connection.
 * @param lines names in any case
 */
export function headerLines(
  lines: readonly { readonly name: string; readonly value: string }[],
): Pick<RequestView, "header" | "hasFitting" | "hasOnlyFitting"> {
  const valuesOf = (name: string) => lines.filter((line) => line.name.toLowerCase() === name).map(({ value }) => value);
  const header = (name: string) => {
    const values = valuesOf(name);
    return values.length === 0 ? undefined : values.join(name === "cookie" ? "; " : ", ");
  };
  /** Each by itself, but the pieces of a Cookie as one. */
  const judged = (name: string): readonly string[] => {
    const cookie = name === "cookie" ? header(name) : undefined;
    return cookie === undefined ? valuesOf(name) : [cookie];
  };
  return {
    header,
    hasFitting: (name: string, test: ValueTest) => judged(name).some((value) => test.fits(value)),
    hasOnlyFitting: (name: string, test: ValueTest) =>
      judged(name).length > 0 && judged(name).every((value) => test.fits(value)),
  };
}
