/** One Service: what holds for it, who is behind it, who calls it, and which proxies have it in force. */
import { DataTable } from "./data-table.js";
import { h, replace } from "./dom.js";
import { duration, percent, rate } from "./format.js";
import { formatRef, serviceOf } from "./mesh-index.js";
import { trafficNote } from "./notes.js";
import { deniedText, serviceLink } from "./services-view.js";
import { figures, sum } from "./traffic.js";
import { matchText, settingTexts } from "./words.js";

/** @typedef {import("./mesh-store.js").MeshStore} MeshStore */
/** @typedef {import("./mesh-index.js").Service} Service */
/** @typedef {import("./mesh-index.js").ServicePort} ServicePort */
/** @typedef {import("./traffic.js").PassedEdge} PassedEdge */
/** @typedef {{ key: string, source: string, backend: string, protocol: string, figures: import("./traffic.js").Figures }} CallRow */

/** @param {MeshStore} store @param {readonly string[]} path */
export function serviceView(store, path) {
  const key = path.join("/");
  const calls = callTable();
  const note = trafficNote(store);
  const facts = h("div", {});
  const nodes = h("div", {});
  const found = h("div", {});
  let drawn = "";
  const update = () => {
    const service = store.index.services.get(key);
    found.hidden = service === undefined;
    note.update();
    const problems = store.problems.filter(({ object }) => `${object.namespace}/${object.name}` === key);
    const state = `${store.version} ${JSON.stringify(problems)}`;
    if (state !== drawn)
      replace(facts, ...(service === undefined ? [absent(store, key)] : factsOf(store, service, problems)));
    drawn = state;
    drawNodes(store, nodes);
    calls.update(callRows(store, key));
  };
  replace(found, h("h2", {}, "Callers now"), note.element, calls.element, h("h2", {}, "In force on"), nodes);
  const element = h(
    "section",
    { "aria-labelledby": "title" },
    h("p", { class: "crumbs" }, h("a", { href: "#services" }, "Services")),
    h("h1", { id: "title" }, key),
    facts,
    found,
  );
  return { element, update };
}

/** @param {MeshStore} store @param {string} key */
function absent(store, key) {
  const why = store.version === "" ? "Nothing is heard of the mesh yet." : `The mesh does not serve a Service ${key}.`;
  return h(
    "p",
    { class: "note" },
    why,
    " ",
    h("a", { href: `#problems?filter=${encodeURIComponent(key)}` }, "Problems of it"),
  );
}

/**
 * @param {MeshStore} store
 * @param {Service} service
 * @param {readonly import("./mesh-store.js").Problem[]} problems
 */
function factsOf({ index }, service, problems) {
  const { meshDomains, names } = index.config;
  const hosts = meshDomains.map((domain) => `${service.name}.${service.namespace}.${domain}`);
  const addresses = names[service.key] ?? [];
  const asked = `#explain?to=${encodeURIComponent(hosts[0] ?? "")}`;
  return [
    h(
      "p",
      {},
      "Called as ",
      h("code", {}, hosts.join(", ")),
      addresses.length > 0 && ` at ${addresses.join(", ")}`,
      ". ",
      h("a", { href: asked }, "Explain a call to it"),
    ),
    problems.length > 0 &&
      h(
        "ul",
        { class: "plain" },
        ...problems.map(({ severity, message, object }) =>
          h("li", { class: severity === "error" ? "bad" : "warn" }, `${formatRef(object)}: ${message}`),
        ),
      ),
    ...service.ports.map((port) => portSection(port)),
    accessSection(index, service),
  ];
}

/** @param {ServicePort} servicePort */
function portSection(servicePort) {
  const { port, trafficType, scheme, routes, endpoints } = servicePort;
  const speaks =
    trafficType === "http"
      ? `HTTP${scheme === "http" ? "" : `, ${scheme} to its endpoints`}`
      : trafficType.toUpperCase();
  const settings = settingTexts(servicePort);
  return h(
    "section",
    { class: "card" },
    h("h2", {}, `Port ${port}: ${speaks}`),
    h("h3", {}, "Settings"),
    settings.length === 0
      ? h("p", {}, "As the mesh has them for every Service: no annotation asks for more.")
      : h(
          "dl",
          { class: "facts" },
          ...settings.map(([term, says]) => h("div", {}, h("dt", {}, term), h("dd", {}, says))),
        ),
    h("h3", {}, "Routes"),
    routes === undefined
      ? h("p", {}, "Straight to the endpoints.")
      : h("ol", { class: "routes" }, ...routes.map((route) => routeItem(route))),
    h("h3", {}, "Endpoints"),
    endpointTable(endpoints),
  );
}

/** @param {import("./mesh-index.js").Route} route */
function routeItem({ origin, matches, backends, callerNamespaces }) {
  const total = backends.reduce((all, { weight }) => all + weight, 0);
  const when = matches.length === 0 ? "every request" : matches.map(matchText).join(", or ");
  const from = callerNamespaces === undefined ? "" : ` from ${callerNamespaces.join(", ")}`;
  return h(
    "li",
    {},
    h("p", {}, h("strong", {}, formatRef(origin)), `: ${when}${from}`),
    ...backends.map(({ servicePort, weight }) => {
      const share = total === 0 ? 0 : weight / total;
      return h(
        "div",
        { class: "share" },
        h("a", { href: serviceLink(serviceOf(servicePort)) }, servicePort),
        h("meter", { value: share, min: 0, max: 1, "aria-label": `weight of ${servicePort}` }),
        h("span", {}, percent(share)),
      );
    }),
  );
}

