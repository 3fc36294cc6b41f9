/** The page: which view is shown, its colours, and what the head says of the mesh as a whole. */

import { h, replace, setAttribute, setText } from "./dom.js";
import { explainView } from "./explain-view.js";
import { clockTime, count } from "./format.js";
import { graphView } from "./graph-view.js";
import { historyView } from "./history-view.js";
import { MeshStore } from "./mesh-store.js";
import { problemsView } from "./problems-view.js";
import { serviceView } from "./service-view.js";
import { servicesView } from "./services-view.js";
import { tapView } from "./tap-view.js";

/**
 * A view on the page: `update` is called when the mesh changed, `close` when another view comes.
 * @typedef {{ element: HTMLElement, update(): void, close?(): void }} View
 * @typedef {(store: MeshStore, path: readonly string[], query: URLSearchParams) => View} MakeView
 */

/** @type {Readonly<Record<string, { title: string, make: MakeView }>>} */
const VIEWS = {
  graph: { title: "Graph", make: graphView },
  services: { title: "Services", make: servicesView },
  problems: { title: "Problems", make: problemsView },
  explain: { title: "Explain", make: explainView },
  tap: { title: "Live calls", make: tapView },
  history: { title: "History", make: historyView },
};
/** Without a place in the navigation. */
const MORE = { service: { title: "Service", make: serviceView, parent: "services" } };
const FIRST = "graph";

const store = new MeshStore();
const main = element("main");
const contact = element("contact");
const summary = element("summary");
const links = new Map(Object.entries(VIEWS).map(([name, { title }]) => [name, h("a", { href: `#${name}` }, title)]));
replace(element("views"), ...links.values());

/** @type {View | undefined} */
let view;

function show() {
  const [place = "", query = ""] = decodeHash().split("?", 2);
  const [name = "", ...path] = place.split("/");
  // A Service without a name is all of them.
  const current = name === "service" ? MORE.service.parent : Object.hasOwn(VIEWS, name) ? name : FIRST;
  const known = name === "service" && path.join("") !== "" ? MORE.service : VIEWS[current];
  if (known === undefined) return;
  for (const [each, link] of links) setAttribute(link, "aria-current", each === current && "page");
  view?.close?.();
  view = known.make(store, path, new URLSearchParams(query));
  replace(main, view.element);
  document.title = `${path.length > 0 ? path.join("/") : known.title} · Tulle`;
  view.update();
}

/** What is no escaped text is taken as it stands. */
function decodeHash() {
  const hash = location.hash.slice(1);
  const [place = "", query] = hash.split("?", 2);
  try {
    return `${decodeURIComponent(place)}${query === undefined ? "" : `?${query}`}`;
  } catch {
    return hash;
  }
}

function tell() {
  const { index, problems, nodes, version, silence, heardAt, proxiesUnheard } = store;
  const { accessControl } = index.config;
  const errors = problems.filter(({ severity }) => severity === "error").length;
  const behind = nodes.filter((node) => !node.Ready || node.version !== version).length;
  const since = heardAt === undefined ? "" : `; what is shown is of ${clockTime(heardAt)}`;
  setText(contact, silence === "" ? "live" : `${silence}${since}`);
  setAttribute(contact, "class", silence === "" ? "good" : "bad");
  const facts = [
    ["Services", String(index.services.size), ""],
    ["Access control", accessControl, ""],
    [
      "Problems",
      problemsInWords(errors, problems.length - errors),
      errors > 0 ? "bad" : problems.length > 0 ? "warn" : "",
    ],
    ["Proxies", proxiesInWords(nodes.length, behind, proxiesUnheard), behind > 0 || proxiesUnheard > 0 ? "warn" : ""],
    ["Version", version.slice(0, 12) || "none", ""],
  ];
  const pairs = facts.map(([term = "", says = "", tone]) =>
    h("div", {}, h("dt", {}, term), h("dd", { class: tone || undefined }, says)),
  );
  if (summary.textContent !== pairs.map((pair) => pair.textContent).join("")) replace(summary, ...pairs);
  view?.update();
}

/** @param {number} errors @param {number} warnings */
function problemsInWords(errors, warnings) {
  const parts = [errors > 0 && count(errors, "error"), warnings > 0 && count(warnings, "warning")];
  return parts.filter(Boolean).join(", ") || "none";
}

/** @param {number} all @param {number} behind @param {number} unheard */
function proxiesInWords(all, behind, unheard) {
  const running = behind === 0 ? `${all} up to date` : `${behind} of ${all} behind`;
  return unheard === 0 ? running : `${running}, figures of ${unheard} missing`;
}

/** @param {string} id */
function element(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

const SCHEMES = /** @type {const} */ (["system", "light", "dark"]);

/** Colours as the system has them, or as chosen here; a browser that keeps nothing starts with the system's. */
function schemeSwitch() {
  const button = element("scheme");
  const kept = () => {
    try {
      return SCHEMES.find((each) => each === localStorage.getItem("tulle-scheme")) ?? SCHEMES[0];
    } catch {
      return SCHEMES[0];
    }
  };
  let scheme = kept();
  const apply = () => {
    setAttribute(document.documentElement, "data-scheme", scheme);
    setText(button, `Colours: ${scheme}`);
  };
  button.addEventListener("click", () => {
    scheme = SCHEMES[(SCHEMES.indexOf(scheme) + 1) % SCHEMES.length] ?? SCHEMES[0];
    try {
      localStorage.setItem("tulle-scheme", scheme);
    } catch {
      // It holds for this page, then.
    }
    apply();
  });
  apply();
}

schemeSwitch();
store.addEventListener("change", tell);
addEventListener("hashchange", () => {
  show();
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
});
show();
void store.run();
