/**
 * Which forms of trace context are read and written. A context goes on in each form in which it came, so that whoever is
 * called reads it as its caller wrote it; a trace that begins here is told in the first form alone.
 */
import { b3Format, b3MultiFormat } from "./b3-formats.ts";
import { jaegerFormat } from "./jaeger-format.ts";
import type { HasFields, TraceContext, TraceFormat } from "./trace-context.ts";
import { w3cFormat } from "./w3c-format.ts";

/** By the names that OpenTelemetry has for them. */
export const PROPAGATORS = {
  tracecontext: w3cFormat,
  b3: b3Format,
  b3multi: b3MultiFormat,
  jaeger: jaegerFormat,
} as const satisfies Readonly<Record<string, TraceFormat>>;

export type Propagator = keyof typeof PROPAGATORS;

export const DEFAULT_PROPAGATORS: readonly Propagator[] = ["tracecontext", "b3", "b3multi"];

/** Without the trace that it belongs to, it means nothing (Trace Context §3.3). */
const STATE = "tracestate";
const COLON = 58;

export class Propagation {
  readonly #formats: readonly TraceFormat[];
  /** The form that a trace which begins here is told in. */
  readonly ofNew: readonly TraceFormat[];
  /** It is W3C's, whose line can be had ready-made (`TraceIds`). */
  readonly newIsW3c: boolean;

  /** @param propagators at least one */
  constructor(propagators: readonly Propagator[]) {
    this.#formats = propagators.map((name) => PROPAGATORS[name]);
    this.ofNew = this.#formats.slice(0, 1);
    this.newIsW3c = this.ofNew[0] === w3cFormat;
  }

  /** @returns the context in the first form in which there is one that can be read */
  read(request: HasFields): TraceContext | undefined {
    const formats = this.#formats;
    for (let index = 0; index < formats.length; index++) {
      const context = (formats[index] as TraceFormat).read(request);
      if (context !== undefined) return context;
    }
    return undefined;
  }

  /** The forms that a context goes on in: those of which the request has any field, readable or not. */
  formsOf(request: HasFields): readonly TraceFormat[] {
    const found = this.#formats.filter(({ names }) => hasAny(request, names));
    return found.length === 0 ? this.ofNew : found;
  }

  /** Whether the request has fields that a context of a new trace, in its one form, takes the place of. */
  hasStale(request: HasFields): boolean {
    return hasAny(request, this.ofNew[0]?.names ?? []) || request.header(STATE) !== undefined;
  }
}

function hasAny(request: HasFields, names: readonly string[]): boolean {
  for (let index = 0; index < names.length; index++)
    if (request.header(names[index] as string) !== undefined) return true;
  return false;
}

/** Names of the fields that a context written in these forms takes the place of. @param isNew it continues none */
export function replacedNames(forms: readonly TraceFormat[], isNew: boolean): string[] {
  const names = forms.flatMap((form) => form.names);
  return isNew ? [...names, STATE] : names;
}

/** @param text request line, field lines and the empty line. @returns the same without the fields of these names */
export function withoutLines(text: string, names: readonly string[]): string {
  let kept = "";
  let runStart = 0;
  let lineStart = text.indexOf("\r\n") + 2;
  while (lineStart >= 2 && lineStart < text.length) {
    const lineEnd = text.indexOf("\r\n", lineStart) + 2;
    if (lineEnd < 2) break;
    if (isNamed(text, lineStart, names)) {
      kept += text.slice(runStart, lineStart);
      runStart = lineEnd;
    }
    lineStart = lineEnd;
  }
  return kept + text.slice(runStart);
}

function isNamed(text: string, lineStart: number, names: readonly string[]): boolean {
  for (const name of names) {
    const end = lineStart + name.length;
    if (text.charCodeAt(end) === COLON && text.slice(lineStart, end).toLowerCase() === name) return true;
  }
  return false;
}

/** @param fields name, value, name, value …, names in lower case */
export function withoutFields(fields: readonly string[], names: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at < fields.length; at += 2)
    if (!names.includes(fields[at] as string)) kept.push(fields[at] as string, fields[at + 1] as string);
  return kept;
}
