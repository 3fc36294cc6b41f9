import type { ExchangeRecord } from "../exchange/exchange-record.ts";
import type { AccessLogSettings, HeaderChoice } from "./access-log-settings.ts";
import { CALL_FIELDS, type CallField, type CallRecord, HEADERS_FIELD, isExchange } from "./call-fields.ts";
import { jsonText } from "./escaped-text.ts";

const REDACTED = '"REDACTED"';

/** Calls as JSON objects of one line each. */
export class JsonLine {
  readonly #fields: readonly CallField[];
  readonly #prefixes: readonly string[];
  readonly #headers: readonly HeaderChoice[];

  constructor({ fields, headers }: Pick<AccessLogSettings, "fields" | "headers">) {
    this.#fields = CALL_FIELDS.filter(({ name }) => fields?.includes(name) ?? true);
    this.#prefixes = this.#fields.map(({ name }) => `"${name}":`);
    this.#headers = fields?.includes(HEADERS_FIELD) === false ? [] : headers;
  }

  /** @returns with its line feed */
  of(record: CallRecord, endedAtMs: number): string {
    let line = "{";
    for (let index = 0; index < this.#fields.length; index++) {
      const value = this.#fields[index]?.value(record, endedAtMs);
      if (value === undefined) continue;
      if (line.length > 1) line += ",";
      line += this.#prefixes[index];
      line += typeof value === "string" ? jsonText(value) : value;
    }
    const headers = this.#headers.length > 0 && isExchange(record) ? this.#headersOf(record) : "";
    if (headers !== "") line += `${line.length > 1 ? "," : ""}"${HEADERS_FIELD}":{${headers}}`;
    return `${line}}\n`;
  }

  #headersOf(record: ExchangeRecord): string {
    let text = "";
    for (const { name, redact } of this.#headers) {
      const value = record.requestField(name);
      if (value === undefined) continue;
      text += `${text === "" ? "" : ","}${jsonText(name)}:${redact ? REDACTED : jsonText(value)}`;
    }
    return text;
  }
}
