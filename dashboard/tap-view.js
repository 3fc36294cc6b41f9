/** Live calls, as /api/tap tells them: the newest on top, as many as a page can hold. */
import { h, replace, setAttribute, setText } from "./dom.js";
import { clockTimeMs, count, duration } from "./format.js";
import { sentence } from "./mesh-store.js";
import { BAD_FILTERS, readTapLine } from "./tap-lines.js";

/** @typedef {import("./mesh-store.js").MeshStore} MeshStore */

const MOST_ROWS = 200;
const DRAW_MS = 250;
/** A line of a call is far shorter. */
const MOST_UNREAD = 1 << 20;

const FILTERS = [
  { name: "from", label: "From", hint: "ns/name" },
  { name: "to", label: "To", hint: "ns/service" },
  { name: "path", label: "Path begins with", hint: "/" },
  { name: "status", label: "Status", hint: "5xx,404" },
  { name: "reason", label: "Reason", hint: "any" },
  { name: "slower", label: "Slower than", hint: "200ms" },
];

/** @typedef {import("./tap-lines.js").Call} Call */

/** @param {MeshStore} store @param {readonly string[]} _path @param {URLSearchParams} query */
export function tapView(store, _path, query) {
  const inputs = FILTERS.map(({ name, hint }) =>
    h("input", { name, placeholder: hint, value: query.get(name) ?? "", autocomplete: "off", spellcheck: "false" }),
  );
  const denied = h("input", { type: "checkbox", name: "denied", value: "true", checked: query.has("denied") });
  const state = h("p", { class: "note" });
  const body = h("tbody");
  const toggle = h("button", { type: "button", onclick: () => (tap.isOpen ? tap.close("paused") : start()) }, "Pause");
  const draw = (/** @type {Call} */ call) => row(call, store.index.config.meshDomains[0] ?? "");
  const tap = new Tap(body, draw, (text, bad) => {
    setText(state, text);
    setAttribute(state, "class", bad ? "note bad" : "note");
    // Counts that run are not read out; what ended it is.
    setAttribute(state, "role", bad && "alert");
    setText(toggle, tap.isOpen ? "Pause" : "Go on");
  });
  const start = () => {
    const chosen = new URLSearchParams();
    for (const input of inputs) if (input.value.trim() !== "") chosen.set(input.name, input.value.trim());
    if (denied.checked) chosen.set("denied", "true");
    // The address can be given to a colleague.
    history.replaceState(null, "", `#tap${chosen.size > 0 ? `?${chosen}` : ""}`);
    void tap.open(chosen);
  };
  const form = h(
    "form",
    {
      class: "filters",
      onsubmit: (event) => {
        event.preventDefault();
        replace(body);
        start();
      },
    },
    ...inputs.map((input, index) => h("label", { class: "short" }, FILTERS[index]?.label, input)),
    h("label", { class: "check" }, denied, "denied only"),
    h("button", { type: "submit", class: "primary" }, "Show"),
    toggle,
  );
  const heads = ["Time", "From", "To", "Call", "Answer", "Took", "Served by", "Decided by"];
  const table = h(
    "table",
    { class: "calls cards" },
    h("caption", { class: "unseen" }, "Live calls, the newest first"),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        ...heads.map((head) => h("th", { scope: "col", class: head === "Took" ? "number" : undefined }, head)),
      ),
    ),
    body,
  );
  const scroller = h(
    "div",
    { class: "scroller", tabindex: 0, role: "region", "aria-label": "Calls, the newest first" },
    table,
  );
  const element = h(
    "section",
    { "aria-labelledby": "title" },
    h("h1", { id: "title" }, "Live calls"),
    form,
    state,
    scroller,
  );
  start();
  return { element, update: () => {}, close: () => tap.close("over") };
}

/** One answer of /api/tap, read line by line. */
class Tap {
  #body;
  #rowOf;
  #tell;
  /** @type {AbortController | undefined} */
  #reading;
  /** Read and not drawn yet, the newest last. @type {Call[]} */
  #waiting = [];
  #seen = 0;
  #lost = 0;
  /** What a proxy said that shows no calls, the others do. */
  #refusal = "";
  #drawing = 0;

  /**
   * @param {HTMLElement} body
   * @param {(call: Call) => Node} rowOf
   * @param {(text: string, bad: boolean) => void} tell
   */
  constructor(body, rowOf, tell) {
    this.#body = body;
    this.#rowOf = rowOf;
    this.#tell = tell;
  }

  get isOpen() {
    return this.#reading !== undefined;
  }

