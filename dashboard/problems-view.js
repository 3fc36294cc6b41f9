import { h, replace, setText } from "./dom.js";
import { count } from "./format.js";
import { formatRef } from "./mesh-index.js";
import { serviceLink } from "./services-view.js";

/** @typedef {import("./mesh-store.js").MeshStore} MeshStore */
/** @typedef {import("../src/model/problems.ts").Problem} Problem */

const MOST = 500;

/** @param {MeshStore} store @param {readonly string[]} _path @param {URLSearchParams} query */
export function problemsView(store, _path, query) {
  const text = h("input", { type: "search", value: query.get("filter") ?? "", oninput: () => update() });
  const severity = h(
    "select",
    { onchange: () => update() },
    h("option", { value: "" }, "all"),
    h("option", { value: "error" }, "errors"),
    h("option", { value: "warning" }, "warnings"),
  );
  const list = h("ol", { class: "problems" });
  const note = h("p", { class: "note" });
  const nodes = h("ul", { class: "plain" });
  let drawn = "";
  const update = () => {
    drawNodes(store, nodes);
    const part = text.value.trim().toLowerCase();
    const fitting = store.problems.filter(
      (each) =>
        (severity.value === "" || each.severity === severity.value) &&
        `${each.code} ${formatRef(each.object)} ${each.field} ${each.message}`.toLowerCase().includes(part),
    );
    setText(note, summary(fitting.length, store.problems.length));
    const now = JSON.stringify(fitting);
    if (now === drawn) return;
    drawn = now;
    const known = (/** @type {Problem} */ { object }) => store.index.services.has(`${object.namespace}/${object.name}`);
    replace(list, ...fitting.slice(0, MOST).map((problem) => item(problem, known(problem))));
  };
  const element = h(
    "section",
    { "aria-labelledby": "title" },
    h("h1", { id: "title" }, "Problems"),
    nodes,
    h(
      "form",
      { class: "filters", onsubmit: (event) => event.preventDefault() },
      h("label", {}, "Filter by object, field or words", text),
      h("label", {}, "Severity", severity),
    ),
    note,
    list,
  );
  return { element, update };
}

/** @param {number} fitting @param {number} all */
function summary(fitting, all) {
  if (all === 0) return "No object is wrong: everything that was asked for is in force.";
  const more = fitting > MOST ? `, of which ${MOST} are shown` : "";
  return fitting === all ? `${count(all, "problem")}${more}.` : `${fitting} of ${count(all, "problem")}${more}.`;
}

/** @param {Problem} problem @param {boolean} isService */
function item({ severity, code, object, field, message }, isService) {
  const { what, effect, remedy } = parts(message);
  const key = `${object.namespace}/${object.name}`;
  return h(
    "li",
    { class: `problem ${severity}` },
    h(
      "h2",
      {},
      h("span", { class: `badge ${severity === "error" ? "bad" : "warn"}` }, severity),
      " ",
      isService && object.kind === "Service"
        ? h("a", { href: serviceLink(key) }, formatRef(object))
        : formatRef(object),
    ),
    h("p", {}, what),
    h(
      "dl",
      { class: "facts" },
      ...fact("Field", field === "" ? undefined : h("code", {}, field)),
      ...fact("Effect", effect),
      ...fact("Remedy", remedy === "" ? undefined : h("strong", {}, remedy)),
      ...fact("Code", h("code", {}, code)),
    ),
  );
}

/** @param {string} term @param {Node | string | undefined} says */
function fact(term, says) {
  return says === undefined || says === "" ? [] : [h("div", {}, h("dt", {}, term), h("dd", {}, says))];
}

/**
 * A problem's message is `what: effect; remedy.`, and what may hold such marks itself.
 * @param {string} message
 */
export function parts(message) {
  const semicolon = message.lastIndexOf("; ");
  const colon = message.lastIndexOf(": ", semicolon);
  if (semicolon < 0 || colon < 0) return { what: message, effect: "", remedy: "" };
  return {
    what: sentenceOf(message.slice(0, colon)),
    effect: sentenceOf(message.slice(colon + 2, semicolon)),
    remedy: sentenceOf(message.slice(semicolon + 2)),
  };
}

/** @param {string} text */
function sentenceOf(text) {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}

/** Proxies that do not run what is in force. @param {MeshStore} store @param {HTMLElement} list */
function drawNodes({ nodes, version }, list) {
  const behind = nodes.filter((node) => !node.Ready || node.version !== version || (node.error ?? "") !== "");
  const lines = behind.map((node) => {
    const why = node.error || (node.Ready ? "it runs another version than the one in force" : "it is not ready");
    return `Proxy ${node.Name}${node.node ? ` on ${node.node}` : ""}: ${why}.`;
  });
  if (list.textContent !== lines.join("")) replace(list, ...lines.map((line) => h("li", { class: "bad" }, line)));
}
