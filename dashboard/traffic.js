/**
 * What passes now: the difference between two looks at counters that only grow. The window slides, so that a figure
 * moves calmly and a burst is seen for as long as it takes to look up.
 */

/** @typedef {import("../src/traffic/traffic-report.ts").TrafficReport} TrafficReport */
/** @typedef {import("../src/traffic/traffic-report.ts").TrafficEdge} TrafficEdge */

/**
 * What passed on one or more edges. `denied` was refused by access control, `audited` would have been.
 * @typedef {object} Passed
 * @property {number} calls exchanges, and flows that ended
 * @property {number} errors of those, answers of class 5xx, none at all, and flows that failed for another reason
 * @property {number} denied
 * @property {number} audited
 * @property {number} opened flows
 * @property {readonly number[]} durations by bucket
 */

/** @typedef {Passed & { source: string, servicePort: string, backend: string, protocol: string }} PassedEdge */

/** @typedef {object} Figures
 * @property {number} perSecond
 * @property {number} errorShare of 1
 * @property {number} denied in the window
 * @property {number} audited in the window
 * @property {number | undefined} p99Ms
 */

/** Upper bounds of the buckets of `durations`, as in TrafficReport; the last bucket has none. */
export const BOUNDS_MS = [0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

const WINDOW_MS = 10_000;
const DENIALS = /** @type {const} */ (["AccessDenied", "AmbiguousPath"]);

/** @type {Passed} */
export const NOTHING = { calls: 0, errors: 0, denied: 0, audited: 0, opened: 0, durations: [] };

/** @param {Pick<PassedEdge, "source" | "servicePort" | "backend" | "protocol">} edge names have no spaces */
const keyOf = (edge) => `${edge.source} ${edge.servicePort} ${edge.backend} ${edge.protocol}`;

/** @param {TrafficEdge} edge @returns {PassedEdge} since its counters began */
export function passedOf(edge) {
  const { source, servicePort, backend, protocol, exchanges, failures, audited, durations } = edge;
  const denied = DENIALS.reduce((sum, code) => sum + (failures[code] ?? 0), 0);
  const all = Object.values(failures).reduce((sum, count) => sum + count, 0);
  const answered = exchanges.reduce((sum, count) => sum + count, 0);
  return {
    ...{ source, servicePort, backend, protocol, denied, audited, durations },
    opened: edge.flowsOpened,
    calls: answered + edge.flowsEnded,
    errors: protocol === "http" ? (exchanges[0] ?? 0) + (exchanges[5] ?? 0) : Math.max(0, all - denied),
  };
}

/** Counters at a few times, the newest last. */
export class TrafficWindow {
  /** @type {{ at: number, edges: Map<string, PassedEdge> }[]} */
  #looks = [];

  /**
   * @param {TrafficReport} report
   * @param {number} at monotonic, in ms
   */
  add(report, at) {
    this.#looks.push({ at, edges: new Map(report.edges.map((edge) => [keyOf(edge), passedOf(edge)])) });
    while (this.#looks.length > 2 && at - /** @type {{ at: number }} */ (this.#looks[1]).at >= WINDOW_MS)
      this.#looks.shift();
  }

  /** The window's length; 0 before there are two looks. */
  get seconds() {
    const [first] = this.#looks;
    const last = this.#looks.at(-1);
    return first === undefined || last === undefined ? 0 : (last.at - first.at) / 1000;
  }

  /** @returns {PassedEdge[]} every edge that is counted, with what passed in the window */
  passed() {
    const [first] = this.#looks;
    const last = this.#looks.at(-1);
    if (first === undefined || last === undefined) return [];
    return [...last.edges.values()].map((edge) => {
      const before = first.edges.get(keyOf(edge));
      return { ...edge, ...(first === last ? NOTHING : difference(edge, before ?? NOTHING)) };
    });
  }

  /** @returns {PassedEdge[]} since the counters began */
  totals() {
    return [...(this.#looks.at(-1)?.edges.values() ?? [])];
  }
}

/**
 * Of counters that are less than before everything is new: who counted began again.
 * @param {Passed} now
 * @param {Passed} before
 * @returns {Passed}
 */
function difference(now, before) {
  const passed = combine(now, before, (left, right) => left - right);
  const { durations, ...single } = passed;
  return [...durations, ...Object.values(single)].some((count) => count < 0) ? now : passed;
}

/** @param {Iterable<Passed>} all @returns {Passed} */
export function sum(all) {
  let total = NOTHING;
  for (const each of all) total = combine(total, each, (left, right) => left + right);
  return total;
}

/**
 * @param {Passed} a
 * @param {Passed} b
 * @param {(left: number, right: number) => number} operation
 * @returns {Passed}
 */
function combine(a, b, operation) {
  const length = Math.max(a.durations.length, b.durations.length);
  return {
    calls: operation(a.calls, b.calls),
    errors: operation(a.errors, b.errors),
    denied: operation(a.denied, b.denied),
    audited: operation(a.audited, b.audited),
    opened: operation(a.opened, b.opened),
    durations: Array.from({ length }, (_, index) => operation(a.durations[index] ?? 0, b.durations[index] ?? 0)),
  };
}

/**
 * @param {Passed} passed
 * @param {number} seconds
 * @returns {Figures}
 */
export function figures(passed, seconds) {
  const { calls, errors, denied, audited, durations } = passed;
  return {
    perSecond: seconds === 0 ? 0 : calls / seconds,
    errorShare: calls === 0 ? 0 : errors / calls,
    denied,
    audited,
    p99Ms: quantile(durations, 0.99),
  };
}

/**
 * Within its bucket by a straight line; in the last one, which has no end, its beginning.
 * @param {readonly number[]} durations
 * @param {number} part
 * @returns {number | undefined} undefined where there are none
 */
export function quantile(durations, part) {
  const total = durations.reduce((all, count) => all + count, 0);
  if (total === 0) return undefined;
  let below = 0;
  for (const [index, count] of durations.entries()) {
    const from = BOUNDS_MS[index - 1] ?? 0;
    const to = BOUNDS_MS[index] ?? from;
    if (count > 0 && below + count >= part * total) return from + ((to - from) * (part * total - below)) / count;
    below += count;
  }
  return BOUNDS_MS.at(-1);
}
