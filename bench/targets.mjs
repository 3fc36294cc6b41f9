/**
 * What Tulle is to reach, beside its peers in the same run. `limit` is the most that fits, or the least with `atLeast`.
 */

const FASTEST = "the fastest Node";

/** Columns of Tulle. */
const ours = (columns) => columns.filter(({ ours }) => ours === true).map(({ name }) => name);

/** @returns the least value of a measure among columns, or undefined */
function leastOf(results, key, columns) {
  const values = columns.map((column) => results.value(key, column)).filter((value) => value !== undefined);
  return values.length === 0 ? undefined : Math.min(...values);
}

function mostOf(results, key, columns) {
  const values = columns.map((column) => results.value(key, column)).filter((value) => value !== undefined);
  return values.length === 0 ? undefined : Math.max(...values);
}

const ratio = (a, b) => (a === undefined || b === undefined ? undefined : a / b);

const TARGETS = [
  ...[
    ["small", "haproxy", 1.25],
    ["small", "envoy", 0.5],
    ["small", "traefik", 0.35],
    ["h2c", "haproxy", 5],
  ].map(([key, peer, limit]) => ({
    title: `CPU a request${key === "h2c" ? ", h2c" : ""}, × ${peer}, ${FASTEST}`,
    limit,
    of: (results, columns) => ratio(leastOf(results, key, ours(columns)), results.value(key, peer)),
  })),
  {
    title: "CPU a request, × haproxy, Node 20",
    limit: 1.5,
    of: (results) => ratio(results.value("small", "tulle, Node 20"), results.value("small", "haproxy")),
  },
  {
    title: `TCP Gbit/s a core, × haproxy, ${FASTEST}`,
    limit: 1,
    atLeast: true,
    of: (results, columns) => ratio(mostOf(results, "tcp", ours(columns)), results.value("tcp", "haproxy")),
  },
  {
    title: `µs added at p99, ${FASTEST}`,
    limit: 300,
    of: (results, columns) => leastOf(results, "p99", ours(columns)),
  },
  {
    title: "% that access control and a split add, the worse Node",
    limit: 5,
    of: (results, columns) => mostOf(results, "both", ours(columns)),
  },
  {
    title: "% that tracing of 1 % adds, the worse Node",
    limit: 3,
    of: (results, columns) => mostOf(results, "tracing1", ours(columns)),
  },
  {
    title: "% that an access log adds, the worse Node",
    limit: 10,
    of: (results, columns) => mostOf(results, "log", ours(columns)),
  },
  {
    title: "CPU a request with 10,000 services, × with one, the worse Node",
    limit: 1.05,
    of(results, columns) {
      const each = ours(columns).map((name) =>
        ratio(results.value("services 10000", name), results.value("services 1", name)),
      );
      return each.length === 0 || each.includes(undefined) ? undefined : Math.max(...each);
    },
  },
  {
    title: "KiB an idle connection, the worse Node",
    limit: 12,
    of: (results, columns) => mostOf(results, "idle", ours(columns)),
  },
];

/** `[target, limit, seen, verdict]` of each that was measured. */
export function judgements(results, columns) {
  return TARGETS.flatMap(({ title, limit, atLeast = false, of }) => {
    const seen = of(results, columns);
    if (seen === undefined) return [];
    const met = atLeast ? seen >= limit : seen <= limit;
    const digits = limit < 10 ? 2 : 1;
    return [[title, `${atLeast ? "≥" : "≤"} ${limit}`, seen.toFixed(digits), met ? "met" : "missed"]];
  });
}
