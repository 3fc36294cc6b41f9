import { DataTable } from "./data-table.js";
import { h } from "./dom.js";
import { duration, percent, rate } from "./format.js";
import { serviceOf } from "./mesh-index.js";
import { trafficNote } from "./notes.js";
import { figures, NOTHING, sum } from "./traffic.js";

/** @typedef {import("./mesh-store.js").MeshStore} MeshStore */
/** @typedef {import("./mesh-index.js").Service} Service */
/** @typedef {Service & { figures: import("./traffic.js").Figures, endpoints: number, problems: number }} Row */

/** @param {string} key */
export const serviceLink = (key) => `#service/${key}`;

/** @param {MeshStore} store @param {readonly string[]} _path @param {URLSearchParams} query */
export function servicesView(store, _path, query) {
  const filter = h("input", {
    ...{ type: "search", id: "services-filter", value: query.get("filter") ?? "", oninput: () => update() },
  });
  /** @type {DataTable<Row>} */
  const table = new DataTable({
    caption: "Services of the mesh",
    empty: "No Service of the mesh fits.",
    keyOf: ({ key }) => key,
    columns: [
      { label: "Service", text: ({ key }) => key, href: ({ key }) => serviceLink(key) },
      {
        label: "Ports",
        text: ({ ports }) => ports.map(({ port, trafficType }) => `${port} ${trafficType}`).join(", "),
      },
      {
        label: "Calls",
        numeric: true,
        text: (row) => rate(row.figures.perSecond),
        sort: (row) => row.figures.perSecond,
      },
      {
        ...{ label: "Errors", numeric: true, sort: (row) => row.figures.errorShare },
        text: (row) => percent(row.figures.errorShare),
        tone: (row) => (row.figures.errorShare > 0 ? "bad" : ""),
      },
      {
        label: "p99",
        numeric: true,
        text: (row) => duration(row.figures.p99Ms),
        sort: (row) => row.figures.p99Ms ?? -1,
      },
      {
        ...{ label: "Denied", numeric: true, sort: (row) => row.figures.denied + row.figures.audited },
        text: (row) => deniedText(row.figures),
        tone: (row) => (row.figures.denied > 0 ? "bad" : row.figures.audited > 0 ? "warn" : ""),
      },
      {
        ...{ label: "Endpoints", numeric: true, text: (row) => String(row.endpoints), sort: (row) => row.endpoints },
        tone: (row) => (row.endpoints === 0 && row.splits.length === 0 ? "warn" : ""),
      },
      {
        label: "Splits",
        text: ({ splits }) => splits.map(({ backend, share }) => `${nameOf(backend)} ${percent(share)}`).join(", "),
      },
      {
        ...{ label: "Problems", numeric: true, text: (row) => String(row.problems), sort: (row) => row.problems },
        tone: (row) => (row.problems > 0 ? "bad" : ""),
      },
    ],
  });
  const note = trafficNote(store);
  const update = () => {
    note.update();
    table.update(rows(store).filter(({ key }) => key.includes(filter.value.trim().toLowerCase())));
  };
  const element = h(
    "section",
    { "aria-labelledby": "title" },
    h("h1", { id: "title" }, "Services"),
    h(
      "form",
      { class: "filters", onsubmit: (event) => event.preventDefault() },
      h("label", {}, "Filter by name", filter),
    ),
    note.element,
    table.element,
  );
  return { element, update };
}

/** @param {MeshStore} store @returns {Row[]} */
function rows(store) {
  const { index, traffic } = store;
  const problems = store.problemsByService();
  /** @type {Map<string, import("./traffic.js").Passed[]>} */
  const passed = new Map();
  for (const edge of traffic.passed())
    for (const key of new Set([serviceOf(edge.servicePort), serviceOf(edge.backend)])) {
      const known = passed.get(key);
      if (known === undefined) passed.set(key, [edge]);
      else known.push(edge);
    }
  return [...index.services.values()].map((service) => ({
    ...service,
    figures: figures(sum(passed.get(service.key) ?? [NOTHING]), traffic.seconds),
    endpoints: new Set(service.ports.flatMap(({ endpoints }) => Object.keys(endpoints))).size,
    problems: problems.get(service.key) ?? 0,
  }));
}

/** @param {import("./traffic.js").Figures} figures */
export function deniedText({ denied, audited }) {
  if (denied > 0) return `${denied} denied`;
  return audited > 0 ? `${audited} would be` : "0";
}

/** @param {string} key */
const nameOf = (key) => key.slice(key.indexOf("/") + 1);
