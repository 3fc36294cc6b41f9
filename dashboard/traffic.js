/**
 * What passes now: the difference between looks at counters that only grow. The window slides, so that a figure moves
 * calmly and a burst is seen for as long as it takes to look up. By proxy and not by their sum: a proxy that did not
 * answer in time takes its counters out of a sum and brings them back, which would seem to be all its traffic at once.
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

/** @typedef {ReadonlyMap<string, PassedEdge>} PassedEdges by what tells edges apart */

/**
 * @typedef {object} Look
 * @property {number} at when it was looked; monotonic, in ms
 * @property {ReadonlyMap<string, TrafficReport>} reports by proxy; those that did not answer are absent
 * @property {number} missing proxies, or replicas that know of some, that did not answer in time, or of which none has the counts
 */

/** What a controller answers to `?by=proxy`.
 * @typedef {{ ageMs: number, proxies: Readonly<Record<string, TrafficReport>>, missing: number }} TrafficByProxy
 */

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

/**
 * @param {TrafficByProxy | TrafficReport} answer of a controller, or of a process that is all the mesh
 * @param {number} now monotonic, in ms
 * @returns {Look}
 */
export function readLook(answer, now) {
  if ("edges" in answer) return { at: now, reports: new Map([["", answer]]), missing: 0 };
  const { ageMs, proxies, missing } = answer;
  return { at: now - ageMs, reports: new Map(Object.entries(proxies)), missing };
}

/** What passed between one look and the next, for as many looks as the window is long. */
export class TrafficWindow {
  /** The newest last; nothing passed before the first. @type {{ at: number, edges: PassedEdges }[]} */
  #steps = [];
  /** Each proxy's counters, as last heard within the window. @type {Map<string, { at: number, edges: PassedEdges }>} */
  #heard = new Map();

  /** @param {Look} look */
  add({ at, reports }) {
    const before = this.#steps.at(-1)?.at;
    // A look that was remembered for somebody else says nothing new.
    if (before !== undefined && at <= before) return;
    /** @type {Map<string, PassedEdge>} */
    const passed = new Map();
    for (const [proxy, { edges }] of reports) {
      const now = new Map(edges.map((edge) => [keyOf(edge), passedOf(edge)]));
      const heard = this.#heard.get(proxy);
      // When it carried what it counted while it was not heard, nobody knows.
      if (heard !== undefined && heard.at === before) addDifference(passed, now, heard.edges);
      this.#heard.set(proxy, { at, edges: now });
    }
    this.#steps.push({ at, edges: passed });
    this.#forget(at);
  }

  /** @param {number} now */
  #forget(now) {
    while (this.#steps.length > 2 && now - /** @type {{ at: number }} */ (this.#steps[1]).at >= WINDOW_MS)
      this.#steps.shift();
    const from = this.#steps[0]?.at ?? now;
    for (const [proxy, { at }] of this.#heard) if (at < from) this.#heard.delete(proxy);
  }

  /** The window's length; 0 before there are two looks. */
  get seconds() {
    const [first] = this.#steps;
    const last = this.#steps.at(-1);
    return first === undefined || last === undefined ? 0 : (last.at - first.at) / 1000;
  }

  /** @returns {PassedEdge[]} every edge that is counted, with what passed in the window */
  passed() {
    const passed = new Map(this.totals().map((edge) => [keyOf(edge), { ...edge, ...NOTHING }]));
    for (const { edges } of this.#steps.slice(1)) for (const edge of edges.values()) addEdge(passed, edge);
    return [...passed.values()];
  }

  /**
   * Of a proxy that misses a look, as it was heard last: who calls whom does not come and go with it.
   * @returns {PassedEdge[]} since the counters began
   */
  totals() {
    /** @type {Map<string, PassedEdge>} */
    const totals = new Map();
    for (const { edges } of this.#heard.values()) for (const edge of edges.values()) addEdge(totals, edge);
    return [...totals.values()];
  }
}

/**
 * Edges on which nothing passed are left out: most are still.
 * @param {Map<string, PassedEdge>} passed
 * @param {PassedEdges} now
 * @param {PassedEdges} before
 */
function addDifference(passed, now, before) {
  for (const [key, edge] of now) {
    const counts = difference(edge, before.get(key) ?? NOTHING);
    if (numbersOf(counts).some((count) => count > 0)) addEdge(passed, { ...edge, ...counts });
  }
}

/** @param {Map<string, PassedEdge>} edges @param {PassedEdge} edge */
function addEdge(edges, edge) {
  const key = keyOf(edge);
  const known = edges.get(key);
  edges.set(key, known === undefined ? edge : { ...known, ...combine(known, edge, (left, right) => left + right) });
}

/**
 * Of counters that are less than before everything is new: who counted began again.
 * @param {Passed} now
 * @param {Passed} before
 * @returns {Passed}
 */
function difference(now, before) {
  const passed = combine(now, before, (left, right) => left - right);
  return numbersOf(passed).some((count) => count < 0) ? now : passed;
}

/** @param {Passed} passed */
const numbersOf = ({ calls, errors, denied, audited, opened, durations }) => [
  ...[calls, errors, denied, audited, opened],
  ...durations,
];

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
