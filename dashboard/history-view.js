/** The configurations that were in force, and what changed from each to the next. */
import { h, replace, setText } from "./dom.js";
import { count } from "./format.js";
import { ask, sentence } from "./mesh-store.js";

/** @typedef {import("./mesh-store.js").MeshStore} MeshStore */
/** @typedef {import("../src/config/config-history.ts").HistoryEntry} HistoryEntry */
/** @typedef {import("../src/config/config-changes.ts").ConfigChange} ConfigChange */

/** @param {MeshStore} store */
export function historyView(store) {
  const filter = h("input", { type: "search", oninput: () => draw() });
  const note = h("p", { class: "note" });
  const list = h("ol", { class: "history" });
  /** @type {readonly HistoryEntry[]} */
  let entries = [];
  let read = "";
  const draw = () => {
    const part = filter.value.trim().toLowerCase();
    const fits = (/** @type {ConfigChange} */ change) => JSON.stringify(change).toLowerCase().includes(part);
    const fitting = entries
      .map((entry) => ({ ...entry, changes: entry.changes.filter(fits) }))
      .filter(({ changes }) => part === "" || changes.length > 0);
    replace(
      list,
      ...fitting.map((entry) => item(entry, entry.at === entries[0]?.at && entry.version === store.version)),
    );
    setText(
      note,
      entries.length === 0
        ? ""
        : `${count(fitting.length, "configuration")}, the newest first; kept in memory since this process began.`,
    );
  };
  const update = async () => {
    if (read === store.version) return;
    read = store.version;
    try {
      entries = await (await ask("api/history")).json();
      draw();
    } catch (error) {
      read = "";
      setText(note, `There is no history: ${sentence(error)}.`);
    }
  };
  const element = h(
    "section",
    { "aria-labelledby": "title" },
    h("h1", { id: "title" }, "Configuration history"),
    h(
      "form",
      { class: "filters", onsubmit: (event) => event.preventDefault() },
      h("label", {}, "Filter by object or value", filter),
    ),
    note,
    list,
  );
  return { element, update: () => void update() };
}

/** @param {HistoryEntry} entry @param {boolean} current */
function item({ version, at, changes, omitted }, current) {
  // As ISO 8601 has it, in the time of whoever looks.
  const when = new Date(at);
  return h(
    "li",
    { class: "card" },
    h(
      "h2",
      {},
      h("time", { datetime: at }, when.toLocaleString("sv-SE")),
      " ",
      h("code", {}, version.slice(0, 12)),
      current && h("span", { class: "badge good" }, "in force"),
    ),
    changes.length === 0 && h("p", {}, "The first that this process had in force."),
    h("ul", { class: "changes" }, ...changes.map(changeItem)),
    omitted > 0 && h("p", { class: "note" }, `and ${count(omitted, "change")} more`),
  );
}

const SIGNS = { added: "+", removed: "−", changed: "±" };

/** @param {ConfigChange} change */
function changeItem({ change, what, object, fields }) {
  return h(
    "li",
    { class: change },
    h("span", { class: "sign", "aria-hidden": "true" }, SIGNS[change]),
    h("div", {}, h("p", {}, `${what} `, h("strong", {}, object), ` ${change}`), ...fields.map(fieldItem)),
  );
}

/** @param {ConfigChange["fields"][number]} field */
function fieldItem({ field, before, after }) {
  return h(
    "p",
    { class: "field" },
    field !== "" && h("span", {}, `${field}: `),
    before !== "" && h("del", {}, before),
    after !== "" && h("ins", {}, after),
  );
}
