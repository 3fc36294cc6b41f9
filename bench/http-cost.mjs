/** HTTP/1.1 keep-alive: µs of CPU that a proxy uses for a request. */
import { fileURLToPath } from "node:url";
import { BODY } from "./backend.mjs";
import { nginxBackend, PEERS } from "./peers.mjs";
import { cpuMs, delay, findProgram, freePort, reachable } from "./processes.mjs";
import { median, number, table } from "./report.mjs";
import { startTulle } from "./tulle.mjs";

export const PROXY_CORE = 0;
export const LOAD_CORE = 1;
const WARM_UP_SECONDS = 2;
const ENDPOINT_ADDRESSES = ["127.0.0.2", "127.0.0.3"];

const tulle = {
  name: "tulle",
  async start(workbench, core, service, bin) {
    const { program, entries } = await startTulle(workbench, core, [service], bin);
    return { program, ...entries.get(service.name) };
  },
};

async function startBackend(workbench, port) {
  if (findProgram("nginx") !== undefined) return nginxBackend(workbench, LOAD_CORE, ENDPOINT_ADDRESSES, port, BODY);
  const file = fileURLToPath(new URL("backend.mjs", import.meta.url));
  const args = [file, String(port), ...ENDPOINT_ADDRESSES];
  const program = workbench.start(LOAD_CORE, process.execPath, args);
  await reachable(ENDPOINT_ADDRESSES[0], port);
  return program;
}

/** One run of wrk: requests answered, how many a second, and how many went wrong. */
async function load(workbench, wrk, { address, port }, seconds, connections) {
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, `http://${address}:${port}/`];
  const text = await workbench.start(LOAD_CORE, wrk, args).output;
  const [, requests, took] = /(\d+) requests in ([\d.]+)s/.exec(text) ?? [];
  if (requests === undefined) throw new Error(`wrk said: ${text}`);
  const socketErrors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text);
  const badStatus = /Non-2xx or 3xx responses: (\d+)/.exec(text);
  const errors = [...(socketErrors?.slice(1) ?? []), badStatus?.[1] ?? 0].reduce((sum, n) => sum + Number(n), 0);
  return { requests: Number(requests), perSecond: Number(requests) / Number(took), errors };
}

async function round(workbench, wrk, proxy, { seconds, connections }) {
  const before = cpuMs(proxy.program.pid);
  const { requests, perSecond, errors } = await load(workbench, wrk, proxy, seconds, connections);
  const usedMs = cpuMs(proxy.program.pid) - before;
  proxy.rounds.push({ micros: (usedMs * 1000) / Math.max(1, requests), perSecond, errors });
}

async function startAll(workbench, service, { proxies, bin }) {
  const running = [];
  for (const proxy of [tulle, ...PEERS].filter(({ name }) => proxies.includes(name))) {
    if (proxy !== tulle && findProgram(proxy.package) === undefined) {
      console.log(`${proxy.name} is not installed, so it is left out: apt-get install ${proxy.package}`);
      continue;
    }
    running.push({ name: proxy.name, rounds: [], ...(await proxy.start(workbench, PROXY_CORE, service, bin)) });
  }
  return running;
}

function report(proxies) {
  const rows = proxies.map(({ name, rounds }) => ({
    name,
    least: Math.min(...rounds.map(({ micros }) => micros)),
    middle: median(rounds.map(({ micros }) => micros)),
    perSecond: median(rounds.map(({ perSecond }) => perSecond)),
    errors: rounds.reduce((sum, { errors }) => sum + errors, 0),
  }));
  table(
    ["", "µs CPU/request: min", "median", "requests/s", "errors"],
    rows.map((row) => [
      row.name,
      number(row.least, 1),
      number(row.middle, 1),
      number(row.perSecond),
      String(row.errors),
    ]),
  );
  const ours = rows.find(({ name }) => name === "tulle");
  for (const peer of rows.filter((row) => ours !== undefined && row !== ours))
    console.log(
      `tulle / ${peer.name}: ${number(ours.least / peer.least, 2)} (min), ${number(ours.middle / peer.middle, 2)} (median)`,
    );
  console.log("");
}

/** Prints CPU time a request of each proxy that is wanted and there. */
export async function runHttp(workbench, options) {
  const { seconds, rounds, connections } = options;
  console.log(`HTTP/1.1, ${connections} keep-alive connections, ${rounds} interleaved rounds of ${seconds} s:`);
  const wrk = findProgram("wrk");
  if (wrk === undefined) {
    console.log("wrk is not installed, so there is no load: apt-get install wrk\n");
    return;
  }
  const targetPort = await freePort();
  const service = { name: "app", trafficType: "http", port: 18080, addresses: ENDPOINT_ADDRESSES, targetPort };
  const backend = await startBackend(workbench, targetPort);
  const proxies = await startAll(workbench, service, options);
  for (const proxy of proxies) await load(workbench, wrk, proxy, WARM_UP_SECONDS, connections);
  for (let done = 0; done < rounds; done++)
    for (const proxy of proxies) {
      await delay(200); // what the last one still does is not this one's
      await round(workbench, wrk, proxy, options);
    }
  for (const { program } of [...proxies, { program: backend }]) await workbench.stop(program);
  report(proxies);
}
