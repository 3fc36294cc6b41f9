/**
 * The proxies that Tulle is measured against, set up to do the same work: keep-alive on both sides, two endpoints, and the
 * forwarding headers that Tulle adds.
 */
import { findProgram, freePort, reachable } from "./processes.mjs";

const NGINX_COMMON = (folder) => `daemon off;
worker_processes 1;
${process.getuid() === 0 ? "user root;" : ""}
pid ${folder}/nginx-PURPOSE.pid;
error_log ${folder}/nginx-PURPOSE.log;
worker_rlimit_nofile 8192;
events { worker_connections 4096; }
`;

const NGINX_TEMPORARY = (folder) =>
  ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `  ${name}_temp_path ${folder}/${name};`)
    .join("\n");

async function startNginx(workbench, core, purpose, inner) {
  const program = findProgram("nginx");
  const text = NGINX_COMMON(workbench.folder).replaceAll("PURPOSE", purpose) + inner;
  const file = workbench.file(`nginx-${purpose}.conf`, text);
  return workbench.start(core, program, ["-p", workbench.folder, "-e", `${workbench.folder}/start.log`, "-c", file]);
}

/** Answers every request with `body` on each of `addresses`. */
export async function nginxBackend(workbench, core, addresses, port, body) {
  const listens = addresses.map((address) => `listen ${address}:${port} backlog=1024;`).join(" ");
  const program = await startNginx(
    workbench,
    core,
    "backend",
    `http {
  access_log off;
  keepalive_requests 1000000000;
${NGINX_TEMPORARY(workbench.folder)}
  server { ${listens} location / { default_type text/plain; return 200 "${body.replaceAll("\n", "\\n")}"; } }
}
`,
  );
  await reachable(addresses[0], port);
  return program;
}

const nginx = {
  name: "nginx",
  package: "nginx",
  async start(workbench, core, { addresses, targetPort }) {
    const port = await freePort();
    const program = await startNginx(
      workbench,
      core,
      "proxy",
      `http {
  access_log off;
  keepalive_requests 1000000000;
${NGINX_TEMPORARY(workbench.folder)}
  upstream endpoints {
${addresses.map((address) => `    server ${address}:${targetPort};`).join("\n")}
    keepalive 128;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / {
      proxy_pass http://endpoints;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Real-Ip $remote_addr;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Server $hostname;
    }
  }
}
`,
    );
    await reachable("127.0.0.1", port);
    return { program, address: "127.0.0.1", port };
  },
};

const servers = ({ addresses, targetPort }) =>
  addresses.map((address, index) => `  server s${index} ${address}:${targetPort}`).join("\n");

async function startHaproxy(workbench, core, purpose, text, port) {
  const file = workbench.file(`haproxy-${purpose}.cfg`, text);
  const program = workbench.start(core, findProgram("haproxy"), ["-db", "-f", file]);
  await reachable("127.0.0.1", port);
  return { program, address: "127.0.0.1", port };
}

const haproxyHead = (mode) => `global
  nbthread 1
  maxconn 4096
defaults
  mode ${mode}
  timeout connect 5s
  timeout client 60s
  timeout server 60s
`;

const haproxy = {
  name: "haproxy",
  package: "haproxy",
  async start(workbench, core, service) {
    const port = await freePort();
    const text = `${haproxyHead("http")}  option http-keep-alive
  option forwardfor
frontend in
  bind 127.0.0.1:${port} backlog 1024
  http-request set-header X-Real-Ip %[src]
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port %[dst_port]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Server %[hostname]
  default_backend endpoints
backend endpoints
  balance roundrobin
  http-reuse always
${servers(service)}
`;
    return startHaproxy(workbench, core, "http", text, port);
  },
};

/** HAProxy passing bytes. */
export async function haproxyTcp(workbench, core, service) {
  const port = await freePort();
  const text = `${haproxyHead("tcp")}listen in
  bind 127.0.0.1:${port} backlog 1024
  balance roundrobin
${servers(service)}
`;
  return startHaproxy(workbench, core, "tcp", text, port);
}

export const PEERS = [haproxy, nginx];
