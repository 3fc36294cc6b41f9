/**
 * Metrics as data, and the two formats in which Prometheus reads them: the text format 0.0.4, and OpenMetrics 1.0 for
 * those who ask for it, which has exemplars.
 *
 * The text of thousands of series takes tens of milliseconds, so a thread that carries calls makes it in slices.
 */
export type Labels = Readonly<Record<string, string>>;

/** A call that stands for others in its bucket. */
export interface Exemplar {
  readonly labels: Labels;
  readonly value: number;
  /** Seconds since the epoch. */
  readonly timestamp: number;
}

interface Sample {
  /** Text of labels before the others, as of `labelText`: made once where many samples have them. */
  readonly shared?: string;
  /** One that is empty is as good as absent, and left out. */
  readonly labels: Labels;
  readonly value: number;
}

export interface HistogramSample {
  /** As that of other samples. */
  readonly shared?: string;
  readonly labels: Labels;
  /** Those of each bucket alone; the last is over all bounds. */
  readonly counts: readonly number[];
  readonly sum: number;
  readonly exemplars?: readonly (Exemplar | undefined)[];
}

interface Described {
  /** In full, with `_total` of counters and `_info` of what only tells. */
  readonly name: string;
  readonly help: string;
}

export type Metric = Described &
  (
    | { readonly type: "counter" | "gauge" | "info"; readonly samples: readonly Sample[] }
    | { readonly type: "histogram"; readonly bounds: readonly number[]; readonly samples: readonly HistogramSample[] }
  );

export function single(type: "counter" | "gauge", name: string, help: string, value: number): Metric {
  return { type, name, help, samples: [{ labels: {}, value }] };
}

export interface Exposition<Body = string> {
  readonly status: number;
  readonly type: string;
  readonly body: Body;
}

/** Of a slice, at least: about half a millisecond. */
const SLICE_LINES = 500;

/** @param accept the request's header of that name */
export function expose(metrics: Iterable<Metric>, accept: string | undefined): Exposition {
  const open = acceptsOpenMetrics(accept);
  return { status: 200, type: typeOf(open), body: [...slicesOf(metrics, open)].join("") };
}

/**
 * As `expose`, byte for byte.
 * @param metrics may be made as they are asked for, each within a slice
 * @param pause between slices
 */
export async function exposeInSlices(
  metrics: Iterable<Metric>,
  accept: string | undefined,
  pause: () => Promise<void>,
): Promise<Exposition<Buffer>> {
  const open = acceptsOpenMetrics(accept);
  const pieces: Buffer[] = [];
  for (const slice of slicesOf(metrics, open)) {
    pieces.push(Buffer.from(slice));
    await pause();
  }
  return { status: 200, type: typeOf(open), body: Buffer.concat(pieces) };
}

function typeOf(open: boolean): string {
  return open
    ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
    : "text/plain; version=0.0.4; charset=utf-8";
}

function* slicesOf(metrics: Iterable<Metric>, open: boolean): Generator<string> {
  let lines: string[] = [];
  for (const metric of metrics) {
    if (metric.samples.length > 0) pushHead(lines, metric, open);
    for (let index = 0; index < metric.samples.length; index++) {
      pushSample(lines, metric, index, open);
      if (lines.length < SLICE_LINES) continue;
      yield textOf(lines);
      lines = [];
    }
  }
  if (open) lines.push("# EOF");
  yield textOf(lines);
}

const textOf = (lines: readonly string[]) => (lines.length === 0 ? "" : `${lines.join("\n")}\n`);

function pushHead(lines: string[], { name, help, type }: Metric, open: boolean): void {
  const family = open ? name.replace(/_(total|info)$/, "") : name;
  lines.push(`# HELP ${family} ${escapeText(help)}`, `# TYPE ${family} ${type === "info" && !open ? "gauge" : type}`);
}

function pushSample(lines: string[], metric: Metric, index: number, open: boolean): void {
  const { name } = metric;
  if (metric.type === "histogram") {
    pushHistogram(lines, name, metric.bounds, metric.samples[index] as HistogramSample, open);
    return;
  }
  const { labels, shared, value } = metric.samples[index] as Sample;
  lines.push(`${name}${braced(joined(shared, labelText(labels)))} ${value}`);
}

/** Prometheus names it first where it wants it; a quality of 0 refuses it (RFC 9110 §12.4.2). */
export function acceptsOpenMetrics(accept = ""): boolean {
  return accept
    .toLowerCase()
    .split(",")
    .some((range) => {
      const [type = "", ...parameters] = range.split(";").map((part) => part.trim());
      return type === "application/openmetrics-text" && !parameters.some((each) => /^q=0(\.0*)?$/.test(each));
    });
}

function pushHistogram(
  lines: string[],
  name: string,
  bounds: readonly number[],
  { labels, shared, counts, sum, exemplars = [] }: HistogramSample,
  open: boolean,
): void {
  const text = joined(shared, labelText(labels));
  const before = text === "" ? "" : `${text},`;
  let total = 0;
  for (let index = 0; index <= bounds.length; index++) {
    total += counts[index] ?? 0;
    const bound = bounds[index];
    const le = bound === undefined ? "+Inf" : open && Number.isInteger(bound) ? `${bound}.0` : `${bound}`;
    const exemplar = open ? exemplarText(exemplars[index]) : "";
    lines.push(`${name}_bucket{${before}le="${le}"} ${total}${exemplar}`);
  }
  lines.push(`${name}_sum${braced(text)} ${sum}`, `${name}_count${braced(text)} ${total}`);
}

function exemplarText(exemplar: Exemplar | undefined): string {
  if (exemplar === undefined) return "";
  return ` # {${labelText(exemplar.labels)}} ${exemplar.value} ${exemplar.timestamp}`;
}

export function labelText(labels: Labels): string {
  let text = "";
  for (const name in labels) {
    const value = labels[name] as string;
    if (value !== "") text += `${text === "" ? "" : ","}${name}="${escapeValue(value)}"`;
  }
  return text;
}

const braced = (text: string) => (text === "" ? "" : `{${text}}`);

const joined = (before = "", after: string) => (before === "" || after === "" ? before + after : `${before},${after}`);

// To look first is several times as fast, and next to no name has any of them.
const escapeValue = (text: string) => (/["\\\n]/.test(text) ? escapeText(text).replaceAll('"', '\\"') : text);

const escapeText = (text: string) => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
