/**
 * A soak: everything that the mesh carries, at once, while its endpoints come and go and its configuration changes
 * every 200 ms. `npm run soak -- --help`. A call that a perfect proxy would have served must be served, byte for byte;
 * memory and descriptors must stay level, and descriptors be given back at the end.
 */
import { parseArgs } from "node:util";
import { delay, openFiles, rssBytes, treeOf, Workbench } from "./processes.mjs";
import { aligned, mebibytes, number } from "./report.mjs";
import { runClients } from "./soak-clients.mjs";
import { startSoakEndpoints } from "./soak-endpoints.mjs";
import { growth, Ledger } from "./soak-ledger.mjs";
import { SoakMesh } from "./soak-mesh.mjs";

const CHANGE_EVERY_MS = 200;
const CRASH_EVERY_MS = 700;
const SAMPLE_EVERY_MS = 2000;
const LINES = 10;
/** In which idle connections to endpoints end, so that what stays open has leaked. */
const REST_MS = 100_000;
const MAX_GROWN_BYTES = 16 * 1024 * 1024;
const MAX_GROWN_FILES = 40;
const MAX_FILES_LEFT = 10;

const HELP = `npm run soak -- [options]     (or node bench/soak.mjs, after npm run build)

  --minutes N       how long (30; below 10, memory may not have come to its level, most of all on Node.js 24)
  --node FILE       the Node.js that runs Tulle (the one that runs this)
  --help

Exit code 1 when a call failed, or when memory or descriptors grew. Linux only.
`;

function readOptions() {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "30" },
      node: { type: "string", default: process.execPath },
      help: { type: "boolean", default: false },
    },
  });
  const minutes = Number(values.minutes);
  if (!(minutes > 0)) throw new Error(`--minutes takes a number above 0, not "${values.minutes}"`);
  return { ...values, minutes };
}

/** Does something again and again until the signal, that far apart. */
async function every(ms, signal, act) {
  while (!signal.aborted) {
    await act();
    await delay(ms);
  }
}

/** One address after the other leaves in good order, stays away and comes back. */
async function flap(mesh, endpoints, counts, signal) {
  for (let turn = 0; !signal.aborted; turn++) {
    const address = endpoints.addresses[turn % endpoints.addresses.length];
    await mesh.withdraw(address);
    await endpoints.leave(address);
    await delay(500);
    await endpoints.comeBack(address);
    await mesh.restore(address);
    counts.departures++;
    await delay(500);
  }
}

function crash(endpoints, counts, signal) {
  const { addresses } = endpoints;
  return every(CRASH_EVERY_MS, signal, () => endpoints.crash(addresses[counts.crashes++ % addresses.length]));
}

class Watch {
  samples = [];
  #pid;
  #ledger;
  #startedAt = performance.now();
  #lastPrinted = -1;
  #lines;

  constructor(pid, ledger, minutes) {
    this.#pid = pid;
    this.#ledger = ledger;
    this.#lines = Math.max(1, Math.floor((minutes * 60_000) / SAMPLE_EVERY_MS / LINES));
  }

  sample() {
    const { served, failed, cut } = this.#ledger.totals;
    const seconds = (performance.now() - this.#startedAt) / 1000;
    const rss = rssBytes(treeOf(this.#pid));
    this.samples.push({ seconds, served, failed, cut, rss, files: openFiles(this.#pid) });
    const line = Math.floor(this.samples.length / this.#lines);
    if (line > this.#lastPrinted) {
      this.#lastPrinted = line;
      console.log(
        `${number(seconds).padStart(5)} s: ${number(served)} served, ${number(failed)} failed, ${number(cut)} cut; ` +
          `${mebibytes(rss)} MiB, ${openFiles(this.#pid)} descriptors`,
      );
    }
  }
}

/** Runs it all for so long, and gives what was seen. */
async function soak(workbench, { minutes, node }) {
  const endpoints = await startSoakEndpoints();
  const mesh = new SoakMesh(workbench, endpoints);
  const { program, entries } = await mesh.start(workbench, node);
  const filesBefore = openFiles(program.pid);
  const ledger = new Ledger();
  const watch = new Watch(program.pid, ledger, minutes);
  const stop = new AbortController();
  const { signal } = stop;
  setTimeout(() => stop.abort(), minutes * 60_000);
  program.output.finally(() => stop.abort()).catch(() => {}); // it is seen afterwards that it does not run
  const counts = { changes: 0, departures: 0, crashes: 0 };
  const change = () => {
    counts.changes++;
    mesh.change();
  };
  const failing = (work) =>
    work.catch((error) => {
      stop.abort();
      throw error;
    });
  await Promise.all(
    [
      runClients(entries, ledger, signal),
      flap(mesh, endpoints, counts, signal),
      crash(endpoints, counts, signal),
      every(CHANGE_EVERY_MS, signal, change),
      every(SAMPLE_EVERY_MS, signal, () => watch.sample()),
    ].map(failing),
  );
  const { changes, departures, crashes } = counts;
  console.log(`${changes} changes, ${departures} departures and returns of endpoints, ${crashes} crashes`);
  console.log(`the callers are gone; what is open after ${REST_MS / 1000} s has leaked`);
  await delay(REST_MS);
  const alive = program.running();
  return { ledger, samples: watch.samples, filesBefore, filesAfter: alive ? openFiles(program.pid) : -1, alive };
}

/** Prints what was seen. @returns whether all of it is as it must be */
function report({ ledger, samples, filesBefore, filesAfter, alive }) {
  const rows = ledger
    .rows()
    .map(([kind, served, failed, cut, reasons]) => [kind, number(served), number(failed), number(cut), reasons]);
  console.log(`\n${aligned(["", "served", "failed", "cut", ""], rows)}\n`);
  const rss = growth(samples.map((sample) => sample.rss));
  const files = growth(samples.map((sample) => sample.files));
  const checks = [
    ["the process lives", alive, ""],
    ["no call failed", ledger.totals.failed === 0, `${ledger.totals.failed} of ${number(ledger.totals.served)}`],
    ["memory is level", rss.grown <= MAX_GROWN_BYTES, `${mebibytes(rss.before)} MiB, later ${mebibytes(rss.after)}`],
    ["descriptors are level", files.grown <= MAX_GROWN_FILES, `${files.before}, later ${files.after}`],
    [
      "descriptors are given back",
      filesAfter - filesBefore <= MAX_FILES_LEFT,
      `${filesBefore} before, ${filesAfter} after`,
    ],
  ];
  for (const [what, fine, seen] of checks)
    console.log(`${fine ? "yes" : "NO "}  ${what}${seen === "" ? "" : `: ${seen}`}`);
  return checks.every(([, fine]) => fine);
}

async function main() {
  const options = readOptions();
  if (options.help) return void process.stdout.write(HELP);
  if (process.platform !== "linux") throw new Error("the soak reads /proc and needs Linux");
  const workbench = new Workbench();
  try {
    if (!report(await soak(workbench, options))) process.exitCode = 1;
  } finally {
    await workbench.close();
  }
  process.exit(); // endpoints and callers' idle connections are of no more use
}

main().catch((error) => {
  console.error(`soak: ${error.message}`);
  process.exit(error.code?.startsWith("ERR_PARSE_ARGS") ? 2 : 1);
});
