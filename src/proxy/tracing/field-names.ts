/** Field names that are looked for in every request, in lower case: most are told apart from all of them by their length. */
export class FieldNames {
  readonly list: readonly string[];
  /** One bit for each length up to 31. */
  readonly #lengths: number;

  /** @param list each at most 31 characters long */
  constructor(list: readonly string[]) {
    this.list = list;
    this.#lengths = list.reduce((lengths, { length }) => lengths | (1 << length), 0);
  }

  hasLength(length: number): boolean {
    return length < 32 && (this.#lengths & (1 << length)) !== 0;
  }
}
