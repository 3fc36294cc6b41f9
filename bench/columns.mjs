/** The columns of the table: Tulle on each Node.js that there is, and each peer. */
import { spawnSync } from "node:child_process";
import http from "node:http";
import { envoy } from "./peers/envoy.mjs";
import { haproxy } from "./peers/haproxy.mjs";
import { nginx } from "./peers/nginx.mjs";
import { lastHost, START_WITHIN_MS } from "./peers/setup.mjs";
import { traefik } from "./peers/traefik.mjs";
import { delay, findProgram } from "./processes.mjs";
import { tulleColumn } from "./tulle.mjs";

const PEERS = [haproxy, nginx, envoy, traefik];
export const PROXY_NAMES = ["tulle", ...PEERS.map(({ name }) => name)];
export const PROXY_CORE = 0;
export const LOAD_CORE = 1;

/** What a program says to these arguments, whichever way. */
function says(program, args) {
  const { stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  return `${stdout ?? ""}${stderr ?? ""}`;
}

/** Columns of Tulle: on the Node.js that runs this, and on each of `nodes` that is another version. */
function tulleColumns({ nodes, bin }) {
  const byMajor = new Map();
  for (const node of [process.execPath, ...nodes]) {
    const major = /^v(\d+)/.exec(says(node, ["--version"]))?.[1];
    if (major === undefined) throw new Error(`${node} is no Node.js`);
    if (!byMajor.has(major)) byMajor.set(major, node);
  }
  return [...byMajor].map(([major, node], index) => ({
    ...tulleColumn({ name: `tulle, Node ${major}`, node, bin, address: `127.0.0.${10 + index}` }),
    version: says(node, ["--version"]).trim().slice(1),
  }));
}

/** Columns that are wanted and can be had; what cannot is said. */
export function columnsOf({ proxies, nodes, bin }) {
  const columns = proxies.includes("tulle") ? tulleColumns({ nodes, bin }) : [];
  for (const peer of PEERS.filter(({ name }) => proxies.includes(name))) {
    const program = findProgram(peer.program);
    if (program === undefined) {
      console.log(`${peer.name} is not installed, so it is left out: ${peer.hint}`);
      continue;
    }
    columns.push({ ...peer, version: peer.version.exec(says(program, peer.versionArgs))?.[1] ?? "?" });
  }
  return columns;
}

/** Status of one HTTP call on a connection of its own; undefined where there was no answer. */
const statusOf = ({ address, port }, host) =>
  new Promise((resolve) => {
    const request = http.get({ host: address, port, headers: { host }, agent: false }, (answer) => {
      answer.resume().once("close", () => resolve(answer.statusCode));
    });
    request.once("error", () => resolve(undefined));
  });

/** Resolves once an HTTP call through the proxy gets its 200: some listen before they know their routes. */
async function answers(proxy, host) {
  const until = Date.now() + START_WITHIN_MS;
  while ((await statusOf(proxy, host)) !== 200) {
    if (Date.now() > until) throw new Error(`no 200 from ${proxy.address}:${proxy.port}`);
    await delay(50);
  }
}

/** Starts the columns that can do this kind, each on the proxies' core; one that cannot start is said and left out. */
export async function startColumns(workbench, columns, setup) {
  const running = [];
  for (const column of columns.filter(({ kinds }) => kinds.includes(setup.kind))) {
    try {
      const proxy = await column.start(workbench, PROXY_CORE, setup);
      if (setup.kind === "http") await answers(proxy, lastHost(setup));
      running.push({ name: column.name, host: lastHost(setup), rounds: [], ...proxy });
    } catch (error) {
      console.log(`${column.name} is left out of this: ${error.message.slice(0, 300)}`);
    }
  }
  return running;
}

/** Ends all of them together. */
export const stopAll = (workbench, proxies) => Promise.all(proxies.map(({ program }) => workbench.stop(program)));
