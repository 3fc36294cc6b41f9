import type { Clock } from "../../model/clock.ts";
import {
  edgeKey,
  NO_COUNTS,
  overflowEdge,
  sumOfCounts,
  sumOfEdges,
  type TrafficCounts,
  type TrafficEdge,
  type TrafficReport,
} from "../../traffic/traffic-report.ts";
import { MAX_EDGES } from "./traffic-meter.ts";

/** An edge without traffic for so long makes place for another, where there is none left. */
const RETIRE_MS = 10 * 60_000;

/**
 * The sum of what meters tell, since the start: at most a ceiling of edges. Who comes when all places are taken is
 * counted in the overflow edge of its protocol, so that the edges that are there go on as counters do. Nothing is
 * lost in totals.
 */
export class TrafficLedger {
  readonly #clock: Clock;
  readonly #maxEdges: number;
  readonly #edges = new Map<string, { edge: TrafficEdge; movedAt: number }>();
  readonly #overflow = new Map<string, TrafficEdge>();
  /** Keys of all edges, those of overflow too; absent: one came or went since. */
  #order: readonly string[] | undefined;
  /** Absent: something was added since. */
  #report: TrafficReport | undefined;
  #retired: TrafficCounts = NO_COUNTS;

  constructor(clock: Clock, maxEdges = MAX_EDGES) {
    this.#clock = clock;
    this.#maxEdges = maxEdges;
  }

  /** @param passed since the last that was added from the same meter */
  add({ edges, retired }: TrafficReport): void {
    this.#report = undefined;
    this.#retired = sumOfCounts(this.#retired, retired);
    const strangers = edges.filter((edge) => !this.#addToKnown(edge));
    const told = strangers.filter(({ servicePort }) => servicePort !== "");
    if (this.#edges.size + told.length > this.#maxEdges) this.#retire();
    const movedAt = this.#clock.now();
    for (const edge of strangers) {
      if (edge.servicePort !== "" && this.#edges.size < this.#maxEdges) {
        this.#edges.set(edgeKey(edge), { edge, movedAt });
        this.#order = undefined;
      } else this.#addToOverflow(edge);
    }
  }

  /** @param before what another has counted until now: its edges keep their places, before those that came here meanwhile */
  inherit(before: TrafficReport): void {
    const own = this.report();
    this.#edges.clear();
    this.#overflow.clear();
    this.#order = undefined;
    this.#retired = NO_COUNTS;
    this.add(before);
    this.add(own);
  }

  /** One to which nothing was added is the same object as in the report before. */
  report(): TrafficReport {
    this.#order ??= [...this.#overflow.keys(), ...this.#edges.keys()].sort();
    this.#report ??= { edges: this.#order.map((key) => this.#edgeAt(key)), retired: this.#retired };
    return this.#report;
  }

  #edgeAt(key: string): TrafficEdge {
    return this.#edges.get(key)?.edge ?? (this.#overflow.get(key) as TrafficEdge);
  }

  #addToKnown(edge: TrafficEdge): boolean {
    const known = this.#edges.get(edgeKey(edge));
    if (known === undefined) return false;
    known.edge = sumOfEdges(known.edge, edge);
    known.movedAt = this.#clock.now();
    return true;
  }

  #addToOverflow(edge: TrafficEdge): void {
    const overflow = overflowEdge(edge.protocol);
    const key = edgeKey(overflow);
    if (!this.#overflow.has(key)) this.#order = undefined;
    this.#overflow.set(key, sumOfEdges(this.#overflow.get(key) ?? overflow, edge));
  }

  #retire(): void {
    const now = this.#clock.now();
    for (const [key, { edge, movedAt }] of this.#edges) {
      if (now - movedAt < RETIRE_MS) continue;
      this.#edges.delete(key);
      this.#order = undefined;
      this.#retired = sumOfCounts(this.#retired, edge);
    }
  }
}
