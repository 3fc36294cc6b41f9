/** What a request's fields say of the trace that it is part of, in whatever form they say it. */
export interface TraceContext {
  /** 32 hexadecimal digits in lower case, not all zero; "" where only the decision is said (B3's `b3: 0`). */
  readonly traceId: string;
  /** The caller's span: 16 such digits; "" as above. */
  readonly spanId: string;
  /** Whether the trace is recorded; undefined where that is left to whoever comes next. */
  readonly sampled: boolean | undefined;
  /** B3's and Jaeger's order to record at any price. It goes on with the context. */
  readonly debug: boolean;
  /** W3C's flag that the trace id is random (Trace Context Level 2 §3.2.2.5.2), which must go on. */
  readonly randomId: boolean;
}

/** A request, as far as its fields go. */
export interface HasFields {
  /** Field value by lower-case name. */
  header(name: string): string | undefined;
}

/** A context in the fields of one form. The names are in lower case. */
export interface TraceFormat {
  /** Every field that carries it. */
  readonly names: readonly string[];
  /** @returns undefined where there is none, or none that can be read */
  read(request: HasFields): TraceContext | undefined;
  /** Adds name, value, name, value … */
  write(context: TraceContext, into: string[]): void;
}

const ZERO = 48;

/** Whether `length` characters from `from` are hexadecimal digits in lower case. */
export function isHex(text: string, from: number, length: number): boolean {
  if (from + length > text.length) return false;
  for (let at = from; at < from + length; at++) {
    const code = text.charCodeAt(at);
    if (!((code >= ZERO && code <= 57) || (code >= 97 && code <= 102))) return false;
  }
  return true;
}

/** The same, and not all of them zero: an id. */
export function isId(text: string, from: number, length: number): boolean {
  if (!isHex(text, from, length)) return false;
  for (let at = from; at < from + length; at++) if (text.charCodeAt(at) !== ZERO) return true;
  return false;
}