  /** @param {URLSearchParams} filter */
  async open(filter) {
    this.close("over");
    const reading = new AbortController();
    this.#reading = reading;
    this.#seen = 0;
    this.#lost = 0;
    this.#refusal = "";
    this.#tell("waiting for calls", false);
    try {
      const response = await fetch(`api/tap?${filter}`, { signal: reading.signal });
      if (!response.ok || response.body === null) throw new Error(await refusal(response));
      await this.#read(response.body.pipeThrough(new TextDecoderStream()).getReader());
      if (this.#reading === reading) this.#end("the mesh ended this; go on to look again", true);
    } catch (error) {
      if (this.#reading === reading) this.#end(sentence(error), true);
    }
  }

  /** @param {string} why */
  close(why) {
    this.#reading?.abort();
    if (this.#reading !== undefined) this.#end(why, false);
  }

  /** @param {string} why @param {boolean} bad */
  #end(why, bad) {
    this.#reading = undefined;
    this.#drawRows();
    this.#tell([why, ...this.#tally()].join("; "), bad);
  }

  /** @param {ReadableStreamDefaultReader<string>} reader */
  async #read(reader) {
    let unread = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = `${unread}${value}`.split("\n");
      unread = (lines.pop() ?? "").slice(0, MOST_UNREAD);
      for (const line of lines) this.#take(line);
    }
  }

  /** @param {string} line */
  #take(line) {
    const read = readTapLine(line);
    if (read === undefined || !this.isOpen) return;
    if ("refusal" in read) return this.#refuse(read);
    if ("lost" in read) this.#lost += read.lost;
    else {
      this.#seen++;
      this.#waiting.push(read.call);
      if (this.#waiting.length > MOST_ROWS) this.#waiting.shift();
    }
    this.#drawSoon();
  }

  /** @param {{ status: number, refusal: string }} said */
  #refuse({ status, refusal }) {
    if (status === BAD_FILTERS) {
      this.#reading?.abort();
      return this.#end(refusal, true);
    }
    this.#refusal = refusal;
    this.#drawSoon();
  }

  /** As often as an eye can follow, however fast calls come. */
  #drawSoon() {
    this.#drawing ||= window.setTimeout(() => {
      this.#drawing = 0;
      if (!this.isOpen) return;
      this.#drawRows();
      this.#tell(this.#tally().join("; "), false);
    }, DRAW_MS);
  }

  #drawRows() {
    this.#body.prepend(...this.#waiting.splice(0).reverse().map(this.#rowOf));
    while (this.#body.childElementCount > MOST_ROWS) this.#body.lastElementChild?.remove();
  }

  /** What there was until now; nothing where there was nothing. */
  #tally() {
    if (this.#seen === 0 && this.#lost === 0 && this.#refusal === "") return [];
    return [
      `${count(this.#seen, "call")} seen`,
      ...(this.#lost === 0 ? [] : [`${this.#lost} more were too fast to show`]),
      ...(this.#refusal === "" ? [] : [`a proxy shows none: ${this.#refusal}`]),
    ];
  }
}

/** @param {Response} response */
async function refusal(response) {
  if (response.status === 404) return "this process shows no live calls: /api/tap is not served here";
  return ((await response.text()).split("\n")[0] ?? "") || `status ${response.status}`;
}

/** @param {Call} call @param {string} meshDomain */
function row(call, meshDomain) {
  const { time = "", source, sourceAddress = "", service = "", reason = "", wouldDeny } = call;
  const asked = call.kind === "http" ? `${call.method ?? ""} ${call.path ?? ""}` : String(call.kind);
  const status = call.status ?? (call.kind === "http" ? "no answer" : reason === "" ? "done" : "failed");
  const bad = reason !== "" || Number(call.status) >= 500;
  const answer = [status, reason, wouldDeny === true && "would be denied"].filter(Boolean).join(" ");
  return h(
    "tr",
    {},
    h("td", { class: "time" }, clockTimeMs(new Date(String(time)))),
    h("td", { class: "from" }, String(source ?? sourceAddress)),
    h("td", { class: "to" }, String(service)),
    h("td", { class: "asked" }, asked),
    h(
      "td",
      { class: `answer${bad ? " bad" : wouldDeny === true ? " warn" : ""}` },
      h("a", { href: explainLink(call, meshDomain) }, answer),
    ),
    h("td", { class: "number" }, duration(Number(call.durationMs ?? 0))),
    h("td", { "data-label": "Served by" }, servedBy(call)),
    h("td", { "data-label": "Decided by" }, decidedBy(call)),
  );
}

/** @param {Call} call */
const servedBy = ({ endpointPod, endpoint, backend, service }) => within(service, endpointPod ?? endpoint ?? backend);

/** @param {Call} call */
function decidedBy({ decidedBy: object = "", service }) {
  const [kind = "", key = ""] = String(object).split(" ");
  return `${kind} ${within(service, key)}`.trim();
}

/**
 * The namespace only where it is another than the Service's.
 * @param {Call[string]} service
 * @param {Call[string]} key
 */
function within(service, key = "") {
  const namespace = `${String(service ?? "").split("/")[0]}/`;
  const text = String(key);
  return text.startsWith(namespace) ? text.slice(namespace.length) : text;
}

/** @param {Call} call @param {string} meshDomain */
function explainLink({ source, service, method, path }, meshDomain) {
  const [key = "", port = ""] = String(service ?? "").split(":");
  const [namespace = "", name = ""] = key.split("/");
  const to = `${name}.${namespace}.${meshDomain}:${port}`;
  const query = new URLSearchParams({ from: String(source ?? ""), to });
  if (method !== undefined) query.set("method", String(method));
  if (path !== undefined) query.set("path", String(path));
  return `#explain?${query}`;
}
