/** What would happen to a call: the question as a form, the answer as the way through the mesh, step by step. */
import { h, replace, setText } from "./dom.js";
import { percent } from "./format.js";
import { serviceOf } from "./mesh-index.js";
import { ask, sentence } from "./mesh-store.js";
import { serviceLink } from "./services-view.js";

/** @typedef {import("./mesh-store.js").MeshStore} MeshStore */
/** @typedef {import("../src/explain/explain.ts").Explanation} Explanation */

/** A browser lists no more usefully. */
const MOST_SUGGESTED = 2_000;

/** @param {MeshStore} store @param {readonly string[]} _path @param {URLSearchParams} query */
export function explainView(store, _path, query) {
  const input = (/** @type {string} */ name, /** @type {string} */ hint, more = {}) =>
    h("input", {
      name,
      placeholder: hint,
      value: query.get(name) ?? "",
      autocomplete: "off",
      spellcheck: "false",
      ...more,
    });
  const from = input("from", "namespace/pod", { list: "pods", required: true });
  const to = input("to", "name.namespace.traefik.mesh", { list: "names", required: true });
  const method = input("method", "GET");
  const path = input("path", "/");
  const headers = h("textarea", { name: "header", rows: 1, placeholder: "Name: value", spellcheck: "false" });
  headers.value = query.getAll("header").join("\n");
  const pods = h("datalist", { id: "pods" });
  const names = h("datalist", { id: "names" });
  const said = h("p", { class: "note", role: "status" });
  const answer = h("div", {});
  const submit = async () => {
    const question = new URLSearchParams({ from: from.value.trim(), to: to.value.trim() });
    if (method.value.trim() !== "") question.set("method", method.value.trim());
    if (path.value.trim() !== "") question.set("path", path.value.trim());
    for (const line of headers.value.split("\n")) if (line.trim() !== "") question.append("header", line.trim());
    history.replaceState(null, "", `#explain?${question}`);
    setText(said, "asking");
    try {
      const explanation = /** @type {Explanation} */ (await (await ask(`api/explain?${question}`)).json());
      setText(said, "");
      replace(answer, ...drawAnswer(explanation));
    } catch (error) {
      setText(said, sentence(error));
      replace(answer);
    }
  };
  const form = h(
    "form",
    {
      class: "filters",
      onsubmit: (event) => {
        event.preventDefault();
        void submit();
      },
    },
    h("label", { class: "wide" }, "From the Pod", from),
    h("label", { class: "wide" }, "To the name or address", to),
    h("label", { class: "narrow" }, "Method", method),
    h("label", {}, "Path", path),
    h("label", {}, "Header fields, one a line", headers),
    h("button", { type: "submit", class: "primary" }, "Explain"),
    pods,
    names,
  );
  let suggested = "";
  const update = () => {
    if (store.version === suggested) return;
    suggested = store.version;
    suggest(store, pods, names);
  };
  const element = h(
    "section",
    { "aria-labelledby": "title" },
    h("h1", { id: "title" }, "Explain a call"),
    h("p", { class: "note" }, "Nothing is sent: the proxies' own rules are asked what they would do, and why."),
    form,
    said,
    answer,
  );
  if (from.value !== "" && to.value !== "") void submit();
  return { element, update };
}

/** @param {MeshStore} store @param {HTMLElement} pods @param {HTMLElement} names */
function suggest({ index }, pods, names) {
  const { workloads, meshDomains } = index.config;
  const callers = [...new Set(Object.values(workloads).map(({ namespace, pod }) => `${namespace}/${pod}`))].sort();
  replace(pods, ...callers.slice(0, MOST_SUGGESTED).map((value) => h("option", { value })));
  const hosts = [...index.services.values()].flatMap(({ name, namespace, ports }) =>
    ports.map(({ port }) => `${name}.${namespace}.${meshDomains[0]}${port === 80 ? "" : `:${port}`}`),
  );
  replace(names, ...hosts.slice(0, MOST_SUGGESTED).map((value) => h("option", { value })));
}

const TITLES = { caller: "Caller", name: "Name", access: "Access control", route: "Route", answer: "Answer" };

/** @param {Explanation} explanation */
function drawAnswer({ served, stages, decidedBy, backends, failure, status }) {
  const verdict = served
    ? "Served"
    : `Not served${failure === "" ? "" : `: ${status === 0 ? "" : `${status} `}${failure}`}`;
  const decisive = stages.find(({ object }) => object !== "" && object === decidedBy);
  return [
    h(
      "p",
      { class: `verdict ${served ? "good" : "bad"}` },
      h("strong", {}, verdict),
      decidedBy !== "" && ` — decided by ${decidedBy}`,
    ),
    h("ol", { class: "path" }, ...stages.map((stage) => stageItem(stage, stage === decisive, served))),
    backends.length > 1 &&
      h(
        "div",
        { class: "card" },
        h("h2", {}, "Where it may go"),
        ...backends.map(({ servicePort, share, endpoints }) =>
          h(
            "div",
            { class: "share" },
            h("a", { href: serviceLink(serviceOf(servicePort)) }, servicePort),
            h("meter", { value: share, min: 0, max: 1, "aria-label": `share of ${servicePort}` }),
            h("span", {}, `${percent(share)}, ${endpoints.length === 0 ? "no endpoint" : endpoints.join(", ")}`),
          ),
        ),
      ),
  ];
}

/** @param {Explanation["stages"][number]} stage @param {boolean} decides @param {boolean} served */
function stageItem({ stage, says, object, notes }, decides, served) {
  return h(
    "li",
    { class: decides ? `decides ${served ? "good-edge" : "bad-edge"}` : undefined },
    h(
      "h2",
      {},
      TITLES[stage],
      object !== "" && h("code", {}, object),
      decides && h("span", { class: "badge" }, "decides"),
    ),
    h("p", {}, says),
    notes.length > 0 && h("ul", {}, ...notes.map((note) => h("li", {}, note))),
  );
}
