/**
 * Resident memory with idle connections: each has had an answer and says no more. A process of its own for each column.
 */
import { fileURLToPath } from "node:url";
import { LOAD_CORE, startColumns, stopAll } from "./columns.mjs";
import { startEndpoints } from "./http-cost.mjs";
import { delay, openFilesLimit, rssBytes, treeOf } from "./processes.mjs";
import { number } from "./report.mjs";

const LOAD = fileURLToPath(new URL("idle-load.mjs", import.meta.url));
const SETTLE_MS = 3000;
const MEBIBYTE = 1024 * 1024;
/** Some proxies may have two descriptors for a connection. */
const affordable = (count) => Math.min(count, Math.floor((openFilesLimit() - 500) / 2));

/** Opens connections up to `count` in all, and gives the memory that is resident then. */
async function memoryWith(workbench, proxy, count) {
  if (count > proxy.held) {
    const args = [LOAD, proxy.address, String(proxy.port), proxy.host, String(count - proxy.held)];
    const program = workbench.start(LOAD_CORE, process.execPath, args);
    proxy.loads.push({ program });
    const { open } = JSON.parse(await program.line);
    if (open !== count - proxy.held)
      throw new Error(`${proxy.name} holds ${open} of ${count - proxy.held} connections`);
    proxy.held = count;
  }
  await delay(SETTLE_MS);
  return rssBytes(treeOf(proxy.program.pid));
}

async function measure(workbench, proxy, counts) {
  Object.assign(proxy, { held: 0, loads: [] });
  const bytes = [];
  for (const count of counts) bytes.push(await memoryWith(workbench, proxy, count));
  await stopAll(workbench, proxy.loads);
  return bytes;
}

export async function runIdle(workbench, { columns, quick }, results) {
  const counts = (quick ? [1, 1000] : [1, 1000, 10_000]).map(affordable);
  console.log(
    `Memory with ${counts.map((count) => number(count)).join(", ")} idle connections (ulimit -n sets the last):`,
  );
  const endpoints = await startEndpoints(workbench);
  const found = new Map();
  for (const column of columns) {
    const proxies = await startColumns(workbench, [column], { kind: "http", services: 1, ...endpoints });
    for (const proxy of proxies) {
      try {
        found.set(proxy.name, await measure(workbench, proxy, counts));
      } catch (error) {
        console.log(`${proxy.name} is left out of this: ${error.message}`);
      }
    }
    await stopAll(workbench, proxies);
  }
  await stopAll(workbench, [endpoints]);
  const values = (pick) => new Map([...found].map(([name, bytes]) => [name, pick(bytes)]));
  const last = counts.length - 1;
  const each = (bytes) => (bytes[last] - bytes[0]) / 1024 / (counts[last] - counts[0]);
  results.add([
    ...counts.map((count, index) => ({
      key: `idle ${count}`,
      title: `MiB with idle connections: ${number(count)}`,
      digits: 1,
      values: values((bytes) => bytes[index] / MEBIBYTE),
    })),
    { key: "idle", title: "KiB an idle connection", digits: 1, values: values(each) },
  ]);
}
