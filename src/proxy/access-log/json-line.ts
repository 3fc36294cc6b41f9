import type { ExchangeRecord } from "../exchange/exchange-record.ts";
import type { AccessLogSettings, HeaderChoice } from "./access-log-settings.ts";
import { CALL_FIELDS, type CallRecord, HEADERS_FIELD, isExchange } from "./call-fields.ts";
import type { LineBytes } from "./line-bytes.ts";
import { type LinePart, partsOf } from "./line-parts.ts";

const REDACTED = "REDACTED";
const OPENING_BRACE = 123;

/** Calls as JSON objects of one line each. */
export class JsonLine {
  /** In the order of the table. */
  readonly #parts: readonly LinePart[];
  readonly #headers: readonly HeaderChoice[];

  constructor({ fields, headers }: Pick<AccessLogSettings, "fields" | "headers">) {
    this.#parts = partsOf(CALL_FIELDS.filter(({ name }) => fields?.includes(name) ?? true));
    this.#headers = fields?.includes(HEADERS_FIELD) === false ? [] : headers;
  }

  /** Writes it with its line feed. */
  write(record: CallRecord, endedAtMs: number, line: LineBytes): void {
    for (let index = 0; index < this.#parts.length; index++)
      (this.#parts[index] as LinePart).write(record, endedAtMs, line);
    if (this.#headers.length > 0 && isExchange(record)) this.#writeHeaders(record, line);
    if (line.length === 0) line.ascii("{");
    // In the place of the first comma.
    else line.replace(0, OPENING_BRACE);
    line.ascii("}\n");
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
