/**
 * Counts what passes, on the hot path: for an edge that has had traffic since the last `take`, nothing is allocated
 * and no text is made. An edge's row of a typed array is found by the identity of its parts; most calls are of the
 * same edge as the call before.
 *
 * What was counted is taken away, by whoever adds it up (TrafficLedger), and the meter begins anew: so it holds
 * nothing of what is gone, and what several meters tell adds up.
 */
import type { Workload } from "../../config/mesh-config.ts";
import type { Clock } from "../../model/clock.ts";
import { FAILURES, type Failure } from "../../model/failures.ts";
import {
  DURATION_BOUNDS_MS,
  durationBucket,
  type Exemplar,
  NO_COUNTS,
  STATUS_CLASSES,
  sumOfTraffic,
  type TrafficEdge,
  type TrafficProtocol,
  type TrafficReport,
} from "../../traffic/traffic-report.ts";
import type { ExchangeRecord } from "../exchange/exchange-record.ts";
import type { FlowRecord } from "../flow/flow-record.ts";
import type { Caller, ServicePortState } from "../router/types.ts";

/** Edges told apart, besides the overflow edges: a few thousand make a few megabytes of text for Prometheus. */
export const MAX_EDGES = 2_000;
/** Pods whose workload is found without looking at its name. */
const MAX_KNOWN_PODS = 16_384;
const FIRST_ROWS = 32;

const CODES = Object.keys(FAILURES) as Failure[];
const CODE_INDEX = new Map(CODES.map((code, index) => [code, index]));
const PROTOCOLS: readonly TrafficProtocol[] = ["http", "tcp", "udp"];

/** Columns of a row. */
const EXCHANGES = 0;
const DURATIONS = EXCHANGES + STATUS_CLASSES;
const FAILED = DURATIONS + DURATION_BOUNDS_MS.length + 1;
const DURATION_US = FAILED + CODES.length;
const RETRIES = DURATION_US + 1;
const BYTES_UP = RETRIES + 1;
const BYTES_DOWN = BYTES_UP + 1;
const FLOWS_OPENED = BYTES_DOWN + 1;
const FLOWS_ENDED = FLOWS_OPENED + 1;
const AUDITED = FLOWS_ENDED + 1;
const COLUMNS = AUDITED + 1;

interface Row {
  exemplar: Exemplar | undefined;
  /** Of the first column. */
  readonly offset: number;
  readonly source: string;
  readonly servicePort: ServicePortState | undefined;
  readonly backend: ServicePortState | undefined;
  readonly protocol: TrafficProtocol;
}

/** The rows of one caller workload; a service port has few backends. */
type SourceRows = Map<ServicePortState, Row[]>;

export class TrafficMeter {
  readonly #maxEdges: number;
  readonly #clock: Pick<Clock, "wall"> | undefined;
  #values = new Float64Array(FIRST_ROWS * COLUMNS);
  readonly #rows: Row[] = [];
  readonly #sources = new Map<string, SourceRows>();
  readonly #pods = new Map<Workload | undefined, SourceRows>();
  #lastWorkload: Workload | undefined;
  #last: Row | undefined;
  /** And the other backend of a split in two, with the same workload. */
  #lastBut: Row | undefined;

  /** @param clock for exemplars; absent: none is kept */
  constructor(maxEdges = MAX_EDGES, clock?: Pick<Clock, "wall">) {
    this.#maxEdges = maxEdges;
    this.#clock = clock;
    this.#begin();
  }

