import type { ExchangeRecord } from "../exchange/exchange-record.ts";
import type { FlowRecord } from "../flow/flow-record.ts";
import type { Caller, EndpointState, ServicePortState } from "../router/types.ts";
import type { AccessLogSettings, HeaderChoice } from "./access-log-settings.ts";
import {
  CALL_FIELDS,
  type CallField,
  type CallRecord,
  HEADERS_FIELD,
  isExchange,
  type WriteField,
} from "./call-fields.ts";
import type { LineBytes } from "./line-bytes.ts";

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

  constructor({ fields, headers }: Pick<AccessLogSettings, "fields" | "headers">) {
    const chosen = CALL_FIELDS.filter(({ name }) => fields?.includes(name) ?? true);
    const from = chosen.findIndex(({ standing }) => standing);
    const to = chosen.findLastIndex(({ standing }) => standing) + 1;
    this.#first = new FieldWriter(chosen.slice(0, Math.max(from, 0)));
    this.#standing = new FieldWriter(chosen.slice(Math.max(from, 0), to));
    this.#last = new FieldWriter(chosen.slice(to));
    this.#headers = fields?.includes(HEADERS_FIELD) === false ? [] : headers;
  }

  /** Writes it with its line feed. */
  write(record: CallRecord, endedAtMs: number, line: LineBytes): void {
    this.#first.write(record, endedAtMs, line);
    this.#writeStanding(record, endedAtMs, line);
    this.#last.write(record, endedAtMs, line);
    if (this.#headers.length > 0 && isExchange(record)) this.#writeHeaders(record, line);
    if (line.length === 0) line.ascii("{");
    // In the place of the first comma.
    else line.replace(0, OPENING_BRACE);
    line.ascii("}\n");
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
    this.#known.set(endpoint, { caller, entry, bytes: line.copyFrom(from) });
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
  readonly #ofExchange: WriteField<ExchangeRecord>[] = [];
  readonly #ofFlow: WriteField<FlowRecord>[] = [];
  readonly #beforeOfExchange: Uint8Array[] = [];
  readonly #beforeOfFlow: Uint8Array[] = [];

  constructor(fields: readonly CallField[]) {
    for (const field of fields) {
      const before = Buffer.from(`,"${field.name}":`);
      this.#ofExchange.push("ofHttp" in field ? field.ofHttp : field.ofAll);
      this.#beforeOfExchange.push(before);
      if ("ofHttp" in field) continue;
      this.#ofFlow.push(field.ofAll);
      this.#beforeOfFlow.push(before);
    }
  }

  write(record: CallRecord, endedAtMs: number, line: LineBytes): void {
    if (isExchange(record)) writeAll(this.#ofExchange, this.#beforeOfExchange, record, endedAtMs, line);
    else writeAll(this.#ofFlow, this.#beforeOfFlow, record, endedAtMs, line);
  }
}

function writeAll<R extends CallRecord>(
  fields: readonly WriteField<R>[],
  before: readonly Uint8Array[],
  record: R,
  endedAtMs: number,
  line: LineBytes,
): void {
  for (let index = 0; index < fields.length; index++)
    (fields[index] as WriteField<R>)(line, before[index] as Uint8Array, record, endedAtMs);
}
