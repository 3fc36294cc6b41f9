/** TCP: CPU that a proxy uses to pass bytes one way. The load shares the other core, so this is cost, not top speed. */
import { fileURLToPath } from "node:url";
import { LOAD_CORE, startColumns, stopAll } from "./columns.mjs";
import { byName, interleave, least, middle } from "./http-cost.mjs";
import { cpuMs, freePort, reachable } from "./processes.mjs";

const FLOWS = 4;
const GIBIBYTE = 1024 ** 3;
const LOAD = fileURLToPath(new URL("flow-load.mjs", import.meta.url));

async function round(workbench, proxy, seconds) {
  const before = cpuMs(proxy.program.pid);
  const args = [LOAD, "source", proxy.address, String(proxy.port), String(seconds), String(FLOWS)];
  const { bytes } = JSON.parse(await workbench.start(LOAD_CORE, process.execPath, args).line);
  const usedMs = cpuMs(proxy.program.pid) - before;
  return { msPerGibibyte: usedMs / (bytes / GIBIBYTE), gigabitPerSecond: (bytes * 8) / 1e9 / seconds };
}

/** What a core would pass if it did nothing else, by column. */
const atFullUse = (costs) => new Map([...costs].map(([name, ms]) => [name, (GIBIBYTE * 8) / 1e6 / ms]));

export async function runTcp(workbench, { seconds, rounds, columns }, results) {
  console.log(`TCP, ${FLOWS} flows that send as fast as they may, ${rounds} interleaved rounds of ${seconds} s:`);
  const addresses = ["127.0.0.2"];
  const targetPort = await freePort();
  const sink = workbench.start(LOAD_CORE, process.execPath, [LOAD, "sink", String(targetPort), ...addresses]);
  await reachable(addresses[0], targetPort);
  const proxies = await startColumns(workbench, columns, { kind: "tcp", services: 1, addresses, targetPort });
  await interleave(proxies, {
    rounds,
    warmUp: (proxy) => round(workbench, proxy, 1),
    round: (proxy) => round(workbench, proxy, seconds),
  });
  await stopAll(workbench, [...proxies, { program: sink }]);
  const costs = byName(proxies, least("msPerGibibyte"));
  results.add([
    { key: "tcp cost", title: "ms CPU a GiB, TCP", digits: 0, values: costs },
    { key: "tcp", title: "Gbit/s a core, TCP", digits: 1, values: atFullUse(costs) },
    { key: "tcp seen", title: "Gbit/s seen, TCP", digits: 1, values: byName(proxies, middle("gigabitPerSecond")) },
  ]);
}
