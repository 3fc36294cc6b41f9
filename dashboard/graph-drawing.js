/**
 * The graph as SVG. An arrow leads through the pill with its figures, so that no pill's arrow must be guessed. Boxes and
 * pills are made when the graph's shape changes; an update writes into them. Panned and zoomed by mouse and by keyboard.
 */
import { h, replace, setAttribute, setText, svg } from "./dom.js";
import { amount, count, duration, percent, rate } from "./format.js";
import { BOX, layout } from "./graph-layout.js";
import { isTroubled, STRANGERS } from "./graph-model.js";
import { serviceLink } from "./services-view.js";

/** @typedef {import("./graph-model.js").Graph} Graph */
/** @typedef {import("./graph-model.js").GraphNode} GraphNode */
/** @typedef {import("./graph-model.js").GraphEdge} GraphEdge */
/** @typedef {import("./graph-layout.js").Place} Place */
/** @typedef {{ x: number, y: number }} Point */
/** @typedef {{ group: SVGElement, path: SVGElement, text: SVGElement, title: SVGElement, lock: SVGElement, x: number }} DrawnEdge */

const PILL = { width: 154, height: 20 };
const MARGIN = 16;
const MOST_LETTERS = 18;
/** Of a name that is cut: `-v1` and `-v2` are what tells names apart. */
const ENDING = 7;
const ZOOM = 1.25;
const PAN = 60;
/** As small as letters can be read, to begin with. */
const LEAST_SCALE = 0.7;
const MOST_SCALE = 1.2;
const LEAST_HEIGHT = 220;
const MOST_HEIGHT = 620;
const LIMITS = [0.15, 3];

const LOCKS = {
  "": "",
  allowed: "M1 5h8v6h-8zM3 5v-2a2 2 0 0 1 4 0v2",
  audited: "M1 5h8v6h-8zM3 5v-2a2 2 0 0 1 4 -.6",
  denied: "M1 5h8v6h-8zM3 5v-2a2 2 0 0 1 4 -.6M0 12L10 1",
};

export class GraphDrawing {
  #world = svg("g");
  #svg;
  /** @type {Map<string, { badge: SVGElement, title: SVGElement }>} */
  #nodes = new Map();
  /** @type {Map<string, DrawnEdge>} */
  #edges = new Map();
  #shape = "";
  /** Of the whole drawing. */
  #extent = { width: 1, height: 1 };
  #view = { x: 0, y: 0, scale: 1 };
  /** Whether somebody moved it: then it stays. */
  #moved = false;

