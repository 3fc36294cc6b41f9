import { DataTable } from "./data-table.js";
import { h, replace, setText } from "./dom.js";
import { count, duration, percent, rate } from "./format.js";
import { GraphDrawing } from "./graph-drawing.js";
import { buildGraph, STRANGERS } from "./graph-model.js";
import { trafficNote } from "./notes.js";
import { deniedText, serviceLink } from "./services-view.js";

/** @typedef {import("./mesh-store.js").MeshStore} MeshStore */
/** @typedef {import("./graph-model.js").GraphEdge} GraphEdge */

/** Services that a graph can show and still be read. */
const LIMITS = [20, 40, 80];

/** @param {MeshStore} store @param {readonly string[]} _path @param {URLSearchParams} query */
export function graphView(store, _path, query) {
  const drawing = new GraphDrawing();
  const table = edgeTable(store);
  const note = trafficNote(store);
  const hidden = h("p", { class: "note" });
  const filters = graphFilters(store, query, () => update());
  /** @type {ReadonlySet<string>} */
  let shown = new Set();
  const update = () => {
    filters.update();
    note.update();
    const { index, traffic } = store;
    const mesh = {
      ...{ index, passed: traffic.passed(), totals: traffic.totals(), seconds: traffic.seconds },
      problems: store.problemsByService(),
    };
    const graph = buildGraph(mesh, filters.choice(), shown);
    shown = new Set(graph.nodes.map(({ id }) => id));
    drawing.update(graph);
    table.update(graph.edges);
    setText(hidden, hiddenText(graph));
  };
  const element = h(
    "section",
    { "aria-labelledby": "title" },
    h("h1", { id: "title" }, "Who calls whom"),
    filters.element,
    note.element,
    drawing.element,
    hidden,
    legend(),
    h("h2", {}, "The same as a table"),
    table.element,
  );
  return { element, update };
}

/** @param {import("./graph-model.js").Graph} graph */
function hiddenText({ nodes, hidden, hiddenEdges }) {
  if (nodes.length === 0) return "No Service of the mesh fits.";
  if (hidden === 0 && hiddenEdges === 0) return "";
  const arrows = hiddenEdges === 0 ? "" : ` and ${count(hiddenEdges, "arrow")}`;
  return `These are the busiest; ${count(hidden, "Service")}${arrows} more: filter, or show more of them.`;
}

/** @param {MeshStore} store @param {URLSearchParams} query @param {() => void} onChange */
function graphFilters(store, query, onChange) {
  const text = h("input", { type: "search", value: query.get("filter") ?? "", oninput: onChange });
  const namespace = h("select", { onchange: onChange });
  const limit = h("select", { onchange: onChange }, ...LIMITS.map((each) => h("option", {}, each)));
  limit.value = "40";
  const troubled = h("input", { type: "checkbox", onchange: onChange });
  let known = "";
  const update = () => {
    const { namespaces } = store.index;
    if (namespaces.join() === known) return;
    known = namespaces.join();
    const { value } = namespace;
    replace(namespace, h("option", { value: "" }, "all"), ...namespaces.map((each) => h("option", {}, each)));
    namespace.value = namespaces.includes(value) ? value : "";
  };
  const element = h(
    "form",
    { class: "filters", onsubmit: (event) => event.preventDefault() },
    h("label", {}, "Filter by name", text),
    h("label", {}, "Namespace", namespace),
    h("label", {}, "At most", limit),
    h("label", { class: "check" }, troubled, "only with problems, errors or denials"),
  );
  const choice = () => ({
    ...{ text: text.value.trim(), namespace: namespace.value, troubled: troubled.checked, limit: Number(limit.value) },
  });
  update();
  return { element, update, choice };
}

const ACCESS = { "": "not decided", allowed: "allowed", denied: "denies", audited: "would deny" };

/** @param {MeshStore} store @returns {DataTable<GraphEdge>} */
function edgeTable(store) {
  const href = (/** @type {GraphEdge} */ { to }) => serviceLink(to.slice("service:".length));
  return new DataTable({
    caption: "Calls and splits",
    empty: "Nobody has called a Service of the mesh yet.",
    keyOf: ({ id }) => id,
    columns: [
      { label: "From", text: ({ from }) => (from === STRANGERS ? "unknown callers" : from.replace(/^\w+:/, "")) },
      { label: "To", text: ({ to }) => to.slice("service:".length), href },
      {
        label: "Calls",
        numeric: true,
        text: ({ figures }) => rate(figures.perSecond),
        sort: ({ figures }) => figures.perSecond,
      },
      {
        ...{ label: "Errors", numeric: true, sort: ({ figures }) => figures.errorShare },
        text: ({ figures }) => percent(figures.errorShare),
        tone: ({ figures }) => (figures.errorShare > 0 ? "bad" : ""),
      },
      {
        label: "p99",
        numeric: true,
        text: ({ figures }) => duration(figures.p99Ms),
        sort: ({ figures }) => figures.p99Ms ?? -1,
      },
      {
        ...{ label: "Weight", numeric: true, sort: ({ share }) => share ?? -1 },
        text: ({ share }) => (share === undefined ? "–" : percent(share)),
      },
      {
        ...{ label: "Denied", numeric: true, sort: ({ figures }) => figures.denied + figures.audited },
        text: ({ figures }) => deniedText(figures),
        tone: ({ figures }) => (figures.denied > 0 ? "bad" : figures.audited > 0 ? "warn" : ""),
      },
      {
        label: "Access control",
        text: ({ access, kind }) =>
          kind === "split"
            ? "by the call"
            : `${ACCESS[access]}${access === "" ? ` (${store.index.config.accessControl})` : ""}`,
      },
    ],
  });
}

function legend() {
  const entries = [
    ["busy", "calls: how many a second, share of errors (5xx or no answer), time within which 99 of 100 end"],
    ["split", "a split: its weight, and the calls that it got"],
    ["bad", "errors, or calls that access control denies (a broken lock)"],
    ["warn", "calls that access control would deny, in mode audit"],
    ["idle", "no calls in the last seconds"],
  ];
  return h(
    "ul",
    { class: "legend" },
    ...entries.map(([tone, says]) => h("li", {}, h("span", { class: `swatch ${tone}` }), says)),
  );
}
