/** HAProxy: one thread, connections to endpoints shared by all callers. */
import { findProgram, freePort, openFilesLimit, reachable } from "../processes.mjs";
import { hostOf, START_WITHIN_MS } from "./setup.mjs";

/** Two descriptors a connection at most, and some to spare. */
const maxConnections = () => Math.min(20_000, Math.floor((openFilesLimit() - 200) / 2));

const head = (mode) => `global
  nbthread 1
  maxconn ${maxConnections()}
defaults
  mode ${mode}
  timeout connect 5s
  timeout client 120s
  timeout server 120s
`;

const servers = ({ addresses, targetPort }, options = "") =>
  addresses.map((address, index) => `  server s${index} ${address}:${targetPort} ${options}`).join("\n");

const FORWARDING = `  option forwardfor
  http-request set-header X-Real-Ip %[src]
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port %[dst_port]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Server %[hostname]
`;

function httpText(workbench, setup, port) {
  const h2 = setup.kind === "h2c" ? "proto h2" : "";
  const all = Array.from({ length: setup.services }, (_, index) => index);
  const map = all.map((index) => `${hostOf(index)} endpoints${index}\n`).join("");
  const choice =
    setup.services === 1
      ? "default_backend endpoints0"
      : `use_backend %[req.hdr(host),map(${workbench.file(workbench.fresh("hosts.map"), map)})]`;
  const backends = all.map(
    (index) =>
      `backend endpoints${index}\n  balance roundrobin\n  http-reuse always\n${servers(setup, `pool-max-conn 128 ${h2}`)}\n`,
  );
  return `${head("http")}  option http-keep-alive
frontend in
  bind 127.0.0.1:${port} backlog 4096 ${h2}
${FORWARDING}  ${choice}
${backends.join("")}`;
}

const tcpText = (setup, port) => `${head("tcp")}listen in
  bind 127.0.0.1:${port} backlog 4096
  balance roundrobin
${servers(setup)}
`;

export const haproxy = {
  name: "haproxy",
  program: "haproxy",
  hint: "apt-get install haproxy",
  kinds: ["http", "h2c", "tcp"],
  version: /version (\S+?)-/,
  versionArgs: ["-v"],
  async start(workbench, core, setup) {
    const port = await freePort();
    const text = setup.kind === "tcp" ? tcpText(setup, port) : httpText(workbench, setup, port);
    const file = workbench.file(workbench.fresh("haproxy.cfg"), text);
    const program = workbench.start(core, findProgram("haproxy"), ["-db", "-f", file]);
    await reachable("127.0.0.1", port, START_WITHIN_MS);
    return { program, address: "127.0.0.1", port };
  },
};
