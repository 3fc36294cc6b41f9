/**
 * A table whose rows keep their places: they are sorted when it is asked for and when rows come or go, and never because
 * a figure changed, so that nothing moves away under a finger.
 */
import { h, replace, setAttribute, setText } from "./dom.js";

/**
 * @template Row
 * @typedef {object} Column
 * @property {string} label
 * @property {(row: Row) => string} text
 * @property {(row: Row) => string | number} [sort] absent: by its text
 * @property {boolean} [numeric]
 * @property {(row: Row) => string} [href]
 * @property {(row: Row) => string} [tone] a class of the cell
 */

/** More would make a page slow; the filters find the others. */
const MOST_ROWS = 1_000;

/** @template Row */
export class DataTable {
  #columns;
  #keyOf;
  #empty;
  #body = h("tbody");
  #note = h("p", { class: "note" });
  /** @type {HTMLElement[]} */
  #heads;
  /** @type {Map<string, HTMLTableRowElement>} */
  #rows = new Map();
  /** @type {readonly Row[]} */
  #data = [];
  #sortedBy;
  #descending;

  /**
   * @param {object} options
   * @param {string} options.caption
   * @param {readonly Column<Row>[]} options.columns
   * @param {(row: Row) => string} options.keyOf
   * @param {string} options.empty what is said where there are no rows
   * @param {number} [options.sortedBy]
   */
  constructor({ caption, columns, keyOf, empty, sortedBy = 0 }) {
    this.#columns = columns;
    this.#keyOf = keyOf;
    this.#empty = empty;
    this.#sortedBy = sortedBy;
    this.#descending = columns[sortedBy]?.numeric ?? false;
    this.#heads = columns.map(({ label, numeric }, index) =>
      h(
        "th",
        { scope: "col", class: numeric ? "number" : undefined },
        h("button", { type: "button", onclick: () => this.#sortBy(index) }, label),
      ),
    );
    const table = h(
      "table",
      { class: "cards" },
      h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, ...this.#heads)),
      this.#body,
    );
    const scroller = h("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": caption }, table);
    this.element = h("div", { class: "table" }, scroller, this.#note);
    this.#tellOrder();
  }

  /** @param {readonly Row[]} rows each with a key of its own */
  update(rows) {
    this.#data = rows;
    const keys = new Set(rows.map(this.#keyOf));
    const same = keys.size === this.#rows.size && [...keys].every((key) => this.#rows.has(key));
    if (!same || rows.length > MOST_ROWS) this.#order();
    for (const row of rows) this.#fill(row);
  }

  /** @param {number} index */
  #sortBy(index) {
    const numeric = this.#columns[index]?.numeric ?? false;
    this.#descending = index === this.#sortedBy ? !this.#descending : numeric;
    this.#sortedBy = index;
    this.#tellOrder();
    this.#order();
    for (const row of this.#data) this.#fill(row);
  }

  #tellOrder() {
    for (const [index, head] of this.#heads.entries())
      setAttribute(
        head,
        "aria-sort",
        index === this.#sortedBy ? (this.#descending ? "descending" : "ascending") : undefined,
      );
  }

  #order() {
    const column = this.#columns[this.#sortedBy];
    const value = (/** @type {Row} */ row) => column?.sort?.(row) ?? column?.text(row) ?? "";
    const sign = this.#descending ? -1 : 1;
    const sorted = [...this.#data].sort(
      (a, b) => sign * compare(value(a), value(b)) || compare(this.#keyOf(a), this.#keyOf(b)),
    );
    const shown = sorted.slice(0, MOST_ROWS);
    const before = this.#rows;
    this.#rows = new Map(
      shown.map((row) => [this.#keyOf(row), before.get(this.#keyOf(row)) ?? h("tr", {}, ...this.#cells(row))]),
    );
    const held = document.activeElement;
    replace(this.#body, ...this.#rows.values());
    if (held instanceof HTMLElement && this.#body.contains(held)) held.focus();
    const more = sorted.length - shown.length;
    setText(this.#note, sorted.length === 0 ? this.#empty : more > 0 ? `and ${more} more: filter to find them` : "");
  }

  /** @param {Row} row */
  #cells(row) {
    return this.#columns.map(({ label, numeric, href }, index) =>
      h(
        index === 0 ? "th" : "td",
        {
          scope: index === 0 ? "row" : undefined,
          class: numeric ? "number" : undefined,
          // Said beside the figure where there is no room for columns.
          "data-label": index === 0 ? undefined : label,
        },
        href === undefined ? undefined : h("a", { href: href(row) }),
      ),
    );
  }

  /** @param {Row} row */
  #fill(row) {
    const cells = this.#rows.get(this.#keyOf(row))?.children;
    if (cells === undefined) return;
    for (const [index, { text, tone, numeric, href }] of this.#columns.entries()) {
      const cell = /** @type {Element} */ (cells[index]);
      setText(href === undefined ? cell : (cell.firstElementChild ?? cell), text(row));
      if (tone !== undefined) setAttribute(cell, "class", `${numeric ? "number " : ""}${tone(row)}`);
    }
  }
}

/**
 * @param {string | number} a
 * @param {string | number} b
 */
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
