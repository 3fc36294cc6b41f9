/**
 * The fields of a line in parts. Calls are much alike: what is as it was in the call before is copied as bytes, and what
 * is left to write is the time, the path, and a few numbers.
 */
import type { Origin } from "../../config/mesh-config.ts";
import type { Failure } from "../../model/failures.ts";
import type { ExchangeRecord } from "../exchange/exchange-record.ts";
import type { FlowRecord } from "../flow/flow-record.ts";
import type { Caller, EndpointState, ServicePortState } from "../router/types.ts";
import { type CallField, type CallRecord, type FieldRun, isExchange, kindOf, type WriteField } from "./call-fields.ts";
import type { LineBytes } from "./line-bytes.ts";

export interface LinePart {
  /** Writes its fields, each with a comma before it. */
  write(record: CallRecord, endedAtMs: number, line: LineBytes): void;
}

/** Places that are remembered. */
const MAX_PLACES = 4_096;
/** A run that is longer is not kept. */
const MAX_KEPT_BYTES = 512;

/** @param fields in the order in which they are written */
export function partsOf(fields: readonly CallField[]): LinePart[] {
  const parts: LinePart[] = [];
  for (let from = 0, to = 0; from < fields.length; from = to) {
    const run = fields[from]?.run;
    while (to < fields.length && fields[to]?.run === run) to++;
    parts.push(partOf(run, new Fields(fields.slice(from, to))));
  }
  return parts;
}

function partOf(run: FieldRun | undefined, fields: Fields): LinePart {
  switch (run) {
    case "place":
      return new PlaceRun(fields);
    case "call":
      return new CallRun(fields);
    case "outcome":
      return new OutcomeRun(fields);
    case undefined:
      return fields;
  }
}

class Fields implements LinePart {
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

interface Place {
  /** A service port may come to be spoken to otherwise. */
  readonly kind: string;
  readonly caller: Caller;
  readonly entry: ServicePortState;
  readonly bytes: Uint8Array;
}

/** From whom to where, by endpoint: most callers of an endpoint are one proxied Pod after the other. */
class PlaceRun implements LinePart {
  readonly #fields: Fields;
  readonly #places = new Map<EndpointState, Place>();

  constructor(fields: Fields) {
    this.#fields = fields;
  }

  write(record: CallRecord, endedAtMs: number, line: LineBytes): void {
    const { caller, entry, endpoint } = record;
    const kind = kindOf(record);
    const known = endpoint === undefined ? undefined : this.#places.get(endpoint);
    if (known?.caller === caller && known.entry === entry && known.kind === kind) {
      line.bytes(known.bytes);
      return;
    }
    const from = line.length;
    this.#fields.write(record, endedAtMs, line);
    if (endpoint === undefined) return;
    if (this.#places.size >= MAX_PLACES) this.#places.clear();
    this.#places.set(endpoint, { kind, caller, entry, bytes: line.copyFrom(from) });
  }
}

/** As what the fields of a run were written last. */
class KeptBytes {
  readonly #bytes = new Uint8Array(MAX_KEPT_BYTES);
  #length = -1;

  get isKept(): boolean {
    return this.#length >= 0;
  }

  keep(line: LineBytes, from: number): void {
    this.#length = line.copyInto(this.#bytes, from);
  }

  writeTo(line: LineBytes): void {
    line.bytes(this.#bytes, this.#length);
  }
}

class CallRun implements LinePart {
  readonly #fields: Fields;
  readonly #kept = new KeptBytes();
  #protocol = "";
  #method = "";
  #host = "";

  constructor(fields: Fields) {
    this.#fields = fields;
  }

  write(record: CallRecord, endedAtMs: number, line: LineBytes): void {
    if (!isExchange(record)) {
      this.#fields.write(record, endedAtMs, line);
      return;
    }
    const { protocol, method, host } = record;
    if (this.#kept.isKept && protocol === this.#protocol && method === this.#method && host === this.#host) {
      this.#kept.writeTo(line);
      return;
    }
    const from = line.length;
    this.#fields.write(record, endedAtMs, line);
    this.#kept.keep(line, from);
    this.#protocol = protocol;
    this.#method = method;
    this.#host = host;
  }
}

class OutcomeRun implements LinePart {
  readonly #fields: Fields;
  readonly #kept = new KeptBytes();
  #status = 0;
  #grpcStatus = 0;
  #failure: Failure | "" = "";
  #attempts = 0;
  #origin: Origin | undefined;
  #wouldDeny = false;
  #bytesUp = 0;

  constructor(fields: Fields) {
    this.#fields = fields;
  }

  write(record: CallRecord, endedAtMs: number, line: LineBytes): void {
    if (isExchange(record) && this.#isSame(record)) {
      this.#kept.writeTo(line);
      return;
    }
    const from = line.length;
    this.#fields.write(record, endedAtMs, line);
    // No two have the same trace.
    if (!isExchange(record) || record.traceId !== "") return;
    this.#kept.keep(line, from);
    this.#status = record.status;
    this.#grpcStatus = record.grpcStatus;
    this.#failure = record.failure;
    this.#attempts = record.attempts;
    this.#origin = record.origin;
    this.#wouldDeny = record.wouldDeny;
    this.#bytesUp = record.bytesUp;
  }

  #isSame(record: ExchangeRecord): boolean {
    return (
      this.#kept.isKept &&
      record.status === this.#status &&
      record.bytesUp === this.#bytesUp &&
      record.attempts === this.#attempts &&
      record.failure === this.#failure &&
      record.grpcStatus === this.#grpcStatus &&
      record.origin === this.#origin &&
      record.wouldDeny === this.#wouldDeny &&
      record.traceId === ""
    );
  }
}
