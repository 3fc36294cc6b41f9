/**
 * What tracing does for an exchange: reads the caller's context, decides whether the exchange is recorded, writes a
 * context whose parent is the try that carries it, and notes what spans are to tell. Owned by the exchange and reused.
 *
 * A context that is not recorded goes on byte for byte, so a parent's decision holds. A trace that begins here and is
 * not recorded is told so, or each proxy behind would decide anew and traces would lack their beginning.
 */
import type { EndpointState } from "../router/types.ts";
import { ownText } from "./own-text.ts";
import { replacedNames, withoutFields, withoutLines } from "./propagation.ts";
import { RecordedExchange } from "./recorded-exchange.ts";
import { isInRatio } from "./sampling.ts";
import type { HasFields, TraceContext, TraceFormat } from "./trace-context.ts";
import type { TracedExchange, TryTrace } from "./traced-exchange.ts";
import type { Tracer } from "./tracer.ts";

/** A request as it goes out: for endpoints that speak HTTP/1.1, and as fields for the others; "" and empty for none. */
interface OutgoingHead {
  text: string;
  fields: readonly string[];
}

const NO_FORMS: readonly TraceFormat[] = [];
const NO_NAMES: readonly string[] = [];

export class ExchangeTrace {
  readonly #tracer: Tracer;
  /** Of a trace that is recorded; "" otherwise. */
  traceId = "";
  /** Of the context that is written, and of the exchange's own span. */
  #contextId = "";
  #spanId = "";
  #parentId = "";
  #randomId = false;
  #debug = false;
  /** What is written, and what that takes the place of. */
  #forms = NO_FORMS;
  #staleNames = NO_NAMES;
  /** The head without a context, to which each try's is added. */
  #text = "";
  #fields: readonly string[] = NO_NAMES;
  #startedAt = 0;
  /** Until it ends. */
  #record: RecordedExchange | undefined;
  #try: TryTrace | undefined;
  /** Of a context that is the same for every try: the head is written with it. */
  addedLines = "";

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  get addedFields(): readonly string[] {
    return this.addedLines === "" ? NO_NAMES : fieldsOf(this.addedLines);
  }

  /**
   * A request has come.
   * @param request valid during the call
   * @param hasContext it has fields that a trace is told in, in some form
   * @param nowMs by the tracer's clock, which whoever calls has read already
   */
  begin(request: HasFields, hasContext: boolean, nowMs: number): void {
    const { propagation, ratio } = this.#tracer;
    this.#startedAt = nowMs;
    this.traceId = "";
    this.#record = undefined;
    this.#forms = NO_FORMS;
    this.addedLines = "";
    if (!hasContext) {
      if (ratio > 0) this.#beginNew(request, undefined, false);
      return;
    }
    const context = propagation.read(request);
    if (context === undefined) {
      if (ratio > 0) this.#beginNew(request, undefined, propagation.hasStale(request));
    } else if (context.sampled !== false) {
      if (context.traceId === "") this.#beginNew(request, context, true);
      else if (context.sampled || isInRatio(context.traceId, ratio)) this.#continue(request, context);
    }
  }

