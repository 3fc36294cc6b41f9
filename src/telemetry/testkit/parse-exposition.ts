/** Reads what Prometheus would, and throws at what it would not take. */
export interface Family {
  readonly type: string;
  readonly help: string;
  readonly series: Map<string, number>;
  readonly exemplars: Map<string, string>;
}

const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: ["_total"],
  info: ["_info"],
  gauge: [""],
  histogram: ["_bucket", "_sum", "_count"],
};
const LABEL = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"`;
const SAMPLE = new RegExp(String.raw`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(${LABEL}(?:,${LABEL})*)\})? (\S+)(?: # (.+))?$`);
const EXEMPLAR = new RegExp(String.raw`^\{${LABEL}(?:,${LABEL})*\} (\S+) (\S+)$`);

/** @param open whether it is OpenMetrics 1.0, or else the text format 0.0.4 */
export function parseExposition(text: string, open: boolean): Map<string, Family> {
  const families = new Map<string, Family>();
  let current = "";
  let help = "";
  const lines = text.split("\n");
  if (lines.pop() !== "") throw new Error("the last line has no end");
  if (open && lines.pop() !== "# EOF") throw new Error("there is no # EOF");
  for (const line of lines) {
    const described = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (described?.[1] === "HELP") help = described[3] as string;
    else if (described?.[1] === "TYPE") {
      current = described[2] as string;
      const type = described[3] as string;
      if (SUFFIXES[type] === undefined || (type === "info" && !open)) throw new Error(`no type: ${line}`);
      if (families.has(current) || help === "") throw new Error(`described twice, or not at all: ${line}`);
      families.set(current, { type, help, series: new Map(), exemplars: new Map() });
      help = "";
    } else readSample(line, current, families.get(current), open);
  }
  for (const [name, family] of families) if (family.type === "histogram") checkHistogram(name, family);
  return families;
}

/** The sum of the series of that name that have all these labels. */
export function sumOfSeries(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  let sum = 0;
  for (const line of text.split("\n")) {
    const [, found, labelText = "", value] = SAMPLE.exec(line) ?? [];
    const fits = Object.entries(labels).every(([key, wanted]) => `,${labelText},`.includes(`,${key}="${wanted}",`));
    if (found === name && fits) sum += Number(value);
  }
  return sum;
}

function readSample(line: string, current: string, family: Family | undefined, open: boolean): void {
  const [, name = "", labels = "", value = "", exemplar] = SAMPLE.exec(line) ?? [];
  if (family === undefined || !Number.isFinite(Number(value)) || name === "") throw new Error(`no sample: ${line}`);
  const suffixes = open || family.type === "histogram" ? SUFFIXES[family.type] : [""];
  const suffix = suffixes?.find((each) => name === current + each);
  if (suffix === undefined) throw new Error(`not of ${current}: ${line}`);
  const key = `${name}{${labels}}`;
  if (family.series.has(key)) throw new Error(`twice: ${line}`);
  family.series.set(key, Number(value));
  if (exemplar === undefined) return;
  if (!open || suffix !== "_bucket" || !EXEMPLAR.test(exemplar)) throw new Error(`no exemplar: ${line}`);
  family.exemplars.set(key, exemplar);
}

function checkHistogram(name: string, { series }: Family): void {
  const last = new Map<string, { le: number; value: number }>();
  for (const [key, value] of series) {
    const [, labels, le] = /_bucket\{(.*?),?le="([^"]+)"\}$/.exec(key) ?? [];
    if (labels === undefined || le === undefined) continue;
    const bound = le === "+Inf" ? Number.POSITIVE_INFINITY : Number(le);
    const before = last.get(labels);
    if (before !== undefined && (before.le >= bound || before.value > value)) throw new Error(`not cumulative: ${key}`);
    last.set(labels, { le: bound, value });
  }
  for (const [labels, { le, value }] of last) {
    const braced = `{${labels}}`;
    if (
      le !== Number.POSITIVE_INFINITY ||
      series.get(`${name}_count${braced}`) !== value ||
      !series.has(`${name}_sum${braced}`)
    )
      throw new Error(`not whole: ${name}${braced}`);
  }
}
