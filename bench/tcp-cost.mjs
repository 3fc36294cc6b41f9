/** TCP: CPU that a proxy uses to pass bytes one way. The load shares the other core, so this is cost, not top speed. */
import { fileURLToPath } from "node:url";
import { LOAD_CORE, PROXY_CORE } from "./http-cost.mjs";
import { haproxyTcp } from "./peers.mjs";
import { cpuMs, delay, findProgram, freePort, reachable } from "./processes.mjs";
import { median, number, table } from "./report.mjs";
import { startTulle } from "./tulle.mjs";

const FLOWS = 4;
const GIBIBYTE = 1024 ** 3;
const LOAD = fileURLToPath(new URL("flow-load.mjs", import.meta.url));

async function round(workbench, proxy, seconds) {
  const before = cpuMs(proxy.program.pid);
  const args = [LOAD, "source", proxy.address, String(proxy.port), String(seconds), String(FLOWS)];
  const { bytes } = JSON.parse(await workbench.start(LOAD_CORE, process.execPath, args).line);
  const usedMs = cpuMs(proxy.program.pid) - before;
  proxy.rounds.push({ msPerGibibyte: usedMs / (bytes / GIBIBYTE), gigabitPerSecond: (bytes * 8) / 1e9 / seconds });
}

async function startAll(workbench, service, { proxies: wanted, bin }) {
  const proxies = [];
  if (wanted.includes("tulle")) {
    const { program, entries } = await startTulle(workbench, PROXY_CORE, [service], bin);
    proxies.push({ name: "tulle", rounds: [], program, ...entries.get(service.name) });
  }
  if (wanted.includes("haproxy") && findProgram("haproxy") !== undefined)
    proxies.push({ name: "haproxy", rounds: [], ...(await haproxyTcp(workbench, PROXY_CORE, service)) });
  return proxies;
}

/** Prints CPU time a GiB of each proxy that is wanted and there. */
export async function runTcp(workbench, options) {
  const { seconds, rounds } = options;
  console.log(`TCP, ${FLOWS} flows that send as fast as they may, ${rounds} interleaved rounds of ${seconds} s:`);
  const targetPort = await freePort();
  const service = { name: "flow", trafficType: "tcp", port: 18081, addresses: ["127.0.0.2"], targetPort };
  const args = [LOAD, "sink", String(targetPort), ...service.addresses];
  const sink = workbench.start(LOAD_CORE, process.execPath, args);
  await reachable(service.addresses[0], targetPort);
  const proxies = await startAll(workbench, service, options);
  for (const proxy of proxies) await round(workbench, proxy, 1);
  for (const proxy of proxies) proxy.rounds.length = 0; // that was the warm-up
  for (let done = 0; done < rounds; done++)
    for (const proxy of proxies) {
      await delay(200);
      await round(workbench, proxy, seconds);
    }
  for (const { program } of [...proxies, { program: sink }]) await workbench.stop(program);
  table(
    ["", "ms CPU/GiB: min", "median", "Gbit/s at full use of a core", "Gbit/s seen"],
    proxies.map(({ name, rounds: all }) => {
      const least = Math.min(...all.map(({ msPerGibibyte }) => msPerGibibyte));
      return [
        name,
        number(least),
        number(median(all.map(({ msPerGibibyte }) => msPerGibibyte))),
        number((GIBIBYTE * 8) / 1e6 / least, 1),
        number(median(all.map(({ gigabitPerSecond }) => gigabitPerSecond)), 1),
      ];
    }),
  );
  console.log("");
}
