/** What a zone knows of a name. */
export type Found =
  /** IPv4 and IPv6 in one list. */
  | { readonly kind: "addresses"; readonly addresses: readonly string[] }
  /** Another name stands for it (CNAME). */
  | { readonly kind: "alias"; readonly target: string }
  /** The name of an address (PTR). */
  | { readonly kind: "pointer"; readonly target: string }
  /** The name exists, or names below it do, and there is nothing else to say of it. */
  | { readonly kind: "empty" }
  | { readonly kind: "none" };

/**
 * Names that this server has authority over. They may change at any time, because each question asks anew.
 */
export interface Zone {
  /** In lower case, without the last dot. */
  readonly origins: readonly string[];
  /** @param name in lower case, without the last dot, at or below one of the origins */
  find(name: string): Found;
}

export const NONE: Found = { kind: "none" };
export const EMPTY: Found = { kind: "empty" };

/** Names with what they are, and the names above them as empty ones: what has names below it exists (RFC 8020). */
export class NameTable {
  readonly #names = new Map<string, Found>();

  add(name: string, found: Found): void {
    if (found.kind !== "empty" || !this.#names.has(name)) this.#names.set(name, found);
    for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
      const parent = name.slice(dot + 1);
      if (this.#names.has(parent)) return;
      this.#names.set(parent, EMPTY);
    }
  }

  find(name: string): Found {
    return this.#names.get(name) ?? NONE;
  }
}

/** The longest of all origins that the name is at or below, with its zone. */
export function zoneOf(name: string, zones: readonly Zone[]): { zone: Zone; origin: string } | undefined {
  let best: { zone: Zone; origin: string } | undefined;
  for (const zone of zones)
    for (const origin of zone.origins)
      if ((name === origin || name.endsWith(`.${origin}`)) && origin.length > (best?.origin.length ?? -1))
        best = { zone, origin };
  return best;
}
