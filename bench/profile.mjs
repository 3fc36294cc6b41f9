/**
 * A CPU profile of Tulle under load: `npm run profile -- --help`. The file opens as a flame chart in Chrome's developer
 * tools, VS Code or speedscope; the functions with the most time of their own are printed.
 */
import { existsSync, readFileSync, renameSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { PROXY_CORE, stopAll } from "./columns.mjs";
import { startEndpoints } from "./http-cost.mjs";
import { h2load, WRK_LOADS, wrk } from "./loads.mjs";
import { delay, findProgram, Workbench } from "./processes.mjs";
import { number, table } from "./report.mjs";
import { selfTimes } from "./self-times.mjs";
import { OUR_BIN, startTulle } from "./tulle.mjs";

const LOADS = [...Object.keys(WRK_LOADS), "h2c"];
const WARM_UP_SECONDS = 3;
const WRITTEN_WITHIN_MS = 30_000;
const HOOK = new URL("profile-hook.mjs", import.meta.url).href;

const HELP = `npm run profile -- [options]     (or node bench/profile.mjs, after npm run build)

  --load NAME       ${LOADS.join(", ")} (small)
  --seconds N       how long it is looked at (10)
  --top N           functions that are printed (30)
  --node FILE       the Node.js that runs Tulle (the one that runs this)
  --out FILE        the profile (tulle.cpuprofile)
  --help
`;

function readOptions() {
  const { values } = parseArgs({
    options: {
      load: { type: "string", default: "small" },
      seconds: { type: "string", default: "10" },
      top: { type: "string", default: "30" },
      node: { type: "string", default: process.execPath },
      out: { type: "string", default: "tulle.cpuprofile" },
      help: { type: "boolean", default: false },
    },
  });
  if (!LOADS.includes(values.load)) throw new Error(`--load knows ${LOADS.join(", ")}, not "${values.load}"`);
  for (const name of ["seconds", "top"])
    if (!(Number.isInteger(Number(values[name])) && Number(values[name]) > 0))
      throw new Error(`--${name} takes a whole number above 0, not "${values[name]}"`);
  return { ...values, seconds: Number(values.seconds), top: Number(values.top), out: path.resolve(values.out) };
}

/** Runs the load with the profile of it taken; resolves once the profile is written. */
async function profileOf(workbench, { load, seconds, node, out }) {
  const scheme = load === "h2c" ? "h2c" : "http";
  const { program: backend, ...endpoints } = await startEndpoints(workbench, { http2: load === "h2c" });
  const service = { name: "app", trafficType: "http", scheme, port: 18084, ...endpoints };
  process.env.TULLE_PROFILE = `${out}.new`;
  const { program, entries } = await startTulle(workbench, PROXY_CORE, [service], { node: [node, "--import", HOOK] });
  const proxy = { ...entries.get("app"), host: "app.bench.traefik.mesh" };
  const run = (forSeconds) =>
    load === "h2c"
      ? h2load(workbench, proxy, forSeconds)
      : wrk(workbench, proxy, { load: WRK_LOADS[load], seconds: forSeconds, connections: 64 });
  await run(WARM_UP_SECONDS);
  process.kill(program.pid, "SIGUSR2");
  const done = await run(seconds);
  process.kill(program.pid, "SIGUSR2");
  for (const until = Date.now() + WRITTEN_WITHIN_MS; !existsSync(`${out}.new`); await delay(100))
    if (Date.now() > until) throw new Error("the process wrote no profile");
  renameSync(`${out}.new`, out);
  await stopAll(workbench, [{ program }, { program: backend }]);
  return done;
}

function print(options, { requests, errors }) {
  const { load, top, out } = options;
  const root = pathToFileURL(path.dirname(path.dirname(OUR_BIN))).href;
  const { idlePart, functions } = selfTimes(JSON.parse(readFileSync(out, "utf8")), { root, profiler: HOOK });
  const percent = (part) => `${(part * 100).toFixed(1)} %`;
  console.log(
    `${load}: ${number(requests)} requests, ${errors} failed; idle ${percent(idlePart)} of the time. Of the rest:\n`,
  );
  table(
    ["self", "function", "where"],
    functions.slice(0, top).map(({ name, place, part }) => [percent(part), name, place]),
  );
  console.log(`\n${out} opens as a flame chart in Chrome's developer tools, VS Code or speedscope.`);
}

async function main() {
  const options = readOptions();
  if (options.help) return void process.stdout.write(HELP);
  const missing = ["wrk", "h2load"].find((name) => findProgram(name) === undefined);
  if (missing !== undefined) throw new Error(`${missing} is not installed: apt-get install wrk nghttp2-client`);
  const workbench = new Workbench();
  try {
    print(options, await profileOf(workbench, options));
  } finally {
    await workbench.close();
  }
}

main().catch((error) => {
  console.error(`profile: ${error.message}`);
  process.exitCode = error.code?.startsWith("ERR_PARSE_ARGS") ? 2 : 1;
});
