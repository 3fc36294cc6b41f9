/** Who calls whom, as boxes and arrows: the configuration's Services and splits, and the callers that traffic shows. */
import { serviceOf } from "./mesh-index.js";
import { figures, NOTHING, sum } from "./traffic.js";

/** @typedef {import("./mesh-index.js").MeshIndex} MeshIndex */
/** @typedef {import("./traffic.js").Passed} Passed */
/** @typedef {import("./traffic.js").PassedEdge} PassedEdge */
/** @typedef {import("./traffic.js").Figures} Figures */

/** What access control says of an arrow: nothing, lets all through, refuses some, would refuse some in mode on. */
/** @typedef {"" | "allowed" | "denied" | "audited"} Access */

/**
 * @typedef {object} GraphNode
 * @property {string} id
 * @property {"caller" | "service"} kind
 * @property {string} namespace
 * @property {string} name
 * @property {number} column
 * @property {number} problems
 */

/**
 * @typedef {object} GraphEdge
 * @property {string} id
 * @property {string} from
 * @property {string} to
 * @property {"call" | "split"} kind
 * @property {Figures} figures
 * @property {boolean} timed whether durations can be had: of HTTP
 * @property {number | undefined} share of 1, of a split's backend
 * @property {Access} access
 */

/**
 * @typedef {object} GraphChoice
 * @property {string} text part of a name; "" for all
 * @property {string} namespace "" for all
 * @property {boolean} troubled only what has problems, errors or denials
 * @property {number} limit of services
 */

/**
 * `hidden`: Services that would fit the filters; `hiddenEdges`: arrows to those that are shown.
 * @typedef {{ nodes: GraphNode[], edges: GraphEdge[], hidden: number, hiddenEdges: number }} Graph
 */

/** A Service that a thousand workloads call would hide all the others. */
const EDGES_A_SERVICE = 3;

export const STRANGERS = "caller:";

/**
 * @param {object} mesh
 * @param {MeshIndex} mesh.index
 * @param {readonly PassedEdge[]} mesh.passed in the window
 * @param {readonly PassedEdge[]} mesh.totals since the counters began
 * @param {number} mesh.seconds of the window
 * @param {ReadonlyMap<string, number>} mesh.problems how many, by Service
 * @param {GraphChoice} choice
 * @param {ReadonlySet<string>} shown ids of the graph before
 * @returns {Graph}
 */
export function buildGraph(mesh, choice, shown) {
  const edges = byCalls(mesh, [...callEdges(mesh), ...splitEdges(mesh)], shown);
  const wanted = chosen(mesh, choice, edges);
  const kept = busiest(edges, wanted, choice.limit);
  const isKept = (/** @type {string} */ id) => kept.has(id) || !id.startsWith("service:");
  const between = edges.filter(({ from, to }) => isKept(from) && isKept(to) && (kept.has(from) || kept.has(to)));
  const visible = between.slice(0, choice.limit * EDGES_A_SERVICE);
  const ids = new Set([...kept, ...visible.flatMap(({ from, to }) => [from, to])]);
  const nodes = [...ids].map((id) => nodeOf(id, mesh.problems));
  return { nodes, edges: visible, hidden: wanted.size - kept.size, hiddenEdges: between.length - visible.length };
}

/** @param {string} id @param {ReadonlyMap<string, number>} problems @returns {GraphNode} */
function nodeOf(id, problems) {
  const [kind = "", key = ""] = split(id, ":");
  const [namespace = "", name = ""] = split(key, "/");
  if (kind === "service") return { id, kind, namespace, name, column: 1, problems: problems.get(key) ?? 0 };
  if (id === STRANGERS) return { id, kind: "caller", namespace: "", name: "unknown callers", column: 0, problems: 0 };
  return { id, kind: "caller", namespace, name, column: 0, problems: 0 };
}

