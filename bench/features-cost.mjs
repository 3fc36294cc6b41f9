/**
 * What features add to the cost of a request: Tulle as it runs on a node, with a feature and without it, beside each other
 * on the proxies' core through the same seconds, each at the same rate. What one after the other is given differs by more
 * than a feature costs, on a machine that others use; and so does the same program from one start to the next, so there
 * are pairs of them, both started anew, and the error of their mean is told.
 */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { LOAD_CORE, PROXY_CORE, stopAll } from "./columns.mjs";
import { costOf, sayErrors, startEndpoints } from "./http-cost.mjs";
import { h1AtRate } from "./loads.mjs";
import { findProgram, freePort, reachable } from "./processes.mjs";
import { mean, median, standardError } from "./report.mjs";
import { startTulleProxy } from "./tulle.mjs";

/** What one request in a hundred runs through takes so long to be compiled. */
const TRACING_WARM_UP_SECONDS = 45;
const WARM_UP_SECONDS = 15;
// The rate is without a bound, so that the share is what was asked for; and then both as they are without being asked.
const VARIANTS = [
  { key: "nothing", title: "another without any adds" },
  { key: "access", title: "access control adds", features: { access: true } },
  { key: "split", title: "a split adds", features: { split: true } },
  { key: "both", title: "access control and a split add", features: { access: true, split: true } },
  { key: "tracing0", title: "tracing of 0 % adds", tracing: { "tracing-sampling": 0, "tracing-rate": 0 } },
  { key: "tracing1", title: "tracing of 1 % adds", tracing: { "tracing-sampling": 0.01, "tracing-rate": 0 } },
  { key: "tracing", title: "tracing of 100 calls/s adds", tracing: {} },
  { key: "log", title: "an access log to a file adds", log: true },
];

/** An even number: which of the two starts first takes turns. */
const PAIRS = 4;
/** Of each of the two: together about two thirds of the most. */
const PER_SECOND = 9_600;
const PLAIN = { features: {} };

/** Where spans go, on the load's core. */
async function startCollector(workbench) {
  const port = await freePort();
  const file = fileURLToPath(new URL("collector.mjs", import.meta.url));
  const program = workbench.start(LOAD_CORE, process.execPath, [file, String(port)]);
  await reachable("127.0.0.1", port);
  return { program, flags: { "tracing-endpoint": `http://127.0.0.1:${port}`, "tracing-protocol": "otlp-http" } };
}

/** Pairs of one Node.js, all with the same endpoints and collector. */
class Bench {
  #workbench;
  #column;
  #endpoints;
  #collector;
  #options;
  #started = 0;

  constructor(workbench, column, endpoints, collector, options) {
    this.#workbench = workbench;
    this.#column = column;
    this.#endpoints = endpoints;
    this.#collector = collector;
    this.#options = options;
  }

  /** % that a variant adds: of one pair, the median of its rounds. */
  async addedBy(variant, isSwapped) {
    const { rounds, seconds, quick } = this.#options;
    const wanted = isSwapped ? [variant, PLAIN] : [PLAIN, variant];
    const pair = [];
    for (const each of wanted) pair.push(await this.#start(each));
    const together = (run) => Promise.all(pair.map(run));
    const warmUpSeconds = variant.tracing === undefined ? WARM_UP_SECONDS : TRACING_WARM_UP_SECONDS;
    await together((proxy) => this.#run(proxy, quick ? 1 : warmUpSeconds));
    for (let round = 0; round < rounds; round++)
      for (const [index, cost] of (await together((each) => costOf(each, () => this.#run(each, seconds)))).entries())
        pair[index].rounds.push(cost);
    sayErrors(pair);
    await stopAll(this.#workbench, pair);
    const [plain, other] = isSwapped ? pair.toReversed() : pair;
    return (median(other.rounds.map(({ micros }, round) => micros / plain.rounds[round].micros)) - 1) * 100;
  }

  async #start({ key = "plain", features, tracing, log }) {
    const { folder } = this.#workbench;
    const address = `127.0.0.${30 + (this.#started++ % 200)}`;
    const { bin, node } = this.#column;
    const flags = {
      ...(tracing === undefined ? {} : { ...this.#collector.flags, ...tracing }),
      ...(log === undefined ? {} : { "access-log-file": path.join(folder, this.#workbench.fresh("access-log")) }),
    };
    const setup = { ...this.#endpoints, services: 1, address, ...features };
    const proxy = await startTulleProxy(this.#workbench, PROXY_CORE, setup, { bin, node: [node], flags });
    return { ...proxy, name: `${this.#column.name}, ${key}`, rounds: [] };
  }

  #run(proxy, seconds) {
    const { connections } = this.#options;
    return h1AtRate(this.#workbench, proxy, { seconds, perSecond: PER_SECOND, connections });
  }
}

export async function runFeatures(workbench, options, results) {
  const ours = options.columns.filter(({ ours }) => ours === true);
  if (ours.length === 0) return;
  const pairs = options.quick ? 1 : PAIRS;
  console.log(
    `Access control, a split, tracing and access log, each beside a proxy without it, both at ${PER_SECOND} requests/s, ` +
      `pairs: ${pairs}, ${options.rounds} rounds of ${options.seconds} s:`,
  );
  if (findProgram("h2load") === undefined)
    return console.log("h2load is not installed: apt-get install nghttp2-client\n");
  const endpoints = await startEndpoints(workbench);
  const collector = await startCollector(workbench);
  const benches = ours.map((column) => [column.name, new Bench(workbench, column, endpoints, collector, options)]);
  for (const variant of VARIANTS) {
    const added = new Map(ours.map(({ name }) => [name, []]));
    for (let pair = 0; pair < pairs; pair++)
      for (const [name, bench] of benches) added.get(name).push(await bench.addedBy(variant, pair % 2 === 1));
    const byColumn = (measure) => new Map([...added].map(([name, each]) => [name, measure(each)]));
    const { key } = variant;
    const title = `% of CPU a request that ${variant.title}`;
    results.add([
      { key, title, digits: 1, values: byColumn(mean) },
      ...(pairs === 1
        ? []
        : [{ key: `${key} error`, title: `${title}: standard error`, digits: 1, values: byColumn(standardError) }]),
    ]);
  }
  await stopAll(workbench, [endpoints, collector]);
}