  exchange(record: ExchangeRecord): void {
    const row = this.#find(record.caller, record.entry, record.endpoint?.owner, "http");
    const at = row.offset;
    const values = this.#values;
    const { status, durationMs, attempts, traceId } = record;
    if (traceId !== "" && status !== 101 && this.#clock !== undefined)
      row.exemplar = { traceId, durationMs, at: this.#clock.wall() / 1000 };
    (values[at + EXCHANGES + ((status / 100) | 0)] as number)++;
    if (status !== 101) {
      (values[at + DURATIONS + durationBucket(durationMs)] as number)++;
      (values[at + DURATION_US] as number) += Math.round(durationMs * 1000);
    }
    (values[at + BYTES_UP] as number) += record.bytesUp;
    (values[at + BYTES_DOWN] as number) += record.bytesDown;
    if (attempts > 1) (values[at + RETRIES] as number) += attempts - 1;
    this.#note(at, record.failure, record.wouldDeny);
  }

  /** A request that never became an exchange: nothing but its failure is counted. */
  refused(failure: Failure, entry: ServicePortState, caller: Caller): void {
    this.#note(this.#find(caller, entry, undefined, "http").offset, failure, false);
  }

  flowOpened(record: FlowRecord): void {
    const at = this.#find(record.caller, record.entry, record.endpoint?.owner, record.transport).offset;
    (this.#values[at + FLOWS_OPENED] as number)++;
  }

  flow(record: FlowRecord): void {
    const at = this.#find(record.caller, record.entry, record.endpoint?.owner, record.transport).offset;
    const values = this.#values;
    (values[at + FLOWS_ENDED] as number)++;
    (values[at + BYTES_UP] as number) += record.bytesUp;
    (values[at + BYTES_DOWN] as number) += record.bytesDown;
    this.#note(at, record.failure, record.wouldDeny);
  }

  /** What passed since the last time that it was asked. */
  take(): TrafficReport {
    const edges = this.#rows.map((row) => this.#edgeOf(row)).filter((edge) => edge !== undefined);
    this.#begin();
    // The same edge by way of a service port that went and came again, and order.
    return sumOfTraffic([{ edges, retired: NO_COUNTS }]);
  }

  /** Of what it keeps, for as much as it can hold now. */
  get bytes(): number {
    return this.#values.byteLength;
  }

  /** Edges told apart since the last `take`. */
  get edges(): number {
    return this.#rows.length - PROTOCOLS.length;
  }

  #begin(): void {
    this.#values.fill(0, 0, this.#rows.length * COLUMNS);
    this.#rows.length = 0;
    this.#sources.clear();
    this.#pods.clear();
    this.#last = this.#lastBut = undefined;
    for (const protocol of PROTOCOLS) this.#addRow("", undefined, undefined, protocol);
  }

  #note(at: number, failure: Failure | "", wouldDeny: boolean): void {
    if (failure !== "") (this.#values[at + FAILED + (CODE_INDEX.get(failure) as number)] as number)++;
    if (wouldDeny) (this.#values[at + AUDITED] as number)++;
  }

  #find(
    { workload }: Caller,
    entry: ServicePortState,
    backend: ServicePortState | undefined,
    protocol: TrafficProtocol,
  ): Row {
    if (this.#lastWorkload === workload) {
      const last = this.#last;
      if (isOf(last, entry, backend, protocol)) return last;
      const lastBut = this.#lastBut;
      if (isOf(lastBut, entry, backend, protocol)) {
        this.#lastBut = last;
        this.#last = lastBut;
        return lastBut;
      }
    }
    const row = this.#lookUp(workload, entry, backend, protocol);
    // An overflow row is not this edge's own.
    if (row.servicePort !== undefined) {
      this.#lastBut = this.#lastWorkload === workload ? this.#last : undefined;
      this.#last = row;
      this.#lastWorkload = workload;
    }
    return row;
  }

  #lookUp(
    workload: Workload | undefined,
    entry: ServicePortState,
    backend: ServicePortState | undefined,
    protocol: TrafficProtocol,
  ): Row {
    const rows = (this.#pods.get(workload) ?? this.#sourceRows(workload)).get(entry);
    if (rows !== undefined)
      for (let index = 0; index < rows.length; index++) {
        const row = rows[index] as Row;
        if (row.backend === backend && row.protocol === protocol) return row;
      }
    if (this.edges >= this.#maxEdges) return this.#rows[PROTOCOLS.indexOf(protocol)] as Row;
    const added = this.#addRow(sourceOf(workload), entry, backend, protocol);
    if (rows === undefined) this.#sourceRows(workload).set(entry, [added]);
    else rows.push(added);
    return added;
  }

  /** Pods of a workload share rows. */
  #sourceRows(workload: Workload | undefined): SourceRows {
    const source = sourceOf(workload);
    let rows = this.#sources.get(source);
    if (rows === undefined) {
      rows = new Map();
      // Where there is no place for its rows, there is nothing to find by it.
      if (this.edges >= this.#maxEdges) return rows;
      this.#sources.set(source, rows);
    }
    if (this.#pods.size >= MAX_KNOWN_PODS) this.#pods.clear();
    this.#pods.set(workload, rows);
    return rows;
  }

  #addRow(
    source: string,
    servicePort: ServicePortState | undefined,
    backend: ServicePortState | undefined,
    protocol: TrafficProtocol,
  ): Row {
    const offset = this.#rows.length * COLUMNS;
    if (offset >= this.#values.length) this.#grow();
    const row: Row = { exemplar: undefined, offset, source, servicePort, backend, protocol };
    this.#rows.push(row);
    return row;
  }

  #grow(): void {
    const wanted = Math.min(this.#values.length * 2, (this.#maxEdges + PROTOCOLS.length) * COLUMNS);
    const values = new Float64Array(wanted);
    values.set(this.#values);
    this.#values = values;
  }

  /** @returns undefined for a row without traffic */
  #edgeOf(row: Row): TrafficEdge | undefined {
    const { offset, source, servicePort, backend, protocol, exemplar } = row;
    if (this.#isEmpty(offset)) return undefined;
    const values = this.#values;
    const failures: Partial<Record<Failure, number>> = {};
    for (let index = 0; index < CODES.length; index++) {
      const count = values[offset + FAILED + index] as number;
      if (count !== 0) failures[CODES[index] as Failure] = count;
    }
    const edge = {
      source,
      servicePort: servicePort?.key ?? "",
      backend: backend?.key ?? "",
      protocol,
      exchanges: this.#list(offset + EXCHANGES, offset + DURATIONS),
      failures,
      durations: this.#list(offset + DURATIONS, offset + FAILED),
      durationUs: values[offset + DURATION_US] as number,
      retries: values[offset + RETRIES] as number,
      bytesUp: values[offset + BYTES_UP] as number,
      bytesDown: values[offset + BYTES_DOWN] as number,
      flowsOpened: values[offset + FLOWS_OPENED] as number,
      flowsEnded: values[offset + FLOWS_ENDED] as number,
      audited: values[offset + AUDITED] as number,
    };
    return exemplar === undefined ? edge : { ...edge, exemplar };
  }

  #isEmpty(offset: number): boolean {
    for (let at = offset; at < offset + COLUMNS; at++) if (this.#values[at] !== 0) return false;
    return true;
  }

  #list(from: number, to: number): number[] {
    const list: number[] = [];
    for (let at = from; at < to; at++) list.push(this.#values[at] as number);
    return list;
  }
}

function isOf(
  row: Row | undefined,
  entry: ServicePortState,
  backend: ServicePortState | undefined,
  protocol: TrafficProtocol,
): row is Row {
  return row !== undefined && row.servicePort === entry && row.backend === backend && row.protocol === protocol;
}

function sourceOf(workload: Workload | undefined): string {
  return workload === undefined ? "" : `${workload.namespace}/${workload.workload ?? workload.pod}`;
}
