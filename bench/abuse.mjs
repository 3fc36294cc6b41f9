/**
 * Memory that Tulle adds while it is abused: `npm run bench -- --only abuse`, or `node bench/abuse.mjs` after a build.
 *
 * Each attack meets a process of its own, warmed up and settled, so that no attack hides behind the heap that another one
 * left. The peak of its resident memory while the attack runs and is held, less what it had before, must stay under
 * 64 MiB; after the attack an ordinary request must get 200.
 */
import { pathToFileURL } from "node:url";
import { startFarEnd } from "./abuse-far-end.mjs";
import { ATTACKS } from "./attacks.mjs";
import { delay, freePort, rssBytes, treeOf, Workbench } from "./processes.mjs";
import { mebibytes, row } from "./report.mjs";
import { OUR_BIN, startTulle } from "./tulle.mjs";

const LIMIT_BYTES = 64 * 1024 * 1024;
const WARM_UP_REQUESTS = 20_000;
const WARM_UP_CONNECTIONS = 32;
const SETTLE_MS = 1500;
const SAMPLE_EVERY_MS = 25;
/** Of the columns; rows are printed as they come. */
const WIDTHS = [Math.max(...ATTACKS.map(({ name }) => name.length)), 4, 9, 10, 12, 0];

/** Ordinary calls over keep-alive connections, until the code is compiled and the heap has its working size. */
async function warmUp(entry) {
  const url = `http://${entry.address}:${entry.port}/`;
  let left = WARM_UP_REQUESTS;
  const one = async () => {
    while (left-- > 0) await (await fetch(url)).arrayBuffer();
  };
  await Promise.all(Array.from({ length: WARM_UP_CONNECTIONS }, one));
  await delay(SETTLE_MS);
}

/** Status of an ordinary request on a connection of its own, or what went wrong. */
async function ordinaryRequest(entry) {
  try {
    const url = `http://${entry.address}:${entry.port}/`;
    const answer = await fetch(url, { headers: { connection: "close" }, signal: AbortSignal.timeout(5000) });
    await answer.arrayBuffer();
    return String(answer.status);
  } catch (error) {
    return error.cause?.code ?? error.name;
  }
}

/** Runs `work` and gives its result with the highest resident memory seen meanwhile. */
async function withPeak(pids, work) {
  let peak = rssBytes(pids);
  const timer = setInterval(() => {
    peak = Math.max(peak, rssBytes(pids));
  }, SAMPLE_EVERY_MS);
  try {
    const result = await work();
    return { result, peak: Math.max(peak, rssBytes(pids)) };
  } finally {
    clearInterval(timer);
  }
}

async function runOne(workbench, attack, farEnd, targetPort, bin) {
  const service = { name: "app", trafficType: "http", port: 18082, addresses: farEnd.addresses, targetPort };
  const { program, entries } = await startTulle(workbench, 0, [service], { bin });
  try {
    const entry = entries.get("app");
    await warmUp(entry);
    const pids = treeOf(program.pid);
    const before = rssBytes(pids);
    const { result, peak } = await withPeak(pids, () => attack.run(entry, farEnd));
    const added = peak - before;
    await delay(500);
    const answer = await ordinaryRequest(entry);
    const then = program.running() ? answer : "died";
    return { added, before, then, note: result, fine: added <= LIMIT_BYTES && then === "200" };
  } finally {
    await workbench.stop(program);
  }
}

/** Prints a line for each attack. Resolves to whether all of them were withstood. */
export async function runAbuse(workbench, bin = OUR_BIN) {
  console.log("Abuse: memory added by each attack, to a process of its own (at most 64 MiB):");
  const targetPort = await freePort();
  const farEnd = await startFarEnd(targetPort);
  row(WIDTHS, ["attack", "", "MiB added", "MiB before", "then", "what happened"]);
  let allFine = true;
  for (const attack of ATTACKS) {
    try {
      const { added, before, then, note, fine } = await runOne(workbench, attack, farEnd, targetPort, bin);
      allFine &&= fine;
      const verdict = fine ? "PASS" : added > LIMIT_BYTES ? "OVER" : "DOWN";
      row(WIDTHS, [attack.name, verdict, mebibytes(added), mebibytes(before), then, note]);
    } catch (error) {
      allFine = false;
      row(WIDTHS, [attack.name, "FAIL", "–", "–", "–", error.message]);
    }
    farEnd.dropAll();
  }
  farEnd.close();
  console.log("");
  return allFine;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const workbench = new Workbench();
  runAbuse(workbench)
    .then((fine) => {
      process.exitCode = fine ? 0 : 1;
    })
    .catch((error) => {
      console.error(`bench: ${error.message}`);
      process.exitCode = 1;
    })
    .finally(() => workbench.close());
}
