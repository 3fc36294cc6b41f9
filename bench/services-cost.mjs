/** What services that are configured cost: resident memory, and CPU of a request to one of them. */
import { startColumns, stopAll } from "./columns.mjs";
import { byName, costOf, interleave, least, sayErrors, startEndpoints } from "./http-cost.mjs";
import { wrk } from "./loads.mjs";
import { delay, findProgram, rssBytes, treeOf } from "./processes.mjs";
import { number } from "./report.mjs";
import { startTulleProxy } from "./tulle.mjs";

const MEBIBYTE = 1024 * 1024;
const SETTLE_MS = 2000;

/** Tulle as it runs on a node, for every count of services. */
const onNode = (column) =>
  column.ours === true
    ? {
        ...column,
        start: (workbench, core, setup) =>
          startTulleProxy(
            workbench,
            core,
            { ...setup, address: column.address },
            { bin: column.bin, node: [column.node] },
          ),
      }
    : column;

/** One process with each count at the same time, so that their rounds are interleaved. */
async function measure(workbench, column, setups, { seconds, rounds, connections }) {
  const proxies = [];
  for (const [index, setup] of setups.entries()) {
    const own = column.ours === true ? { ...column, address: `127.0.0.${20 + index}` } : column;
    const [proxy] = await startColumns(workbench, [onNode(own)], setup);
    if (proxy === undefined) continue;
    proxies.push({ ...proxy, name: setup.services });
  }
  await delay(SETTLE_MS);
  const memory = new Map(proxies.map(({ name, program }) => [name, rssBytes(treeOf(program.pid)) / MEBIBYTE]));
  const run = (proxy, forSeconds) => wrk(workbench, proxy, { seconds: forSeconds, connections });
  await interleave(proxies, {
    rounds,
    warmUp: (proxy) => run(proxy, 2),
    round: (proxy) => costOf(proxy, () => run(proxy, seconds)),
  });
  sayErrors(proxies);
  await stopAll(workbench, proxies);
  return { memory, cost: byName(proxies, least("micros")) };
}

export async function runServices(workbench, options, results) {
  const counts = options.quick ? [1, 1000] : [1, 1000, 10_000];
  console.log(
    `With ${counts.map((count) => number(count)).join(", ")} services, ${options.rounds} interleaved rounds:`,
  );
  if (findProgram("wrk") === undefined) return console.log("wrk is not installed: apt-get install wrk\n");
  const endpoints = await startEndpoints(workbench);
  const setups = counts.map((services) => ({ kind: "http", services, ...endpoints }));
  const found = new Map();
  for (const column of options.columns) {
    try {
      found.set(column.name, await measure(workbench, column, setups, options));
    } catch (error) {
      console.log(`${column.name} is left out of this: ${error.message.slice(0, 300)}`);
    }
  }
  await stopAll(workbench, [endpoints]);
  const values = (what, services) =>
    new Map(
      [...found].filter(([, each]) => each[what].has(services)).map(([name, each]) => [name, each[what].get(services)]),
    );
  results.add([
    ...counts.map((services) => ({
      key: `services ${services} memory`,
      title: `MiB with services: ${number(services)}`,
      digits: 0,
      values: values("memory", services),
    })),
    ...counts.map((services) => ({
      key: `services ${services}`,
      title: `µs CPU a request with services: ${number(services)}`,
      digits: 1,
      values: values("cost", services),
    })),
  ]);
}