  constructor() {
    this.#svg = svg(
      "svg",
      {
        ...{ class: "graph", tabindex: 0, role: "group", "aria-label": "Who calls whom" },
        ...{ "aria-describedby": "graph-keys" },
        onkeydown: (event) => this.#onKey(event),
        onwheel: (event) => this.#onWheel(event),
        onpointerdown: (event) => this.#onPointer(event),
        onfocusin: (event) => this.#reveal(event.target),
      },
      svg(
        "defs",
        {},
        svg(
          "marker",
          {
            id: "arrow",
            viewBox: "0 0 8 8",
            refX: 7,
            refY: 4,
            markerWidth: 7,
            markerHeight: 7,
            orient: "auto",
            markerUnits: "userSpaceOnUse",
          },
          svg("path", { d: "M0 0L8 4L0 8z", class: "arrow" }),
        ),
      ),
      this.#world,
    );
    const button = (/** @type {string} */ sign, /** @type {string} */ label, /** @type {() => void} */ onclick) =>
      h("button", { type: "button", "aria-label": label, title: label, onclick }, sign);
    this.element = h(
      "div",
      { class: "canvas" },
      this.#svg,
      h(
        "div",
        { class: "zoom" },
        button("+", "Zoom in", () => this.#zoom(ZOOM)),
        button("−", "Zoom out", () => this.#zoom(1 / ZOOM)),
        button("⤢", "Show all", () => this.#fitAll()),
      ),
      h(
        "p",
        { class: "unseen", id: "graph-keys" },
        "Arrow keys move the graph, plus and minus zoom, 0 shows all. The table below says the same.",
      ),
    );
    new ResizeObserver(() => this.#moved || this.#fit(LEAST_SCALE)).observe(this.#svg);
  }

  /** @param {Graph} graph */
  update(graph) {
    const ids = [...graph.nodes.map(({ id }) => id).sort(), ...graph.edges.map(({ id }) => id).sort()];
    const shape = ids.join("\n");
    if (shape !== this.#shape) this.#draw(graph, shape);
    for (const node of graph.nodes) this.#updateNode(node);
    for (const edge of graph.edges) this.#updateEdge(edge);
  }

  /** @param {Graph} graph @param {string} shape */
  #draw(graph, shape) {
    this.#shape = shape;
    const places = layout(graph.nodes, graph.edges);
    const pills = placePills(graph.edges, places);
    this.#nodes.clear();
    this.#edges.clear();
    const lines = svg("g");
    const labels = svg("g");
    for (const edge of graph.edges) this.#drawEdge(edge, places, pills, lines, labels);
    const boxes = graph.nodes.map((node) => this.#drawNode(node, /** @type {Place} */ (places.get(node.id))));
    const held = document.activeElement?.getAttribute("data-id");
    replace(this.#world, lines, labels, ...boxes);
    if (held != null) boxes.find((box) => box.getAttribute("data-id") === held)?.focus();
    const bottoms = [
      ...[...places.values()].map(({ y }) => y + BOX.height),
      ...[...pills.values()].map(({ y }) => y + 20),
    ];
    this.#extent = {
      width: Math.max(1, ...[...places.values()].map(({ x }) => x + BOX.width)),
      height: Math.max(1, ...bottoms),
    };
    if (!this.#moved) this.#fit(LEAST_SCALE);
  }

  /** @param {GraphNode} node @param {Place} place */
  #drawNode({ id, kind, namespace, name }, { x, y }) {
    const badge = svg("g", { class: "count" }, svg("circle", { cx: BOX.width, cy: 0, r: 9 }));
    badge.append(svg("text", { x: BOX.width, y: 4, "text-anchor": "middle" }));
    const title = svg("title");
    const children = [
      title,
      svg("rect", { width: BOX.width, height: BOX.height, rx: kind === "caller" ? BOX.height / 2 : 5 }),
      kind === "service" &&
        svg("path", { class: "bar", d: `M5 0h-0a5 5 0 0 0 -5 5v${BOX.height - 10}a5 5 0 0 0 5 5z` }),
      svg("text", { x: 18, y: 19, class: "name" }, short(name)),
      svg(
        "text",
        { x: 18, y: 34, class: "namespace" },
        id === STRANGERS ? "from no Pod of the mesh" : short(namespace),
      ),
      badge,
    ];
    this.#nodes.set(id, { badge, title });
    const attributes = { class: `node ${kind}`, transform: `translate(${x} ${y})`, "data-id": id };
    if (kind === "caller") return svg("g", attributes, ...children);
    return svg("a", { ...attributes, href: serviceLink(`${namespace}/${name}`) }, ...children);
  }

  /** @param {GraphNode} node */
  #updateNode({ id, kind, namespace, name, problems }) {
    const drawn = this.#nodes.get(id);
    if (drawn === undefined) return;
    setAttribute(drawn.badge, "visibility", problems > 0 ? undefined : "hidden");
    setText(/** @type {Element} */ (drawn.badge.lastElementChild), String(Math.min(problems, 99)));
    const what = kind === "caller" ? "Caller" : "Service";
    const full = id === STRANGERS ? name : `${what} ${namespace}/${name}`;
    setText(drawn.title, problems > 0 ? `${full}: ${count(problems, "problem")}` : full);
  }

  /**
   * @param {GraphEdge} edge
   * @param {Map<string, Place>} places
   * @param {Map<string, Point>} pills
   * @param {SVGElement} lines
   * @param {SVGElement} labels
   */
  #drawEdge({ id, from, to }, places, pills, lines, labels) {
    const [start, end, pill] = [places.get(from), places.get(to), pills.get(id)];
    if (start === undefined || end === undefined || pill === undefined) return;
    const path = svg("path", { d: way(start, end, pill), "marker-end": "url(#arrow)" });
    const text = svg("text", { y: pill.y + 14 });
    const lock = svg("path", { class: "lock", transform: `translate(${pill.x + 6} ${pill.y + 4})` });
    const title = svg("title");
    const group = svg(
      "g",
      {},
      title,
      svg("rect", { x: pill.x, y: pill.y, width: PILL.width, height: PILL.height, rx: PILL.height / 2 }),
      lock,
      text,
    );
    lines.append(path);
    labels.append(group);
    this.#edges.set(id, { group, path, text, title, lock, x: pill.x });
  }

  /** @param {GraphEdge} edge */
  #updateEdge(edge) {
    const drawn = this.#edges.get(edge.id);
    if (drawn === undefined) return;
    const { figures, access } = edge;
    const tone = toneOf(edge);
    setAttribute(drawn.path, "class", `edge ${edge.kind} ${tone} flow${flowOf(figures.perSecond)}`);
    setAttribute(drawn.group, "class", `pill ${edge.kind} ${tone}`);
    setAttribute(drawn.lock, "d", LOCKS[access]);
    setAttribute(drawn.text, "x", drawn.x + (access === "" ? 9 : 20));
    setText(drawn.text, pillText(edge));
    setText(drawn.title, edgeSentence(edge));
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowLeft: () => this.#pan(PAN, 0),
      ArrowRight: () => this.#pan(-PAN, 0),
      ArrowUp: () => this.#pan(0, PAN),
      ArrowDown: () => this.#pan(0, -PAN),
      "+": () => this.#zoom(ZOOM),
      "=": () => this.#zoom(ZOOM),
      "-": () => this.#zoom(1 / ZOOM),
      0: () => this.#fitAll(),
    };
    const act = Object.hasOwn(keys, event.key) ? keys[event.key] : undefined;
    if (act === undefined) return;
    event.preventDefault();
    act();
  }

