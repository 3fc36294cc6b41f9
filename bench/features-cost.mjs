/** What access control and a split add to the cost of a request: Tulle beside itself, as it runs on a node. */
import { PROXY_CORE, stopAll } from "./columns.mjs";
import { byName, costOf, interleave, least, sayErrors, startEndpoints } from "./http-cost.mjs";
import { wrk } from "./loads.mjs";
import { findProgram } from "./processes.mjs";
import { startTulleProxy } from "./tulle.mjs";

const VARIANTS = {
  plain: {},
  access: { access: true },
  split: { split: true },
  both: { access: true, split: true },
};
const TITLES = {
  access: "% of CPU a request that access control adds",
  split: "% of CPU a request that a split adds",
  both: "% of CPU a request that both add",
};

async function measure(workbench, { bin, node }, endpoints, { seconds, rounds, connections }) {
  const proxies = [];
  for (const [name, features] of Object.entries(VARIANTS)) {
    const address = `127.0.0.${30 + proxies.length}`;
    const setup = { ...endpoints, services: 1, address, ...features };
    const proxy = await startTulleProxy(workbench, PROXY_CORE, setup, { bin, node: [node] });
    proxies.push({ ...proxy, name, rounds: [] });
  }
  const run = (proxy, forSeconds) => wrk(workbench, proxy, { seconds: forSeconds, connections });
  await interleave(proxies, {
    rounds,
    warmUp: (proxy) => run(proxy, 2),
    round: (proxy) => costOf(proxy, () => run(proxy, seconds)),
  });
  sayErrors(proxies);
  await stopAll(workbench, proxies);
  return byName(proxies, least("micros"));
}

export async function runFeatures(workbench, options, results) {
  const ours = options.columns.filter(({ ours }) => ours === true);
  if (ours.length === 0) return;
  console.log(`Access control and a split, ${options.rounds} interleaved rounds of ${options.seconds} s:`);
  if (findProgram("wrk") === undefined) return console.log("wrk is not installed: apt-get install wrk\n");
  const endpoints = await startEndpoints(workbench);
  const found = new Map();
  for (const column of ours) found.set(column.name, await measure(workbench, column, endpoints, options));
  await stopAll(workbench, [endpoints]);
  const added = (costs, key) => (costs.get(key) / costs.get("plain") - 1) * 100;
  results.add(
    Object.entries(TITLES).map(([key, title]) => ({
      key,
      title,
      digits: 1,
      values: new Map([...found].map(([name, costs]) => [name, added(costs, key)])),
    })),
  );
}
