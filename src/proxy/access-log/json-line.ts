import type { ExchangeRecord } from "../exchange/exchange-record.ts";
import type { Caller, EndpointState, ServicePortState } from "../router/types.ts";
import type { AccessLogSettings, HeaderChoice } from "./access-log-settings.ts";
import { CALL_FIELDS, type CallField, type CallRecord, HEADERS_FIELD, isExchange } from "./call-fields.ts";
import { LineBytes } from "./line-bytes.ts";

const REDACTED = "REDACTED";
const OPENING_BRACE = 123;

/** What standing fields come to, by endpoint. */
const MAX_KNOWN = 4_096;

interface Known {
  readonly caller: Caller;
  readonly entry: ServicePortState;
  readonly bytes: Uint8Array;
}

/** Calls as JSON objects of one line each. */
export class JsonLine {
  /** Before the standing ones, those, and after them: in the order of the table. */
  readonly #first: FieldWriter;
  readonly #standing: FieldWriter;
  readonly #last: FieldWriter;
  readonly #headers: readonly HeaderChoice[];
  readonly #known = new Map<EndpointState, Known>();
  readonly #line = new LineBytes();

  constructor({ fields, headers }: Pick<AccessLogSettings, "fields" | "headers">) {
    const chosen = CALL_FIELDS.filter(({ name }) => fields?.includes(name) ?? true);
    const from = chosen.findIndex(({ standing }) => standing);
    const to = chosen.findLastIndex(({ standing }) => standing) + 1;
    this.#first = new FieldWriter(chosen.slice(0, Math.max(from, 0)));
    this.#standing = new FieldWriter(chosen.slice(Math.max(from, 0), to));
    this.#last = new FieldWriter(chosen.slice(to));
    this.#headers = fields?.includes(HEADERS_FIELD) === false ? [] : headers;
  }

  /** @returns with its line feed */
  of(record: CallRecord, endedAtMs: number): string {
    return this.bytesOf(record, endedAtMs).toString("latin1");
  }

  /** @returns ASCII, with its line feed; valid until the next call */
  bytesOf(record: CallRecord, endedAtMs: number): Buffer {
    const line = this.#line;
    line.clear();
    this.#first.write(record, endedAtMs, line);
    this.#writeStanding(record, endedAtMs, line);
    this.#last.write(record, endedAtMs, line);
    if (this.#headers.length > 0 && isExchange(record)) this.#writeHeaders(record, line);
    if (line.length === 0) line.ascii("{");
    // In the place of the first comma.
    else line.written[0] = OPENING_BRACE;
    line.ascii("}\n");
    return line.written;
  }

  #writeStanding(record: CallRecord, endedAtMs: number, line: LineBytes): void {
    const { caller, entry, endpoint } = record;
    const known = endpoint === undefined ? undefined : this.#known.get(endpoint);
    if (known?.caller === caller && known.entry === entry) {
      line.bytes(known.bytes);
      return;
    }
    const from = line.length;
    this.#standing.write(record, endedAtMs, line);
    if (endpoint === undefined) return;
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(endpoint, { caller, entry, bytes: Uint8Array.from(line.written.subarray(from)) });
  }

  #writeHeaders(record: ExchangeRecord, line: LineBytes): void {
    let before = `,"${HEADERS_FIELD}":{`;
    for (const { name, redact } of this.#headers) {
      const value = record.requestField(name);
      if (value === undefined) continue;
      line.ascii(before);
      line.jsonText(name);
      line.ascii(":");
      line.jsonText(redact ? REDACTED : value);
      before = ",";
    }
    if (before === ",") line.ascii("}");
  }
}

/** Some fields, each with a comma before it. */
class FieldWriter {
  readonly #fields: readonly CallField[];
  readonly #prefixes: readonly Uint8Array[];

  constructor(fields: readonly CallField[]) {
    this.#fields = fields;
    this.#prefixes = fields.map(({ name }) => Buffer.from(`,"${name}":`));
  }

  write(record: CallRecord, endedAtMs: number, line: LineBytes): void {
    for (let index = 0; index < this.#fields.length; index++) {
      const value = this.#fields[index]?.value(record, endedAtMs);
      if (value === undefined) continue;
      line.bytes(this.#prefixes[index] as Uint8Array);
      if (typeof value === "string") line.jsonText(value);
      else if (typeof value === "number") line.number(value);
      else line.ascii(String(value));
    }
  }
}