/** @param {string} text @param {string} mark @returns {[string, string]} */
function split(text, mark) {
  const at = text.indexOf(mark);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** @param {MeshIndex} index @param {string} source */
function sourceId(index, source) {
  const service = index.serviceOfWorkload.get(source);
  return service === undefined ? `caller:${source}` : `service:${service}`;
}

/**
 * @param {{ index: MeshIndex, passed: readonly PassedEdge[], seconds: number }} mesh
 * @returns {GraphEdge[]}
 */
function callEdges({ index, passed, seconds }) {
  /** @type {Map<string, { from: string, to: string, parts: PassedEdge[] }>} */
  const edges = new Map();
  for (const part of passed) {
    // Of Services that are gone only counters are left.
    if (!index.services.has(serviceOf(part.servicePort))) continue;
    const [from, to] = [sourceId(index, part.source), `service:${serviceOf(part.servicePort)}`];
    if (from === to) continue;
    const known = edges.get(`${from} ${to}`);
    if (known === undefined) edges.set(`${from} ${to}`, { from, to, parts: [part] });
    else known.parts.push(part);
  }
  return [...edges].map(([id, { from, to, parts }]) => {
    const all = sum(parts);
    return {
      ...{ id: `call ${id}`, from, to, kind: "call", share: undefined, timed: isTimed(parts) },
      figures: figures(all, seconds),
      access: accessOf(index, all),
    };
  });
}

/** @param {readonly PassedEdge[]} parts */
const isTimed = (parts) => parts.some(({ protocol }) => protocol === "http");

/** @param {MeshIndex} index @param {Passed} passed @returns {Access} */
function accessOf({ config: { accessControl } }, { denied, audited }) {
  if (denied > 0) return "denied";
  if (audited > 0) return "audited";
  return accessControl === "off" ? "" : "allowed";
}

/**
 * @param {{ index: MeshIndex, passed: readonly PassedEdge[], seconds: number }} mesh
 * @returns {GraphEdge[]}
 */
function splitEdges({ index, passed, seconds }) {
  /** @type {Map<string, PassedEdge[]>} */
  const bySplit = new Map();
  for (const part of passed) {
    const key = `${serviceOf(part.servicePort)} ${serviceOf(part.backend)}`;
    bySplit.set(key, [...(bySplit.get(key) ?? []), part]);
  }
  return [...index.services.values()].flatMap(({ key, splits }) =>
    splits
      .filter(({ backend }) => index.services.has(backend))
      .map(({ backend, share }) => {
        const parts = bySplit.get(`${key} ${backend}`) ?? [];
        return {
          id: `split ${key} ${backend}`,
          from: `service:${key}`,
          to: `service:${backend}`,
          kind: /** @type {const} */ ("split"),
          figures: figures(parts.length === 0 ? NOTHING : sum(parts), seconds),
          timed: isTimed(parts),
          share,
          access: /** @type {const} */ (""),
        };
      }),
  );
}

/**
 * Services that the filters let in, and with each what it is joined to by a split.
 * @param {{ index: MeshIndex, problems: ReadonlyMap<string, number> }} mesh
 * @param {GraphChoice} choice
 * @param {readonly GraphEdge[]} edges
 */
function chosen({ index, problems }, { text, namespace, troubled }, edges) {
  const troubles = new Set(edges.filter(isTroubled).map(({ to }) => to));
  const part = text.toLowerCase();
  const callers = new Set(
    part === "" ? [] : edges.filter(({ from }) => from.toLowerCase().includes(part)).map(({ to }) => to),
  );
  /** @type {Set<string>} */
  const wanted = new Set();
  for (const { key, namespace: own } of index.services.values()) {
    const id = `service:${key}`;
    if (namespace !== "" && own !== namespace) continue;
    if (part !== "" && !key.toLowerCase().includes(part) && !callers.has(id)) continue;
    if (!troubled || problems.has(key) || troubles.has(id)) wanted.add(id);
  }
  return wanted;
}

/** @param {GraphEdge} edge */
export const isTroubled = ({ figures: { errorShare, denied, audited } }) => errorShare > 0 || denied > 0 || audited > 0;

/**
 * The ends of the busiest arrows, callers and called together, so that what is shown is joined; then, where there is
 * place, what nobody calls.
 * @param {readonly GraphEdge[]} edges the busiest first
 * @param {ReadonlySet<string>} wanted
 * @param {number} limit
 */
function busiest(edges, wanted, limit) {
  if (wanted.size <= limit) return new Set(wanted);
  /** @type {Set<string>} */
  const kept = new Set();
  for (const { from, to } of edges) {
    const ends = [from, to].filter((id) => wanted.has(id) && !kept.has(id));
    if (kept.size + ends.length <= limit) for (const id of ends) kept.add(id);
  }
  for (const id of [...wanted].sort()) if (kept.size < limit) kept.add(id);
  return kept;
}

/**
 * By all their calls. What was shown before counts double, so that two of equal rate do not take turns.
 * @param {{ index: MeshIndex, totals: readonly PassedEdge[] }} mesh
 * @param {readonly GraphEdge[]} edges
 * @param {ReadonlySet<string>} shown
 */
function byCalls({ index, totals }, edges, shown) {
  /** @type {Map<string, number>} */
  const calls = new Map();
  for (const { source, servicePort, backend, calls: ended, opened } of totals) {
    const ids = [
      `call ${sourceId(index, source)} service:${serviceOf(servicePort)}`,
      `split ${serviceOf(servicePort)} ${serviceOf(backend)}`,
    ];
    for (const id of ids) calls.set(id, (calls.get(id) ?? 0) + ended + opened);
  }
  const isShown = (/** @type {GraphEdge} */ { from, to }) => shown.has(from) && shown.has(to);
  const weights = new Map(edges.map((edge) => [edge.id, (calls.get(edge.id) ?? 0) * (isShown(edge) ? 2 : 1)]));
  const weight = (/** @type {GraphEdge} */ { id }) => weights.get(id) ?? 0;
  return [...edges].sort((a, b) => weight(b) - weight(a) || (a.id < b.id ? -1 : 1));
}
