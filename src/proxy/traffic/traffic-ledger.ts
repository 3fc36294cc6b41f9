import type { Clock } from "../../model/clock.ts";
import {
  edgeKey,
  NO_COUNTS,
  overflowEdge,
  sortedEdges,
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
  #retired: TrafficCounts = NO_COUNTS;

  constructor(clock: Clock, maxEdges = MAX_EDGES) {
    this.#clock = clock;
    this.#maxEdges = maxEdges;
  }

  /** @param passed since the last that was added from the same meter */
  add({ edges, retired }: TrafficReport): void {
    this.#retired = sumOfCounts(this.#retired, retired);
    const strangers = edges.filter((edge) => !this.#addToKnown(edge));
    const told = strangers.filter(({ servicePort }) => servicePort !== "");
    if (this.#edges.size + told.length > this.#maxEdges) this.#retire();
    const movedAt = this.#clock.now();
    for (const edge of strangers) {
      if (edge.servicePort !== "" && this.#edges.size < this.#maxEdges)
        this.#edges.set(edgeKey(edge), { edge, movedAt });
      else this.#addToOverflow(edge);
    }
  }

  report(): TrafficReport {
    const edges = new Map(this.#overflow);
    for (const [key, { edge }] of this.#edges) edges.set(key, edge);
    return { edges: sortedEdges(edges), retired: this.#retired };
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
    this.#overflow.set(key, sumOfEdges(this.#overflow.get(key) ?? overflow, edge));
  }

  #retire(): void {
    const now = this.#clock.now();
    for (const [key, { edge, movedAt }] of this.#edges) {
      if (now - movedAt < RETIRE_MS) continue;
      this.#edges.delete(key);
      this.#retired = sumOfCounts(this.#retired, edge);
    }
  }
}
