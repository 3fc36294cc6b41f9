/**
 * Names of routers, services and middlewares, as the original has them. Its names are ambiguous (`a-b`/`c` and `a`/`b-c`
 * come to one, as do equally named targets of two namespaces): who comes second gets one with underscores, which no
 * name of Kubernetes has.
 */
export class Names {
  readonly #owners = new Map<string, string>();

  /**
   * @param suffix what the name is of, such as `traffic-target`; "" for none
   * @param parts of which the name is made
   * @param apart what tells two owners apart whose parts are the same
   */
  of(suffix: string, parts: readonly (string | number)[], apart: readonly string[] = []): string {
    const end = suffix === "" ? "" : `-${suffix}`;
    const owner = [...apart, ...parts].join("/");
    const name = parts.join("-") + end;
    const holder = this.#owners.get(name);
    if (holder === undefined) this.#owners.set(name, owner);
    return holder === undefined || holder === owner ? name : [...apart, ...parts].join("_") + end;
  }
}
