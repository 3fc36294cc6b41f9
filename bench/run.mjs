/**
 * What Tulle and its peers cost, in one run: rounds are interleaved, so that what else happens on the machine falls on
 * all of them. `npm run bench -- --help` says what can be set.
 */
import { writeFileSync } from "node:fs";
import os from "node:os";
import { parseArgs } from "node:util";
import { runAbuse } from "./abuse.mjs";
import { BODY } from "./backend.mjs";
import { columnsOf, PROXY_NAMES } from "./columns.mjs";
import { runFeatures } from "./features-cost.mjs";
import { runH2c } from "./h2c-cost.mjs";
import { runHttp } from "./http-cost.mjs";
import { runIdle } from "./idle-memory.mjs";
import { runLatency } from "./latency.mjs";
import { WRK_LOADS } from "./loads.mjs";
import { findProgram, Workbench } from "./processes.mjs";
import { markdown, Results } from "./report.mjs";
import { runServices } from "./services-cost.mjs";
import { judgements } from "./targets.mjs";
import { runTcp } from "./tcp-cost.mjs";
import { OUR_BIN } from "./tulle.mjs";

/** By name: what is run; the loads of wrk share their proxies. */
const OTHER_PARTS = {
  latency: runLatency,
  h2c: runH2c,
  tcp: runTcp,
  features: runFeatures,
  services: runServices,
  idle: runIdle,
};
const HTTP_PARTS = Object.keys(WRK_LOADS);
const PARTS = [...HTTP_PARTS, ...Object.keys(OTHER_PARTS), "abuse"];

const HELP = `npm run bench -- [options]     (or node bench/run.mjs, after npm run build)

  --seconds N       length of a round (5)
  --rounds N        rounds of each proxy (3)
  --connections N   connections of the load (64)
  --quick           one round of one second, fewer idle connections and services: does it run at all
  --only LIST       some of ${PARTS.join(", ")}
                    (which parts; http: the first four) and of ${PROXY_NAMES.join(", ")} (which proxies);
                    of a sort that the list does not name, all
  --node FILE       another Node.js to run Tulle on, a column of its own; may be repeated
  --tulle FILE      another build's bin/tulle, to compare with
  --markdown FILE   writes the whole as tables in Markdown
  --help

Linux only. The loads are wrk and h2load: apt-get install wrk nghttp2-client haproxy nginx
Envoy, Traefik and another Node.js: npm run bench:peers
`;

const OPTIONS = {
  seconds: { type: "string" },
  rounds: { type: "string" },
  connections: { type: "string" },
  quick: { type: "boolean", default: false },
  only: { type: "string", default: "" },
  node: { type: "string", multiple: true, default: [] },
  tulle: { type: "string", default: OUR_BIN },
  markdown: { type: "string" },
  help: { type: "boolean", default: false },
};

/** Parts and proxies that a list names. */
function selection(text) {
  const only = text.split(",").flatMap((name) => (name === "http" ? HTTP_PARTS : name === "" ? [] : [name]));
  const known = [...PARTS, ...PROXY_NAMES];
  const unknown = only.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`--only knows http, ${known.join(", ")}, not "${unknown}"`);
  const named = (all) => (only.some((name) => all.includes(name)) ? all.filter((name) => only.includes(name)) : all);
  return { parts: named(PARTS), proxies: named(PROXY_NAMES) };
}

function readOptions() {
  const { values } = parseArgs({ options: OPTIONS });
  const { quick, help, tulle, node, markdown: file } = values;
  const count = (name, usual) => {
    const number = Number(values[name] ?? usual);
    if (Number.isInteger(number) && number > 0) return number;
    throw new Error(`--${name} takes a whole number above 0, not "${values[name]}"`);
  };
  const installed = ["node24", "node20"].map(findProgram).filter((each) => each !== undefined);
  return {
    help,
    quick,
    file,
    bin: tulle,
    nodes: [...node, ...installed],
    seconds: count("seconds", quick ? 1 : 5),
    rounds: count("rounds", quick ? 1 : 3),
    connections: count("connections", 64),
    ...selection(values.only),
  };
}

function describe(columns) {
  const cpus = os.cpus();
  const pinning =
    cpus.length > 1 && findProgram("taskset") !== undefined
      ? "each proxy on core 0, load and endpoints on core 1"
      : "NOT PINNED (one core, or no taskset): figures include the load's disturbance";
  const machine = `${cpus[0]?.model ?? "unknown processor"}, ${cpus.length} cores, Linux ${os.release()}`;
  const versions = columns.map(({ name, version }) => `${name.replace(/,.*/, " on Node.js")} ${version}`);
  return [
    `${new Date().toISOString().slice(0, 10)}; ${machine}; ${pinning}.`,
    `${versions.join(", ")}.`,
    `Load average ${os.loadavg()[0].toFixed(1)} before the run; small answers have ${BODY.length} bytes.`,
  ].join("\n");
}

/** Prints how Tulle stands to its targets, and gives the same in Markdown. */
function judge(results, columns) {
  const titles = ["target", "limit", "seen", ""];
  const rows = judgements(results, columns);
  if (rows.length === 0) return "";
  for (const [target, limit, seen, verdict] of rows) console.log(`${verdict.padEnd(6)}  ${target}: ${seen} (${limit})`);
  return markdown(titles, rows);
}

async function run(workbench, options, results) {
  const { parts } = options;
  const loads = HTTP_PARTS.filter((name) => parts.includes(name));
  const each = [
    ...(loads.length > 0 ? [["http", () => runHttp(workbench, options, results, loads)]] : []),
    ...Object.entries(OTHER_PARTS)
      .filter(([name]) => parts.includes(name))
      .map(([name, part]) => [name, () => part(workbench, options, results)]),
  ];
  for (const [name, part] of each) {
    try {
      await part();
    } catch (error) {
      process.exitCode = 1;
      console.error(`bench: ${name}: ${error.message}\n`); // the other parts have their figures still
    }
  }
  const attackable = parts.includes("abuse") && options.proxies.includes("tulle");
  if (attackable && !(await runAbuse(workbench, options.bin))) process.exitCode = 1;
}

async function main() {
  const options = readOptions();
  if (options.help) return void process.stdout.write(HELP);
  if (process.platform !== "linux") throw new Error("the benches read /proc and need Linux");
  const columns = columnsOf(options);
  const about = describe(columns);
  console.log(`${about}\n`);
  const results = new Results(columns.map(({ name }) => name));
  const workbench = new Workbench();
  try {
    await run(workbench, { ...options, columns }, results);
  } finally {
    await workbench.close();
  }
  const targets = judge(results, columns);
  if (options.file !== undefined) writeFileSync(options.file, [about, results.markdown(), targets, ""].join("\n\n"));
}

main().catch((error) => {
  console.error(`bench: ${error.message}`);
  process.exitCode = error.code?.startsWith("ERR_PARSE_ARGS") ? 2 : 1;
});
