/** HTTP/1.1 at saturation: µs of CPU that a proxy uses for a request, under each of wrk's loads. */
import { fileURLToPath } from "node:url";
import { BODY } from "./backend.mjs";
import { LOAD_CORE, startColumns, stopAll } from "./columns.mjs";
import { WRK_LOADS, wrk } from "./loads.mjs";
import { nginxBackend } from "./peers/nginx.mjs";
import { cpuMs, delay, findProgram, freePort, reachable } from "./processes.mjs";
import { median, number } from "./report.mjs";

const WARM_UP_SECONDS = 2;
const ENDPOINT_ADDRESSES = ["127.0.0.2", "127.0.0.3"];

/** Endpoints on a port of their own: nginx, else ours, which knows the small answer alone. */
export async function startEndpoints(workbench, { http2 = false } = {}) {
  const port = await freePort();
  const addresses = ENDPOINT_ADDRESSES;
  if (findProgram("nginx") !== undefined) {
    const program = await nginxBackend(workbench, LOAD_CORE, { addresses, port, body: BODY, http2 });
    return { program, addresses, targetPort: port };
  }
  if (http2) throw new Error("nginx is not installed, so there are no endpoints: apt-get install nginx");
  const file = fileURLToPath(new URL("backend.mjs", import.meta.url));
  const program = workbench.start(LOAD_CORE, process.execPath, [file, String(port), ...addresses]);
  await reachable(addresses[0], port);
  return { program, addresses, targetPort: port };
}

/** One round: what the load did, and the CPU that the proxy used for each of its requests. */
export async function costOf(proxy, load) {
  const before = cpuMs(proxy.program.pid);
  const done = await load();
  const usedMs = cpuMs(proxy.program.pid) - before;
  return { ...done, micros: (usedMs * 1000) / Math.max(1, done.requests) };
}

/** Rounds of each proxy in turn, after a warm-up of each; what they gave is in `proxy.rounds`. */
export async function interleave(proxies, { rounds, warmUp, round }) {
  for (const proxy of proxies) await warmUp(proxy);
  for (let done = 0; done < rounds; done++)
    for (const proxy of proxies) {
      await delay(200); // what the last one still does is not this one's
      proxy.rounds.push(await round(proxy));
    }
}

/** Values of a measure by column: `pick` of each proxy's rounds. */
export const byName = (proxies, pick) => new Map(proxies.map(({ name, rounds }) => [name, pick(rounds)]));
export const least = (field) => (rounds) => Math.min(...rounds.map((round) => round[field]));
export const middle = (field) => (rounds) => median(rounds.map((round) => round[field]));

/** Says which proxies had requests that failed, since their figures are then of something else. */
export function sayErrors(proxies) {
  for (const { name, rounds } of proxies) {
    const errors = rounds.reduce((sum, round) => sum + round.errors, 0);
    if (errors > 0) console.log(`${name}: ${number(errors)} requests failed`);
  }
}

const TITLES = {
  small: ["µs CPU a request", "requests/s seen"],
  answers: ["µs CPU a request, answers of 64 KiB", "requests/s seen, answers of 64 KiB"],
  uploads: ["µs CPU a request, content of 64 KiB", "requests/s seen, content of 64 KiB"],
  connections: ["µs CPU a new connection with a request", "new connections/s seen"],
};

async function measure(workbench, proxies, name, { seconds, rounds, connections }) {
  const run = (proxy, forSeconds) => wrk(workbench, proxy, { load: WRK_LOADS[name], seconds: forSeconds, connections });
  for (const proxy of proxies) proxy.rounds = [];
  await interleave(proxies, {
    rounds,
    warmUp: (proxy) => run(proxy, WARM_UP_SECONDS),
    round: (proxy) => costOf(proxy, () => run(proxy, seconds)),
  });
  sayErrors(proxies);
  const [cost, rate] = TITLES[name];
  return [
    { key: name, title: cost, digits: 1, values: byName(proxies, least("micros")) },
    { key: `${name} median`, title: `${cost}: median`, digits: 1, values: byName(proxies, middle("micros")) },
    { key: `${name} rate`, title: rate, digits: 0, values: byName(proxies, middle("perSecond")) },
  ];
}

/** @param loads names of `WRK_LOADS` */
export async function runHttp(workbench, options, results, loads) {
  const { seconds, rounds, connections, columns } = options;
  console.log(
    `HTTP/1.1, ${connections} connections, ${rounds} interleaved rounds of ${seconds} s: ${loads.join(", ")}`,
  );
  if (findProgram("wrk") === undefined) return console.log("wrk is not installed: apt-get install wrk\n");
  const endpoints = await startEndpoints(workbench);
  const proxies = await startColumns(workbench, columns, { kind: "http", services: 1, ...endpoints });
  for (const load of loads) results.add(await measure(workbench, proxies, load, options));
  await stopAll(workbench, [...proxies, endpoints]);
}
