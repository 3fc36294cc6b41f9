/**
 * What the admin API says, asked again every two seconds while the page is seen. Each part stands alone: where one is
 * missing (a controller may not have traffic), that is kept as a sentence, and the rest goes on.
 */
import { MeshIndex } from "./mesh-index.js";
import { readLook, TrafficWindow } from "./traffic.js";

/** @typedef {import("../src/model/problems.ts").Problem} Problem */
/** @typedef {import("../src/config/mesh-config.ts").MeshConfig} MeshConfig */

/**
 * @typedef {object} ProxyNode
 * @property {string} Name
 * @property {string} [node]
 * @property {boolean} Ready
 * @property {string} version "" where none is known
 * @property {boolean} [connected]
 * @property {boolean} [programmed]
 * @property {string} [error]
 */

const PAUSE_MS = 2_000;
const PATIENCE_MS = 10_000;

export class MeshStore extends EventTarget {
  index = new MeshIndex({
    ...{ schema: 1, accessControl: "off", meshDomains: [], names: {}, entrypoints: {}, servicePorts: {} },
    ...{ accessRules: {}, workloads: {} },
  });
  version = "";
  /** @type {readonly Problem[]} */
  problems = [];
  /** @type {readonly ProxyNode[]} */
  nodes = [];
  traffic = new TrafficWindow();
  /** Why there is no traffic; "" where there is. */
  trafficMissing = "";
  /** Proxies, or replicas that know of some, whose traffic is not in the newest look. */
  proxiesUnheard = 0;
  /** Why nothing is heard; "" where something is. */
  silence = "";
  /** Of the last answer. @type {Date | undefined} */
  heardAt;

  async run() {
    for (;;) {
      await this.refresh();
      await pause();
    }
  }

  async refresh() {
    const parts = [this.#config(), this.#list("api/problems"), this.#list("api/status/nodes"), this.#traffic()];
    const [config, problems, nodes] = await Promise.allSettled(parts);
    if (config?.status === "rejected") this.silence = sentence(config.reason);
    else {
      this.silence = "";
      this.heardAt = new Date();
    }
    if (problems?.status === "fulfilled") this.problems = /** @type {Problem[]} */ (problems.value);
    if (nodes?.status === "fulfilled") this.nodes = /** @type {ProxyNode[]} */ (nodes.value);
    this.dispatchEvent(new Event("change"));
  }

  /** Problems of Services and what says things about them, by `namespace/name`. @returns {Map<string, number>} */
  problemsByService() {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const { object } of this.problems) {
      const key = `${object.namespace}/${object.name}`;
      if (object.kind === "Service" || this.index.services.has(key)) counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return counts;
  }

  async #config() {
    const response = await ask("api/config");
    const version = (response.headers.get("ETag") ?? "").replaceAll('"', "");
    // The same configuration is neither read nor drawn again, however big.
    if (version !== "" && version === this.version) return void response.body?.cancel();
    const { version: own = "", config } = /** @type {{ version?: string, config?: MeshConfig }} */ (
      await response.json()
    );
    if (config === undefined) throw new Error("no configuration is in force yet");
    this.index = new MeshIndex(config);
    this.version = own;
  }

  /** @param {string} path */
  async #list(path) {
    return (await ask(path)).json();
  }

  async #traffic() {
    try {
      const answer = await (await ask("api/traffic?by=proxy")).json();
      const look = readLook(answer, performance.now());
      this.traffic.add(look);
      this.proxiesUnheard = look.missing;
      this.trafficMissing = "";
    } catch (error) {
      this.proxiesUnheard = 0;
      this.trafficMissing = sentence(error);
    }
  }
}

/**
 * @param {string} path
 * @returns {Promise<Response>}
 * @throws with what the API says, where it does not answer as asked
 */
export async function ask(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-cache" });
  if (response.ok) return response;
  const [said = ""] = (await response.text()).split("\n");
  throw new Error(response.status === 404 ? `this process does not serve /${path.split("?")[0]}` : said);
}

/** @param {unknown} error */
export function sentence(error) {
  if (error instanceof DOMException && error.name === "TimeoutError") return "no answer within 10 s";
  // What browsers say of a connection that failed helps nobody.
  if (error instanceof TypeError) return "the mesh cannot be reached";
  return error instanceof Error ? error.message : String(error);
}

/** A page that nobody sees asks nothing. */
async function pause() {
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  if (document.visibilityState === "visible") return;
  await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}
