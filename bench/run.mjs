/**
 * CPU time a request, for Tulle and for its peers, in one run: rounds are interleaved, so that what else happens on the
 * machine falls on all of them. `npm run bench -- --help` says what can be set.
 */
import os from "node:os";
import { parseArgs } from "node:util";
import { runAbuse } from "./abuse.mjs";
import { BODY } from "./backend.mjs";
import { runHttp } from "./http-cost.mjs";
import { findProgram, Workbench } from "./processes.mjs";
import { runTcp } from "./tcp-cost.mjs";
import { OUR_BIN } from "./tulle.mjs";

const PARTS = ["http", "tcp", "abuse"];
const PROXIES = ["tulle", "haproxy", "nginx"];

const HELP = `npm run bench -- [options]     (or node bench/run.mjs, after npm run build)

  --seconds N       length of a round (5)
  --rounds N        rounds of each proxy (3)
  --connections N   keep-alive connections of the load (64)
  --only LIST       some of http, tcp, abuse (which parts) and of tulle, haproxy, nginx (which proxies);
                    of a sort that the list does not name, all
  --tulle FILE      another build's bin/tulle, to compare with
  --help

Linux only. The load is wrk; the peers are HAProxy and nginx. apt-get install wrk haproxy nginx
`;

function readOptions() {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "5" },
      rounds: { type: "string", default: "3" },
      connections: { type: "string", default: "64" },
      only: { type: "string", default: "" },
      tulle: { type: "string", default: OUR_BIN },
      help: { type: "boolean", default: false },
    },
  });
  const count = (name) => {
    const number = Number(values[name]);
    if (Number.isInteger(number) && number > 0) return number;
    throw new Error(`--${name} takes a whole number above 0, not "${values[name]}"`);
  };
  const only = values.only.split(",").filter((name) => name !== "");
  const unknown = only.find((name) => ![...PARTS, ...PROXIES].includes(name));
  if (unknown !== undefined) throw new Error(`--only knows ${[...PARTS, ...PROXIES].join(", ")}, not "${unknown}"`);
  const named = (all) => (only.some((name) => all.includes(name)) ? only.filter((name) => all.includes(name)) : all);
  return {
    help: values.help,
    bin: values.tulle,
    seconds: count("seconds"),
    rounds: count("rounds"),
    connections: count("connections"),
    parts: named(PARTS),
    proxies: named(PROXIES),
  };
}

function describeMachine() {
  const cpus = os.cpus();
  const pinning =
    cpus.length > 1 && findProgram("taskset") !== undefined
      ? "each proxy alone on core 0, load and backend on core 1"
      : "NOT PINNED (one core, or no taskset): figures include the load's disturbance";
  console.log(`${cpus[0]?.model ?? "unknown processor"}, ${cpus.length} cores, Node ${process.version}; ${pinning}.`);
  console.log(`Answers have ${BODY.length} bytes; two endpoints; Tulle runs with its defaults.\n`);
}

async function main() {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(HELP);
    return;
  }
  if (process.platform !== "linux") throw new Error("the benches read /proc and need Linux");
  describeMachine();
  const workbench = new Workbench();
  try {
    if (options.parts.includes("http")) await runHttp(workbench, options);
    if (options.parts.includes("tcp")) await runTcp(workbench, options);
    if (options.parts.includes("abuse") && !(await runAbuse(workbench, options.bin))) process.exitCode = 1;
  } finally {
    await workbench.close();
  }
}

main().catch((error) => {
  console.error(`bench: ${error.message}`);
  process.exitCode = error.code?.startsWith("ERR_PARSE_ARGS") ? 2 : 1;
});
