/** A graph of calls for people (text) and for those who draw (DOT of Graphviz, Mermaid). */
import { wordOf } from "../proxy/access-log/escaped-text.ts";
import { formatLatency, formatRate, formatShare } from "./figures.ts";
import type { Call, ServiceGraph, SplitPart } from "./service-graph.ts";

export const GRAPH_FORMATS = ["text", "dot", "mermaid", "json"] as const;
export type GraphFormat = (typeof GRAPH_FORMATS)[number];

export interface FormatOptions {
  /** Whether rates are by the second, and not all since the start. */
  readonly perSecond: boolean;
}

export function graphText({ calls, splits }: ServiceGraph, options: FormatOptions): string {
  const lines: string[] = [];
  const width = Math.max(0, ...calls.map(({ to }) => calledName(to).length));
  let caller: string | undefined;
  for (const call of calls) {
    if (call.from !== caller) lines.push(callerName(call.from));
    caller = call.from;
    const mark = call.rates.denied > 0 ? "✗" : "→";
    lines.push(`  ${mark} ${calledName(call.to).padEnd(width)}  ${callLabel(call, options)}`);
  }
  let split: string | undefined;
  for (const part of splits) {
    const heading = `${calledName(part.from)} is split${part.origin === undefined ? "" : ` by ${part.origin}`}`;
    if (heading !== split) lines.push(heading);
    split = heading;
    lines.push(`  → ${calledName(part.to)}  ${splitLabel(part)}`);
  }
  return lines.length === 0 ? "nobody calls anybody\n" : `${lines.join("\n")}\n`;
}

export function graphDot(graph: ServiceGraph, options: FormatOptions): string {
  const ids = new NodeIds();
  const quote = (text: string) => `"${encoded(text, "&#")}"`;
  const edges = [
    ...graph.calls.map((call) => {
      const bad = isBad(call) ? ", color=red, fontcolor=red" : "";
      const label = quote(callLabel(call, options));
      return `  ${ids.workload(call.from)} -> ${ids.service(call.to)} [label=${label}${bad}];`;
    }),
    ...graph.splits.map((part) => {
      const label = quote(splitLabel(part));
      return `  ${ids.service(part.from)} -> ${ids.service(part.to)} [label=${label}, style=dashed];`;
    }),
    ...graph.serves.map(
      ({ service, workload }) =>
        `  ${ids.service(service)} -> ${ids.workload(workload)} [style=dotted, arrowhead=none];`,
    ),
  ];
  const nodes = ids.all.map(
    ({ id, name, isService }) => `  ${id} [label=${quote(name)}, shape=${isService ? "box" : "ellipse"}];`,
  );
  return ["digraph tulle {", "  rankdir=LR;", ...nodes, ...edges, "}", ""].join("\n");
}

export function graphMermaid(graph: ServiceGraph, options: FormatOptions): string {
  const ids = new NodeIds();
  const quote = (text: string) => `"${encoded(text, "#")}"`;
  const edges = [
    ...graph.calls.map(
      (call) => `  ${ids.workload(call.from)} -->|${quote(callLabel(call, options))}| ${ids.service(call.to)}`,
    ),
    ...graph.splits.map(
      (part) => `  ${ids.service(part.from)} -.->|${quote(splitLabel(part))}| ${ids.service(part.to)}`,
    ),
    ...graph.serves.map(({ service, workload }) => `  ${ids.service(service)} -.- ${ids.workload(workload)}`),
  ];
  const nodes = ids.all.map(
    ({ id, name, isService }) => `  ${id}${isService ? `[${quote(name)}]` : `([${quote(name)}])`}`,
  );
  // Links are numbered in their order, and calls come first.
  const bad = graph.calls.flatMap((call, index) => (isBad(call) ? `  linkStyle ${index} stroke:red` : []));
  return ["flowchart LR", ...nodes, ...edges, ...bad, ""].join("\n");
}

/** Names are no identifiers in either language: nodes get numbers, in the order in which they are met. */
class NodeIds {
  readonly all: { readonly id: string; readonly name: string; readonly isService: boolean }[] = [];
  readonly #ids = new Map<string, string>();

  service(name: string): string {
    return this.#idOf(calledName(name), true);
  }

  workload(name: string): string {
    return this.#idOf(callerName(name), false);
  }

  #idOf(name: string, isService: boolean): string {
    const key = `${isService} ${name}`;
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = `n${this.all.length}`;
    this.#ids.set(key, id);
    this.all.push({ id, name, isService });
    return id;
  }
}

function callLabel({ protocol, rates }: Call, { perSecond }: FormatOptions): string {
  const { requests, flows, success, p99Ms, denied, audited } = rates;
  const per = perSecond ? "/s" : "";
  const rate = (value: number) => `${formatRate(value)}${per}`;
  return [
    protocol === "http" ? `${formatRate(requests)} req${per}` : `${formatRate(flows)} ${protocol}${per}`,
    success === undefined || success === 1 ? "" : `${formatShare(1 - success)} failed`,
    p99Ms === undefined ? "" : `p99 ${formatLatency(p99Ms)}`,
    denied === 0 ? "" : `${rate(denied)} denied`,
    audited === 0 ? "" : `${rate(audited)} would be denied`,
  ]
    .filter((text) => text !== "")
    .join(", ");
}

function splitLabel({ weight, measured }: SplitPart): string {
  const parts = [
    weight === undefined ? "not configured now" : percent(weight),
    ...(measured === undefined ? [] : [`was ${percent(measured)}`]),
  ];
  return parts.join(", ");
}

function percent(value: number): string {
  return `${Number(value.toFixed(1))}%`;
}

function isBad({ rates: { denied, success = 1 } }: Call): boolean {
  return denied > 0 || success < 1;
}

function callerName(name: string): string {
  return name === "" ? "(unknown)" : wordOf(name);
}

function calledName(name: string): string {
  return name === "" ? "(others)" : wordOf(name);
}

/** What means something to neither language stays; all else is written by its number, as both of them can. */
function encoded(text: string, prefix: "&#" | "#"): string {
  return text.replace(/[^A-Za-z0-9 ./:,%()_→≥-]/gu, (each) => `${prefix}${each.codePointAt(0)};`);
}
