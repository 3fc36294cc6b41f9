/**
 * Where the boxes of the graph stand: in columns from callers to what they call, so that every arrow but those of a
 * circle leads to the right. It depends on the graph's shape alone and never on its figures: traffic moves nothing.
 */

export const BOX = { width: 168, height: 44 };
const COLUMN = BOX.width + 200;
const ROW = BOX.height + 26;

/**
 * @typedef {{ readonly id: string, readonly column: number }} LayoutNode `column`: the leftmost it may stand in
 * @typedef {{ readonly from: string, readonly to: string }} LayoutEdge
 * @typedef {{ x: number, y: number, column: number }} Place its left upper corner
 */

/**
 * @param {readonly LayoutNode[]} nodes
 * @param {readonly LayoutEdge[]} edges
 * @returns {Map<string, Place>}
 */
export function layout(nodes, edges) {
  const ids = new Set(nodes.map(({ id }) => id));
  const known = edges.filter(({ from, to }) => ids.has(from) && ids.has(to) && from !== to);
  const callers = otherEnds(known, "to");
  const called = otherEnds(known, "from");
  const isJoined = (/** @type {LayoutNode} */ { id }) => callers.has(id) || called.has(id);
  const joined = nodes.filter(isJoined);
  const columns = columnsOf(joined, known);
  /** @type {string[][]} */
  const order = [];
  for (const { id } of [...joined].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    const column = columns.get(id) ?? 0;
    order[column] = [...(order[column] ?? []), id];
  }
  const filled = order.filter((column) => column !== undefined);
  for (let sweep = 0; sweep < 3; sweep++) {
    untangle([...filled].reverse(), called);
    untangle(filled, callers);
  }
  const places = placed(filled, callers);
  const alone = nodes.filter((node) => !isJoined(node)).map(({ id }) => id);
  return below(places, alone.sort(), Math.max(3, filled.length));
}

/**
 * What nobody calls, side by side under the others, so that it takes little place.
 * @param {Map<string, Place>} places
 * @param {readonly string[]} alone
 * @param {number} width in columns
 */
function below(places, alone, width) {
  const top = Math.max(0, ...[...places.values()].map(({ y }) => y + ROW));
  for (const [index, id] of alone.entries()) {
    const column = index % width;
    places.set(id, { x: column * COLUMN, y: top + Math.floor(index / width) * ROW, column });
  }
  return places;
}

/**
 * The longest way from the left; edges that close a circle do not count.
 * @param {readonly LayoutNode[]} nodes
 * @param {readonly LayoutEdge[]} edges
 */
function columnsOf(nodes, edges) {
  /** @type {Map<string, string[]>} */
  const callers = new Map();
  for (const { from, to } of edges) callers.set(to, [...(callers.get(to) ?? []), from].sort());
  const least = new Map(nodes.map(({ id, column }) => [id, column]));
  /** @type {Map<string, number>} */
  const columns = new Map();
  const under = new Set();
  /** @param {string} id @returns {number} */
  const columnOf = (id) => {
    const known = columns.get(id);
    if (known !== undefined) return known;
    if (under.has(id)) return -1;
    under.add(id);
    const before = (callers.get(id) ?? []).map((caller) => columnOf(caller) + 1);
    under.delete(id);
    const column = Math.max(least.get(id) ?? 0, ...before);
    columns.set(id, column);
    return column;
  };
  for (const id of [...least.keys()].sort()) columnOf(id);
  return columns;
}

/**
 * @param {readonly LayoutEdge[]} edges
 * @param {"from" | "to"} end of which the other ends are wanted
 * @returns {Map<string, string[]>}
 */
function otherEnds(edges, end) {
  /** @type {Map<string, string[]>} */
  const others = new Map();
  for (const edge of edges) {
    const other = end === "from" ? edge.to : edge.from;
    others.set(edge[end], [...(others.get(edge[end]) ?? []), other]);
  }
  return others;
}

/**
 * Column by column, each box to the middle of those it is joined to on one side; ties in the order of their names.
 * @param {string[][]} columns
 * @param {Map<string, string[]>} neighbours
 */
function untangle(columns, neighbours) {
  /** @type {Map<string, number>} */
  const rows = new Map();
  for (const column of columns) for (const [row, id] of column.entries()) rows.set(id, row);
  for (const column of columns) {
    const middles = new Map(column.map((id) => [id, middle(neighbours.get(id) ?? [], rows) ?? rows.get(id) ?? 0]));
    column.sort((a, b) => (middles.get(a) ?? 0) - (middles.get(b) ?? 0) || (a < b ? -1 : 1));
    for (const [row, id] of column.entries()) rows.set(id, row);
  }
}

/**
 * @param {readonly string[]} ids
 * @param {Map<string, number>} values
 */
function middle(ids, values) {
  const found = ids.flatMap((id) => values.get(id) ?? []);
  return found.length === 0 ? undefined : found.reduce((sum, value) => sum + value, 0) / found.length;
}

/**
 * @param {string[][]} order
 * @param {Map<string, string[]>} callers
 */
function placed(order, callers) {
  /** @type {Map<string, number>} */
  const tops = new Map();
  for (const column of order) {
    let next = 0;
    for (const id of column) {
      const wanted = middle(callers.get(id) ?? [], tops) ?? next;
      const y = Math.max(next, Math.round(wanted));
      tops.set(id, y);
      next = y + ROW;
    }
  }
  /** @type {Map<string, Place>} */
  const places = new Map();
  for (const [column, ids] of order.entries())
    for (const id of ids) places.set(id, { x: column * COLUMN, y: tops.get(id) ?? 0, column });
  return places;
}
