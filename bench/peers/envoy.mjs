/** Envoy: one worker, a configuration from a file. */
import { findProgram, freePort, reachable } from "../processes.mjs";
import { hostOf, START_WITHIN_MS } from "./setup.mjs";

const socketAddress = (address, port) => ({ socket_address: { address, port_value: port } });
const typed = (name, fields) => ({ "@type": `type.googleapis.com/envoy.extensions.${name}`, ...fields });

const cluster = ({ kind, addresses, targetPort }, index) => ({
  name: `endpoints${index}`,
  type: "STATIC",
  connect_timeout: "5s",
  lb_policy: "ROUND_ROBIN",
  load_assignment: {
    cluster_name: `endpoints${index}`,
    endpoints: [
      { lb_endpoints: addresses.map((address) => ({ endpoint: { address: socketAddress(address, targetPort) } })) },
    ],
  },
  ...(kind === "h2c"
    ? {
        typed_extension_protocol_options: {
          "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed("upstreams.http.v3.HttpProtocolOptions", {
            explicit_http_config: { http2_protocol_options: {} },
          }),
        },
      }
    : {}),
});

const header = (key, value) => ({ header: { key, value }, append_action: "OVERWRITE_IF_EXISTS_OR_ADD" });

function httpFilter({ kind, services }, port) {
  const all = Array.from({ length: services }, (_, index) => index);
  return typed("filters.network.http_connection_manager.v3.HttpConnectionManager", {
    stat_prefix: "in",
    codec_type: kind === "h2c" ? "HTTP2" : "HTTP1",
    use_remote_address: true,
    route_config: {
      request_headers_to_add: [
        header("X-Real-Ip", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
        header("X-Forwarded-Host", "%REQ(:AUTHORITY)%"),
        header("X-Forwarded-Port", String(port)),
        header("X-Forwarded-Server", "bench"),
      ],
      virtual_hosts: all.map((index) => ({
        name: `s${index}`,
        domains: services === 1 ? ["*"] : [hostOf(index)],
        routes: [{ match: { prefix: "/" }, route: { cluster: `endpoints${index}` } }],
      })),
    },
    http_filters: [{ name: "envoy.filters.http.router", typed_config: typed("filters.http.router.v3.Router", {}) }],
  });
}

const tcpFilter = () => typed("filters.network.tcp_proxy.v3.TcpProxy", { stat_prefix: "in", cluster: "endpoints0" });

function configOf(setup, port) {
  const filter = setup.kind === "tcp" ? tcpFilter() : httpFilter(setup, port);
  const listener = {
    name: "in",
    address: socketAddress("127.0.0.1", port),
    filter_chains: [{ filters: [{ name: "filter", typed_config: filter }] }],
  };
  const clusters = Array.from({ length: setup.services }, (_, index) => cluster(setup, index));
  return { static_resources: { listeners: [listener], clusters } };
}

export const envoy = {
  name: "envoy",
  program: "envoy",
  hint: "npm run bench:peers",
  kinds: ["http", "h2c", "tcp"],
  version: /version: [0-9a-f]+\/([\d.]+)/,
  versionArgs: ["--version"],
  async start(workbench, core, setup) {
    const port = await freePort();
    const file = workbench.file(workbench.fresh("envoy.json"), JSON.stringify(configOf(setup, port)));
    const args = ["-c", file, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"];
    const program = workbench.start(core, findProgram("envoy"), args);
    await reachable("127.0.0.1", port, START_WITHIN_MS);
    return { program, address: "127.0.0.1", port };
  },
};
