/**
 * Where the boxes of the graph stand: in columns from callers to what they call, so that every arrow but those of a
 * circle leads to the right. It depends on the graph's shape alone and never on its figures: traffic moves nothing.
 */

export const BOX = { width: 168, height: 44 };
const COLUMN = BOX.width + 188;
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
  const columns = columnsOf(nodes, known);
  /** @type {string[][]} */
  const order = [];
  for (const { id } of [...nodes].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    const column = columns.get(id) ?? 0;
    order[column] = [...(order[column] ?? []), id];
  }
  const filled = order.filter((column) => column !== undefined);
  const neighbours = neighboursOf(known);
  for (let sweep = 0; sweep < 4; sweep++) untangle(filled, neighbours, sweep % 2 === 0);
  return placed(filled, neighbours);
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

/** @param {readonly LayoutEdge[]} edges @returns {Map<string, string[]>} */
function neighboursOf(edges) {
  const neighbours = new Map();
  for (const { from, to } of edges)
    for (const [a, b] of [
      [from, to],
      [to, from],
    ])
      neighbours.set(a, [...(neighbours.get(a) ?? []), b]);
  return neighbours;
}

/**
 * Each box to the middle of those it is joined to, and what is joined to none below; ties in the order of their names.
 * @param {string[][]} order
 * @param {Map<string, string[]>} neighbours
 * @param {boolean} toTheRight
 */
function untangle(order, neighbours, toTheRight) {
  /** @type {Map<string, number>} */
  const rows = new Map();
  for (const column of order) for (const [row, id] of column.entries()) rows.set(id, row);
  const columns = toTheRight ? order : [...order].reverse();
  for (const column of columns) {
    const middles = new Map(column.map((id) => [id, middle(neighbours.get(id) ?? [], rows) ?? rows.get(id) ?? 0]));
    const alone = (/** @type {string} */ id) => (neighbours.has(id) ? 0 : 1);
    column.sort((a, b) => alone(a) - alone(b) || (middles.get(a) ?? 0) - (middles.get(b) ?? 0) || (a < b ? -1 : 1));
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
 * @param {Map<string, string[]>} neighbours
 */
function placed(order, neighbours) {
  /** @type {Map<string, number>} */
  const tops = new Map();
  for (const column of order) {
    let next = 0;
    for (const id of column) {
      const wanted = middle(neighbours.get(id) ?? [], tops) ?? next;
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