  /** With Ctrl, as a pinch also is; without, the page scrolls. @param {WheelEvent} event */
  #onWheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const box = this.#svg.getBoundingClientRect();
    this.#zoom(1.002 ** -event.deltaY, { x: event.clientX - box.left, y: event.clientY - box.top });
  }

  /** @param {PointerEvent} event */
  #onPointer(event) {
    if (event.button !== 0 || /** @type {Element} */ (event.target).closest("a") !== null) return;
    const over = new AbortController();
    let { clientX, clientY } = event;
    this.#svg.setPointerCapture(event.pointerId);
    const move = (/** @type {PointerEvent} */ next) => {
      this.#pan(next.clientX - clientX, next.clientY - clientY);
      ({ clientX, clientY } = next);
    };
    this.#svg.addEventListener("pointermove", move, over);
    for (const end of /** @type {const} */ (["pointerup", "pointercancel"]))
      this.#svg.addEventListener(end, () => over.abort(), over);
  }

  /** A box that the keyboard reaches is brought into sight. @param {EventTarget | null} target */
  #reveal(target) {
    if (!(target instanceof SVGAElement)) return;
    const [box, frame] = [target.getBoundingClientRect(), this.#svg.getBoundingClientRect()];
    const dx = Math.max(0, frame.left - box.left + MARGIN) - Math.max(0, box.right - frame.right + MARGIN);
    const dy = Math.max(0, frame.top - box.top + MARGIN) - Math.max(0, box.bottom - frame.bottom + MARGIN);
    if (dx !== 0 || dy !== 0) this.#pan(dx, dy);
  }

  /** @param {number} dx @param {number} dy */
  #pan(dx, dy) {
    this.#moved = true;
    this.#look({ ...this.#view, x: this.#view.x + dx, y: this.#view.y + dy });
  }

  /** @param {number} factor @param {Point} [at] what stays where it is; the middle */
  #zoom(factor, at = { x: this.#svg.clientWidth / 2, y: this.#svg.clientHeight / 2 }) {
    this.#moved = true;
    const { x, y, scale } = this.#view;
    const next = Math.min(LIMITS[1] ?? 1, Math.max(LIMITS[0] ?? 1, scale * factor));
    this.#look({ x: at.x - ((at.x - x) * next) / scale, y: at.y - ((at.y - y) * next) / scale, scale: next });
  }

  /**
   * As wide as there is place and as high as that needs, or as the page bears; from the left upper corner where it would
   * be smaller than `least`.
   * @param {number} least
   */
  #fit(least) {
    const { clientWidth } = this.#svg;
    const { width, height } = this.#extent;
    const wide = Math.max(Math.min((clientWidth - 2 * MARGIN) / width, MOST_SCALE), least);
    const frame = Math.min(MOST_HEIGHT, Math.max(LEAST_HEIGHT, height * wide + 2 * MARGIN));
    this.#svg.style.height = `${frame}px`;
    const scale = Math.max(Math.min(wide, (frame - 2 * MARGIN) / height), least);
    const x = Math.max(MARGIN, (clientWidth - width * scale) / 2);
    const y = Math.max(MARGIN, (frame - height * scale) / 2);
    this.#look({ x, y, scale });
  }

  /** It follows the window and the mesh again. */
  #fitAll() {
    this.#moved = false;
    this.#fit(0);
  }

  /** @param {{ x: number, y: number, scale: number }} view */
  #look(view) {
    this.#view = view;
    setAttribute(this.#world, "transform", `translate(${view.x} ${view.y}) scale(${view.scale})`);
  }
}

/** @param {string} name */
const short = (name) =>
  name.length > MOST_LETTERS ? `${name.slice(0, MOST_LETTERS - 1 - ENDING)}…${name.slice(-ENDING)}` : name;

/** How fast an arrow moves: nought to three. @param {number} perSecond */
const flowOf = (perSecond) => (perSecond === 0 ? 0 : perSecond < 1 ? 1 : perSecond < 20 ? 2 : 3);

