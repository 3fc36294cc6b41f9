/** Values of a chart: a tree of which nothing is known before it is looked at. */
export type Values = Readonly<Record<string, unknown>>;

export function isTree(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** As `{{ if }}` of Helm's templates has it: a text is true unless it is empty, `"false"` too. */
export function isTruthy(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (isTree(value)) return Object.keys(value).length > 0;
  return value !== undefined && value !== null && value !== false && value !== 0 && value !== "";
}

/** What stands at `controller.image.tag`. */
export function valueAt(values: Values, path: string): unknown {
  return path.split(".").reduce<unknown>((at, key) => (isTree(at) ? at[key] : undefined), values);
}

/** Texts of a list, or of a text with commas. */
export function textsOf(value: unknown): string[] {
  const list = Array.isArray(value) ? value : typeof value === "string" ? value.split(",") : [];
  return list.map((each) => String(each).trim()).filter((text) => text !== "");
}

/** Paths and values of what is set; lists are whole, and so are trees at these paths. */
export function* leavesOf(values: Values, whole: (path: string) => boolean, at = ""): Iterable<[string, unknown]> {
  for (const [key, value] of Object.entries(values)) {
    const path = at === "" ? key : `${at}.${key}`;
    if (value === null || value === undefined) continue;
    if (isTree(value) && !whole(path)) yield* leavesOf(value, whole, path);
    else yield [path, value];
  }
}

/** New values under construction. */
export class ValueTree {
  readonly #tree: Record<string, unknown> = {};

  set(path: string, value: unknown): void {
    const keys = path.split(".");
    const last = keys.pop() ?? "";
    let at = this.#tree;
    for (const key of keys) {
      if (!isTree(at[key])) at[key] = {};
      at = at[key] as Record<string, unknown>;
    }
    at[last] = value;
  }

  get(path: string): unknown {
    return valueAt(this.#tree, path);
  }

  get values(): Values {
    return this.#tree;
  }
}