/** @param {ServicePort["endpoints"]} endpoints */
function endpointTable(endpoints) {
  /** @type {DataTable<[string, ServicePort["endpoints"][string]]>} */
  const table = new DataTable({
    caption: "Endpoints",
    empty: "There are none: calls get 503 NoEndpoint.",
    keyOf: ([address]) => address,
    columns: [
      { label: "Address", text: ([address]) => address },
      { label: "Pod", text: ([, { pod = "–" }]) => pod },
      { label: "ServiceAccount", text: ([, { identity }]) => identity ?? "nobody's: access control denies it" },
      { label: "Node", text: ([, { node = "–" }]) => node },
      { label: "Zone", text: ([, { zone = "–" }]) => zone },
    ],
  });
  table.update(Object.entries(endpoints));
  return table.element;
}

/** @param {import("./mesh-index.js").MeshIndex} index @param {Service} service */
function accessSection(index, service) {
  const { accessControl } = index.config;
  const rules = index.rulesFor(service);
  const modes = {
    off: "Access control is off: everybody may call.",
    audit: "Access control is in mode audit: everybody may call, and what would be denied is told.",
    on: "Access control is on: who is not named here is denied.",
  };
  const none =
    accessControl === "off"
      ? undefined
      : h("p", { class: "warn" }, "No TrafficTarget opens it: every call to it is denied.");
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Who may call"),
    h("p", {}, modes[accessControl]),
    rules.length === 0
      ? none
      : h(
          "ul",
          { class: "routes" },
          ...rules.map((rule) =>
            h(
              "li",
              {},
              h("strong", {}, formatRef(rule.origin)),
              `: ${rule.sources.join(", ") || "nobody"} may make ${opened(rule)}`,
            ),
          ),
        ),
  );
}

/** @param {import("./mesh-index.js").AccessRule} rule */
function opened({ http, tcp, udp }) {
  const ports = (/** @type {readonly number[] | undefined} */ each) =>
    each === undefined ? "" : ` on port ${each.join(", ")}`;
  const requests =
    http === undefined
      ? []
      : [
          `${http.matches.length === 0 ? "every HTTP request" : `HTTP requests with ${http.matches.map(matchText).join(", or ")}`}${ports(http.ports)}`,
        ];
  return (
    [
      ...requests,
      ...(tcp ? [`TCP connections${ports(tcp.ports)}`] : []),
      ...(udp ? [`UDP flows${ports(udp.ports)}`] : []),
    ].join("; ") || "nothing"
  );
}

/** @returns {DataTable<CallRow>} */
function callTable() {
  return new DataTable({
    caption: "Callers now",
    empty: "Nobody has called it since the proxies count.",
    keyOf: ({ key }) => key,
    columns: [
      { label: "From", text: ({ source }) => source || "unknown callers" },
      { label: "Served by", text: ({ backend }) => backend || "nobody" },
      { label: "Protocol", text: ({ protocol }) => protocol },
      {
        label: "Calls",
        numeric: true,
        text: (row) => rate(row.figures.perSecond),
        sort: (row) => row.figures.perSecond,
      },
      {
        ...{ label: "Errors", numeric: true, text: (row) => percent(row.figures.errorShare) },
        tone: (row) => (row.figures.errorShare > 0 ? "bad" : ""),
      },
      {
        label: "p99",
        numeric: true,
        text: (row) => duration(row.figures.p99Ms),
        sort: (row) => row.figures.p99Ms ?? -1,
      },
      {
        ...{ label: "Denied", numeric: true, text: (row) => deniedText(row.figures) },
        tone: (row) => (row.figures.denied > 0 ? "bad" : row.figures.audited > 0 ? "warn" : ""),
      },
    ],
  });
}

/** @param {MeshStore} store @param {string} key @returns {CallRow[]} */
function callRows({ traffic }, key) {
  return traffic
    .passed()
    .filter(({ servicePort, backend }) => serviceOf(servicePort) === key || serviceOf(backend) === key)
    .map((edge) => ({
      key: `${edge.source} ${edge.servicePort} ${edge.backend} ${edge.protocol}`,
      ...{ source: edge.source, backend: edge.backend, protocol: edge.protocol },
      figures: figures(sum([edge]), traffic.seconds),
    }));
}

/** @param {MeshStore} store @param {HTMLElement} into */
function drawNodes({ nodes, version }, into) {
  const lines = nodes.map((node) => {
    const current = node.version === version && node.Ready;
    const where = node.node ? ` on ${node.node}` : "";
    const says = current
      ? "runs this configuration"
      : node.version === ""
        ? "follows no controller"
        : `runs version ${node.version.slice(0, 12)}`;
    return {
      current,
      text: `${node.Name}${where} ${says}${node.Ready ? "" : ", and is not ready"}${node.error ? `: ${node.error}` : ""}`,
    };
  });
  if (into.textContent === lines.map(({ text }) => text).join("")) return;
  replace(
    into,
    h(
      "ul",
      { class: "plain" },
      ...lines.map(({ current, text }) => h("li", { class: current ? "good" : "warn" }, text)),
    ),
  );
}