/** @param {GraphEdge} edge */
function toneOf({ figures, access }) {
  if (access === "denied" || figures.errorShare > 0) return "bad";
  if (access === "audited") return "warn";
  return figures.perSecond > 0 ? "busy" : "idle";
}

/** @param {GraphEdge} edge */
function pillText({ figures, share, timed }) {
  const { perSecond, errorShare, p99Ms, denied } = figures;
  const parts = [];
  if (share !== undefined) parts.push(percent(share));
  parts.push(perSecond === 0 ? "no calls" : rate(perSecond));
  if (denied > 0) return [...parts, `${amount(denied)} denied`].join(" · ");
  if (perSecond > 0 && share === undefined) parts.push(percent(errorShare));
  if (perSecond > 0 && timed) parts.push(duration(p99Ms));
  return parts.join(" · ");
}

/** @param {GraphEdge} edge */
export function edgeSentence(edge) {
  const { from, to, figures, share } = edge;
  const plain = (/** @type {string} */ id) => (id === STRANGERS ? "unknown callers" : id.replace(/^\w+:/, ""));
  const parts = [`${plain(from)} → ${plain(to)}`, rate(figures.perSecond)];
  if (share !== undefined) parts.push(`weight ${percent(share)}`);
  if (isTroubled(edge)) parts.push(`errors ${percent(figures.errorShare)}`);
  if (figures.denied > 0) parts.push(`${count(figures.denied, "call")} denied by access control`);
  if (figures.audited > 0) parts.push(`${count(figures.audited, "call")} would be denied with access control on`);
  return parts.join(", ");
}

/**
 * In the gap before the called box, in the order of the boxes, none over another.
 * @param {readonly GraphEdge[]} edges
 * @param {Map<string, Place>} places
 * @returns {Map<string, Point>} left upper corners
 */
export function placePills(edges, places) {
  /** @type {Map<number, { id: string, x: number, y: number }[]>} */
  const gaps = new Map();
  for (const { id, from, to } of edges) {
    const [start, end] = [places.get(from), places.get(to)];
    if (start === undefined || end === undefined) continue;
    const forward = end.column > start.column;
    const x = forward ? end.x - 26 - PILL.width : end.x + (start.x - end.x + BOX.width - PILL.width) / 2;
    const middle = (start.y + end.y) / 2 + (BOX.height - PILL.height) / 2;
    const pill = { id, x, y: forward ? middle : Math.max(start.y, end.y) + BOX.height + 8 };
    gaps.set(x, [...(gaps.get(x) ?? []), pill]);
  }
  return new Map([...gaps.values()].flatMap(spread).map(({ id, x, y }) => [id, { x, y }]));
}

/** @param {{ id: string, x: number, y: number }[]} pills */
function spread(pills) {
  const sorted = [...pills].sort((a, b) => a.y - b.y || (a.id < b.id ? -1 : 1));
  let least = Number.NEGATIVE_INFINITY;
  const pushed = sorted.map((pill) => {
    const y = Math.max(pill.y, least);
    least = y + PILL.height + 4;
    return { ...pill, y };
  });
  // What was pushed down comes up by half, so that the whole stays in the middle of its boxes.
  const surplus = pushed.reduce((sum, { y }, index) => sum + y - (sorted[index]?.y ?? y), 0) / pushed.length;
  // All of them by the same, or those at the top would lie on each other.
  const up = Math.min(surplus / 2, pushed[0]?.y ?? 0);
  return pushed.map((pill) => ({ ...pill, y: Math.round(pill.y - up) }));
}

/** From box to pill to box. @param {Place} from @param {Place} to @param {Point} pill */
function way(from, to, pill) {
  const y = pill.y + PILL.height / 2;
  if (to.column <= from.column) {
    const [right, left] = [pill.x + PILL.width, pill.x];
    const start = `M${from.x + BOX.width / 2} ${from.y + BOX.height}`;
    return `${start}Q${from.x + BOX.width / 2} ${y} ${right} ${y}L${left} ${y}Q${to.x + BOX.width / 2} ${y} ${to.x + BOX.width / 2} ${to.y + BOX.height}`;
  }
  const [x1, y1] = [from.x + BOX.width, from.y + BOX.height / 2];
  const [x2, y2] = [to.x, to.y + BOX.height / 2];
  const [left, right] = [pill.x, pill.x + PILL.width];
  const [a, b] = [(x1 + left) / 2, (right + x2) / 2];
  return `M${x1} ${y1}C${a} ${y1} ${a} ${y} ${left} ${y}L${right} ${y}C${b} ${y} ${b} ${y2} ${x2 - 1} ${y2}`;
}