  /**
   * @param order a context that says no more than to record
   * @param isStale there are fields that the new context takes the place of
   */
  #beginNew(request: HasFields, order: TraceContext | undefined, isStale: boolean): void {
    const { ids, ratio, rate, propagation } = this.#tracer;
    ids.next();
    const isRecorded = (order !== undefined || ids.isInRatio(ratio)) && rate.take(this.#startedAt);
    // What it orders whoever is called next still stands.
    if (order !== undefined && !isRecorded) return;
    // Of a hundred traces that begin, this is what becomes of ninety-nine.
    if (!isRecorded && !isStale && propagation.newIsW3c) {
      this.addedLines = ids.unrecordedLine;
      return;
    }
    this.#contextId = ids.traceId;
    this.#spanId = ids.spanId;
    this.#parentId = "";
    this.#randomId = false;
    this.#debug = order?.debug === true;
    this.#forms = order === undefined ? propagation.ofNew : propagation.formsOf(request);
    this.#staleNames = isStale ? replacedNames(this.#forms, true) : NO_NAMES;
    if (isRecorded) this.#beginRecord(request);
    else if (!isStale) this.addedLines = linesOf(this.#fieldsOf(this.#spanId));
  }

  #continue(request: HasFields, context: TraceContext): void {
    const { ids, rate, propagation } = this.#tracer;
    if (!rate.take(this.#startedAt)) return;
    this.#contextId = ownText(context.traceId);
    ids.next();
    this.#spanId = ids.spanId;
    this.#parentId = ownText(context.spanId);
    this.#randomId = context.randomId;
    this.#debug = context.debug;
    this.#forms = propagation.formsOf(request);
    this.#staleNames = replacedNames(this.#forms, false);
    this.#beginRecord(request);
  }

  #beginRecord(request: HasFields): void {
    this.traceId = this.#contextId;
    this.#record = new RecordedExchange({
      traceId: this.#contextId,
      spanId: this.#spanId,
      parentId: this.#parentId,
      startedWall: this.#tracer.clock.wall(),
      host: request.header("host") ?? "",
      userAgent: request.header("user-agent") ?? "",
    });
    this.#try = undefined;
  }

  /**
   * The head that goes out is written. Where the exchange is recorded, it is completed by each try.
   * @param isChanged the route may have put fields there that the context takes the place of
   */
  prepare(outgoing: OutgoingHead, isChanged: boolean): void {
    if (this.#forms.length === 0 || this.addedLines !== "") return;
    if (isChanged && this.#staleNames.length === 0) this.#staleNames = replacedNames(this.#forms, false);
    const stale = this.#staleNames;
    if (stale.length > 0) {
      if (outgoing.text !== "") outgoing.text = withoutLines(outgoing.text, stale);
      if (outgoing.fields.length > 0) outgoing.fields = withoutFields(outgoing.fields, stale);
    }
    this.#text = outgoing.text;
    this.#fields = outgoing.fields;
    if (this.#record === undefined) this.#write(outgoing, this.#spanId);
  }

  tryBegins(endpoint: EndpointState): void {
    if (this.#record === undefined) return;
    const { ids, clock } = this.#tracer;
    ids.next();
    this.#try = this.#record.beginTry(ids.spanId, endpoint, clock.now() - this.#startedAt);
  }

  /** @param version of HTTP that the endpoint speaks */
  trySends(outgoing: OutgoingHead, version: string): void {
    if (this.#record === undefined || this.#try === undefined) return;
    this.#try.version = version;
    outgoing.text = this.#text;
    outgoing.fields = this.#fields;
    this.#write(outgoing, this.#try.spanId);
  }

  tryAnswers(status: number): void {
    if (this.#record !== undefined && this.#try !== undefined) this.#try.status = status;
  }

  /** @param failure "" where it got an answer that the caller is not to have */
  tryEnds(failure: TryTrace["failure"]): void {
    if (this.#record === undefined || this.#try === undefined) return;
    this.#try.failure = failure;
    this.#try.endedMs = this.#tracer.clock.now() - this.#startedAt;
    this.#try = undefined;
  }

  /** It had no connection to be made over: there was no try. */
  tryIsVoid(): void {
    if (this.#record === undefined) return;
    this.#record.dropTry();
    this.#try = undefined;
  }

  /** What is known of the exchange, at its end. */
  end(exchange: TracedExchange): void {
    const record = this.#record;
    if (record === undefined) return;
    const done = this.#try;
    if (done !== undefined && exchange.failure === "") done.grpcStatus = exchange.grpcStatus;
    this.tryEnds(exchange.failure);
    const { clock, onRecorded } = this.#tracer;
    record.end(exchange, clock.now() - this.#startedAt);
    this.#record = undefined;
    onRecorded(record);
  }

  #write(outgoing: OutgoingHead, spanId: string): void {
    const fields = this.#fieldsOf(spanId);
    if (outgoing.text !== "") outgoing.text = `${outgoing.text.slice(0, -2)}${linesOf(fields)}\r\n`;
    if (outgoing.fields.length > 0) outgoing.fields = outgoing.fields.concat(fields);
  }

  #fieldsOf(spanId: string): string[] {
    const context = {
      traceId: this.#contextId,
      spanId,
      sampled: this.#record !== undefined,
      debug: this.#debug,
      randomId: this.#randomId,
    };
    const forms = this.#forms;
    const fields: string[] = [];
    for (let index = 0; index < forms.length; index++) (forms[index] as TraceFormat).write(context, fields);
    return fields;
  }
}

/** @param fields name, value, name, value … */
function linesOf(fields: readonly string[]): string {
  let lines = "";
  for (let at = 0; at < fields.length; at += 2) lines += `${fields[at]}: ${fields[at + 1]}\r\n`;
  return lines;
}

/** @param lines of ours: a colon and a space after each name */
function fieldsOf(lines: string): string[] {
  const fields: string[] = [];
  for (const line of lines.split("\r\n").slice(0, -1)) {
    const colon = line.indexOf(": ");
    fields.push(line.slice(0, colon), line.slice(colon + 2));
  }
  return fields;
}
