import type { ExchangeRecord } from "../exchange/exchange-record.ts";
import type { Caller, EndpointState, ServicePortState } from "../router/types.ts";
import type { AccessLogSettings, HeaderChoice } from "./access-log-settings.ts";
import { CALL_FIELDS, type CallField, type CallRecord, HEADERS_FIELD, isExchange } from "./call-fields.ts";
import { jsonText } from "./escaped-text.ts";

const REDACTED = '"REDACTED"';

/** What standing fields come to, by endpoint. */
const MAX_KNOWN = 4_096;

interface Known {
  readonly caller: Caller;
  readonly entry: ServicePortState;
  readonly text: string;
}

/** Calls as JSON objects of one line each. */
export class JsonLine {
  /** Before the standing ones, those, and after them: in the order of the table. */
  readonly #first: FieldTexts;
  readonly #standing: FieldTexts;
  readonly #last: FieldTexts;
  readonly #headers: readonly HeaderChoice[];
  readonly #known = new Map<EndpointState, Known>();

  constructor({ fields, headers }: Pick<AccessLogSettings, "fields" | "headers">) {
    const chosen = CALL_FIELDS.filter(({ name }) => fields?.includes(name) ?? true);
    const from = chosen.findIndex(({ standing }) => standing);
    const to = chosen.findLastIndex(({ standing }) => standing) + 1;
    this.#first = new FieldTexts(chosen.slice(0, Math.max(from, 0)));
    this.#standing = new FieldTexts(chosen.slice(Math.max(from, 0), to));
    this.#last = new FieldTexts(chosen.slice(to));
    this.#headers = fields?.includes(HEADERS_FIELD) === false ? [] : headers;
  }

  /** @returns with its line feed */
  of(record: CallRecord, endedAtMs: number): string {
    const headers = this.#headers.length > 0 && isExchange(record) ? this.#headersOf(record) : "";
    const parts =
      this.#first.of(record, endedAtMs) +
      this.#standingOf(record, endedAtMs) +
      this.#last.of(record, endedAtMs) +
      (headers === "" ? "" : `,"${HEADERS_FIELD}":{${headers}}`);
    return `{${parts.slice(1)}}\n`;
  }

  #standingOf(record: CallRecord, endedAtMs: number): string {
    const { caller, entry, endpoint } = record;
    if (endpoint === undefined) return this.#standing.of(record, endedAtMs);
    const known = this.#known.get(endpoint);
    if (known?.caller === caller && known.entry === entry) return known.text;
    const text = this.#standing.of(record, endedAtMs);
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(endpoint, { caller, entry, text });
    return text;
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

/** Some fields, each with a comma before it. */
class FieldTexts {
  readonly #fields: readonly CallField[];
  readonly #prefixes: readonly string[];

  constructor(fields: readonly CallField[]) {
    this.#fields = fields;
    this.#prefixes = fields.map(({ name }) => `,"${name}":`);
  }

  of(record: CallRecord, endedAtMs: number): string {
    let text = "";
    for (let index = 0; index < this.#fields.length; index++) {
      const value = this.#fields[index]?.value(record, endedAtMs);
      if (value !== undefined) text += `${this.#prefixes[index]}${typeof value === "string" ? jsonText(value) : value}`;
    }
    return text;
  }
}
