/** nginx, as a proxy to measure against and as the endpoints of all of them. */
import { findProgram, freePort, openFilesLimit, reachable } from "../processes.mjs";
import { hostOf, START_WITHIN_MS } from "./setup.mjs";

const NGINX_COMMON = (folder, name) => `daemon off;
worker_processes 1;
${process.getuid() === 0 ? "user root;" : ""}
pid ${folder}/${name}.pid;
error_log ${folder}/${name}.log;
worker_rlimit_nofile ${Math.min(openFilesLimit(), 65_536)};
events { worker_connections ${Math.min(openFilesLimit(), 12_000)}; }
`;

const HTTP_COMMON = (folder) => `  access_log off;
  keepalive_requests 1000000000;
  client_body_buffer_size 128k;
${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `  ${name}_temp_path ${folder}/${name};`).join("\n")}`;

function startNginx(workbench, core, purpose, inner) {
  const name = workbench.fresh(`nginx-${purpose}`);
  const { folder } = workbench;
  const file = workbench.file(`${name}.conf`, NGINX_COMMON(folder, name) + inner);
  return workbench.start(core, findProgram("nginx"), ["-p", folder, "-e", `${folder}/${name}.start.log`, "-c", file]);
}

/**
 * Endpoints: `/` answers with `body`, `/64k` with 64 KiB, and content that is sent is read and dropped.
 * @param http2 HTTP/2 without TLS in the place of HTTP/1.1
 */
export async function nginxBackend(workbench, core, { addresses, port, body, http2 = false }) {
  const listens = addresses
    .map((address) => `listen ${address}:${port} backlog=4096 ${http2 ? "http2" : ""};`)
    .join(" ");
  workbench.file("64k", "x".repeat(64 * 1024));
  const program = startNginx(
    workbench,
    core,
    "endpoints",
    `http {
${HTTP_COMMON(workbench.folder)}
  sendfile on;
  tcp_nopush on;
  open_file_cache max=16;
  default_type text/plain;
  server {
    ${listens}
    location / { return 200 "${body.replaceAll("\n", "\\n")}"; }
    location = /64k { alias ${workbench.folder}/64k; }
  }
}
`,
  );
  await reachable(addresses[0], port);
  return program;
}

const upstream = ({ addresses, targetPort }, index) => `  upstream endpoints${index} {
${addresses.map((address) => `    server ${address}:${targetPort};`).join("\n")}
    keepalive 64;
    keepalive_requests 1000000000;
  }`;

const server = (port, index) => `  server {
    listen 127.0.0.1:${port} ${index === 0 ? "backlog=4096 default_server" : ""};
    server_name ${hostOf(index)};
    location / { proxy_pass http://endpoints${index}; }
  }`;

export const nginx = {
  name: "nginx",
  program: "nginx",
  hint: "apt-get install nginx",
  kinds: ["http"],
  version: /nginx\/(\S+)/,
  versionArgs: ["-v"],
  async start(workbench, core, setup) {
    const port = await freePort();
    const all = Array.from({ length: setup.services }, (_, index) => index);
    const program = startNginx(
      workbench,
      core,
      "proxy",
      `http {
${HTTP_COMMON(workbench.folder)}
  server_names_hash_max_size 65536;
  proxy_request_buffering off;
  proxy_max_temp_file_size 0;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Real-Ip $remote_addr;
  proxy_set_header X-Forwarded-Host $http_host;
  proxy_set_header X-Forwarded-Port $server_port;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-Server $hostname;
${all.map((index) => upstream(setup, index)).join("\n")}
${all.map((index) => server(port, index)).join("\n")}
}
`,
    );
    await reachable("127.0.0.1", port, START_WITHIN_MS);
    return { program, address: "127.0.0.1", port };
  },
};
