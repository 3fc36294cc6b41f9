/**
 * Metrics as data, and the two formats in which Prometheus reads them: the text format 0.0.4, and OpenMetrics 1.0 for
 * those who ask for it, which has exemplars.
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
  /** One that is empty is as good as absent, and left out. */
  readonly labels: Labels;
  readonly value: number;
}

export interface HistogramSample {
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

export interface Exposition {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** @param accept the request's header of that name */
export function expose(metrics: readonly Metric[], accept: string | undefined): Exposition {
  const open = acceptsOpenMetrics(accept ?? "");
  const lines: string[] = [];
  for (const metric of metrics) {
    if (metric.samples.length === 0) continue;
    const { name, help } = metric;
    const family = open ? name.replace(/_(total|info)$/, "") : name;
    const type = metric.type === "info" && !open ? "gauge" : metric.type;
    lines.push(`# HELP ${family} ${escapeText(help)}`, `# TYPE ${family} ${type}`);
    if (metric.type === "histogram")
      for (const sample of metric.samples) pushHistogram(lines, name, metric.bounds, sample, open);
    else for (const { labels, value } of metric.samples) lines.push(`${name}${braced(labelText(labels))} ${value}`);
  }
  if (open) lines.push("# EOF");
  const type = open
    ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
    : "text/plain; version=0.0.4; charset=utf-8";
  return { status: 200, type, body: `${lines.join("\n")}\n` };
}

/** Prometheus names it first where it wants it; a quality of 0 refuses it (RFC 9110 §12.4.2). */
function acceptsOpenMetrics(accept: string): boolean {
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
  { labels, counts, sum, exemplars = [] }: HistogramSample,
  open: boolean,
): void {
  const text = labelText(labels);
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

function labelText(labels: Labels): string {
  let text = "";
  for (const name in labels) {
    const value = labels[name] as string;
    if (value !== "") text += `${text === "" ? "" : ","}${name}="${escapeText(value).replaceAll('"', '\\"')}"`;
  }
  return text;
}

const braced = (text: string) => (text === "" ? "" : `{${text}}`);

const escapeText = (text: string) => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
