/** What the benches print. */

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
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

/** Prints columns under their titles, as wide as their widest cell. */
export function table(titles, rows) {
  const widths = titles.map((title, column) => Math.max(title.length, ...rows.map((cells) => cells[column].length)));
  for (const cells of [titles, ...rows]) row(widths, cells);
}
