/** What the benches print. */

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Of the mean of these, of which there are two at least. */
export function standardError(values) {
  const middle = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1) / values.length);
}

/** The value that this part (0 to 1) of `sorted` does not exceed. */
export function quantile(sorted, part) {
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)];
}

/** `12,345.6` */
export function number(value, digits = 0) {
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export const mebibytes = (bytes) => number(bytes / 1024 / 1024, 1);

/** Prints cells in columns: the first and the last flush left, the others right. */
export function row(widths, cells) {
  const last = cells.length - 1;
  const padded = cells.map((cell, column) =>
    column === 0 || column === last ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
  );
  console.log(padded.join("   ").trimEnd());
}

/** Columns under their titles, as wide as their widest cell: the first flush left, the others right. */
export function aligned(titles, rows) {
  const widths = titles.map((title, column) => Math.max(title.length, ...rows.map((cells) => cells[column].length)));
  const line = (cells) =>
    cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join("   ");
  return [titles, ...rows].map(line).join("\n");
}

/** Prints columns under their titles: the first and the last flush left, the others right. */
export function table(titles, rows) {
  const widths = titles.map((title, column) => Math.max(title.length, ...rows.map((cells) => cells[column].length)));
  for (const cells of [titles, ...rows]) row(widths, cells);
}

/** A table in Markdown: the first column flush left, the others right. */
export function markdown(titles, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(titles), line(titles.map((_, column) => (column === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

/** Measures, `{key, title, digits, values}` each, with values by column's name: a column without one gets a dash. */
export class Results {
  #columns;
  #print;
  #measures = [];

  constructor(columns, print = console.log) {
    this.#columns = columns;
    this.#print = print;
  }

  /** Adds measures and prints them. */
  add(measures) {
    this.#measures.push(...measures);
    this.#print(`${aligned(["", ...this.#columns], this.#rows(measures))}\n`);
  }

  markdown() {
    return markdown(["", ...this.#columns], this.#rows(this.#measures));
  }

  /** @returns the measure's value for a column, or undefined */
  value(key, column) {
    return this.#measures.find((measure) => measure.key === key)?.values.get(column);
  }

  #rows(measures) {
    return measures.map(({ title, digits, values }) => [
      title,
      ...this.#columns.map((column) => (values.has(column) ? number(values.get(column), digits) : "–")),
    ]);
  }
}
