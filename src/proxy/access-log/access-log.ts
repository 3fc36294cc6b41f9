/** Says which calls there were, one line each, to a file or standard output. */
import type { Clock, Random } from "../../model/clock.ts";
import type { Log } from "../../telemetry/log.ts";
import type { RecordWants } from "../exchange/exchange-record.ts";
import type { AccessLogSettings } from "./access-log-settings.ts";
import type { CallRecord } from "./call-fields.ts";
import { CallFilter } from "./call-filter.ts";
import { COMMON_HEADERS, CommonLine } from "./common-line.ts";
import { JsonLine } from "./json-line.ts";
import { LineSink } from "./line-sink.ts";

export interface AccessLogOptions {
  readonly settings: AccessLogSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export class AccessLog {
  /** What the records must have for it. */
  readonly wants: RecordWants;
  readonly #clock: Clock;
  readonly #filter: CallFilter;
  readonly #form: JsonLine | CommonLine;
  readonly #sink: LineSink;

  constructor({ settings, clock, random, log }: AccessLogOptions) {
    const { file, shared = false, format, fields, headers } = settings;
    const isJson = format === "json";
    this.#clock = clock;
    this.#filter = new CallFilter(settings, random);
    this.#form = isJson ? new JsonLine(settings) : new CommonLine();
    this.#sink = new LineSink({ shared, clock, log, ...(file === undefined ? {} : { file }) });
    this.wants = {
      host: isJson && (fields?.includes("host") ?? true),
      requestFields: isJson ? headers.map(({ name }) => name) : COMMON_HEADERS,
    };
  }

  note(record: CallRecord): void {
    if (!this.#filter.takes(record)) return;
    this.#form.write(record, this.#clock.wall(), this.#sink.line);
    this.#sink.add();
  }

  /** The file was moved away: what comes now goes to a new one of its name. */
  reopen(): void {
    this.#sink.reopen();
  }

  /** Resolves when all is written, or cannot be in time. */
  close(): Promise<void> {
    return this.#sink.close();
  }
}
