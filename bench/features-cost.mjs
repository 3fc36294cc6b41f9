/**
 * What features add to the cost of a request: Tulle beside itself, as it runs on a node, at a rate that is the same for
 * all. At the most that each can serve, whoever is a little slower lets the load's core fall asleep between its requests,
 * and to wake that again costs more than what is to be measured. Several processes of each, for one and the same program
 * differs by some percent from one start to the next, for as long as it runs.
 */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { LOAD_CORE, PROXY_CORE, stopAll } from "./columns.mjs";
import { byName, costOf, interleave, least, sayErrors, startEndpoints } from "./http-cost.mjs";
import { h1AtRate } from "./loads.mjs";
import { findProgram, freePort, reachable } from "./processes.mjs";
import { median } from "./report.mjs";
import { startTulleProxy } from "./tulle.mjs";

const VARIANTS = {
  plain: {},
  access: { access: true },
  split: { split: true },
  both: { access: true, split: true },
  // The rate is without a bound, so that the share is what was asked for; and then both as they are without being asked.
  tracing0: { tracing: { "tracing-sampling": 0, "tracing-rate": 0 } },
  tracing1: { tracing: { "tracing-sampling": 0.01, "tracing-rate": 0 } },
  tracing: { tracing: {} },
  log: { log: true },
};
const TITLES = {
  access: "% of CPU a request that access control adds",
  split: "% of CPU a request that a split adds",
  both: "% of CPU a request that both add",
  tracing0: "% of CPU a request that tracing of 0 % adds",
  tracing1: "% of CPU a request that tracing of 1 % adds",
  tracing: "% of CPU a request that tracing of 100 calls/s adds",
  log: "% of CPU a request that an access log to a file adds",
};

const PROCESSES = 3;
const WARM_UP_SECONDS = 6;
/** About a third of the most. */
const PER_SECOND = 19_200;

/** Where spans go, on the load's core. */
async function startCollector(workbench) {
  const port = await freePort();
  const file = fileURLToPath(new URL("collector.mjs", import.meta.url));
  const program = workbench.start(LOAD_CORE, process.execPath, [file, String(port)]);
  await reachable("127.0.0.1", port);
  return { program, flags: { "tracing-endpoint": `http://127.0.0.1:${port}`, "tracing-protocol": "otlp-http" } };
}

async function measure(workbench, { bin, node }, endpoints, { seconds, rounds, connections, processes }) {
  const proxies = [];
  const collector = await startCollector(workbench);
  const starts = Array.from({ length: processes }, () => Object.entries(VARIANTS)).flat();
  for (const [name, { tracing, log, ...features }] of starts) {
    const address = `127.0.0.${30 + proxies.length}`;
    const setup = { ...endpoints, services: 1, address, ...features };
    const flags = {
      ...(tracing === undefined ? {} : { ...collector.flags, ...tracing }),
      ...(log === undefined ? {} : { "access-log-file": path.join(workbench.folder, workbench.fresh("access-log")) }),
    };
    const proxy = await startTulleProxy(workbench, PROXY_CORE, setup, { bin, node: [node], flags });
    proxies.push({ ...proxy, name, rounds: [] });
  }
  const run = (proxy, forSeconds) =>
    h1AtRate(workbench, proxy, { seconds: forSeconds, perSecond: PER_SECOND, connections });
  await interleave(proxies, {
    rounds,
    // What one request in a hundred runs through takes its time to be compiled.
    warmUp: (proxy) => run(proxy, WARM_UP_SECONDS),
    round: (proxy) => costOf(proxy, () => run(proxy, seconds)),
  });
  sayErrors(proxies);
  await stopAll(workbench, [...proxies, collector]);
  const ofAll = Object.keys(VARIANTS).map((name) => ({
    name,
    rounds: proxies.filter((proxy) => proxy.name === name).flatMap((proxy) => proxy.rounds),
  }));
  return { least: byName(ofAll, least("micros")), rounds: byName(ofAll, (rounds) => rounds) };
}

/** Of what a variant adds in a round to that round of the plain process that started with it, the median, in percent. */
function medianAdded(rounds, key) {
  const plain = rounds.get("plain");
  return (median(rounds.get(key).map(({ micros }, index) => micros / plain[index].micros)) - 1) * 100;
}

export async function runFeatures(workbench, options, results) {
  const ours = options.columns.filter(({ ours }) => ours === true);
  if (ours.length === 0) return;
  const processes = options.quick ? 1 : PROCESSES;
  console.log(
    `Access control, a split, tracing and access log at ${PER_SECOND} requests/s, processes of each: ${processes}, ` +
      `${options.rounds} interleaved rounds of ${options.seconds} s:`,
  );
  if (findProgram("h2load") === undefined)
    return console.log("h2load is not installed: apt-get install nghttp2-client\n");
  const endpoints = await startEndpoints(workbench);
  const found = new Map();
  for (const column of ours)
    found.set(column.name, await measure(workbench, column, endpoints, { ...options, processes }));
  await stopAll(workbench, [endpoints]);
  const added = ({ least: costs }, key) => (costs.get(key) / costs.get("plain") - 1) * 100;
  results.add(
    Object.entries(TITLES).flatMap(([key, title]) => [
      { key, title, digits: 1, values: new Map([...found].map(([name, costs]) => [name, added(costs, key)])) },
      {
        key: `${key} median`,
        title: `${title}: median`,
        digits: 1,
        values: new Map([...found].map(([name, { rounds }]) => [name, medianAdded(rounds, key)])),
      },
    ]),
  );
}
