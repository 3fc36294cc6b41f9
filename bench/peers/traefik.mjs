/**
 * Traefik, with the file provider. It adds the forwarding headers by itself; Go sees the one core that it is pinned to.
 */
import { findProgram, freePort, reachable } from "../processes.mjs";
import { hostOf, START_WITHIN_MS } from "./setup.mjs";

function httpConfig({ kind, services, addresses, targetPort }) {
  const all = Array.from({ length: services }, (_, index) => index);
  const scheme = kind === "h2c" ? "h2c" : "http";
  const servers = addresses.map((address) => ({ url: `${scheme}://${address}:${targetPort}` }));
  const rule = (index) => (services === 1 ? "PathPrefix(`/`)" : `Host(\`${hostOf(index)}\`)`);
  return {
    http: {
      routers: Object.fromEntries(all.map((index) => [`r${index}`, { rule: rule(index), service: `s${index}` }])),
      services: Object.fromEntries(all.map((index) => [`s${index}`, { loadBalancer: { servers } }])),
    },
  };
}

const tcpConfig = ({ addresses, targetPort }) => ({
  tcp: {
    routers: { in: { rule: "HostSNI(`*`)", service: "endpoints" } },
    services: {
      endpoints: { loadBalancer: { servers: addresses.map((address) => ({ address: `${address}:${targetPort}` })) } },
    },
  },
});

export const traefik = {
  name: "traefik",
  program: "traefik",
  hint: "npm run bench:peers",
  kinds: ["http", "h2c", "tcp"],
  version: /Version:\s+(\S+)/,
  versionArgs: ["version"],
  async start(workbench, core, setup) {
    const port = await freePort();
    const config = setup.kind === "tcp" ? tcpConfig(setup) : httpConfig(setup);
    const dynamic = workbench.file(workbench.fresh("traefik-dynamic.yaml"), JSON.stringify(config));
    const fixed = workbench.file(
      workbench.fresh("traefik.yaml"),
      JSON.stringify({
        global: { checkNewVersion: false, sendAnonymousUsage: false },
        log: { level: "ERROR" },
        entryPoints: { in: { address: `127.0.0.1:${port}` } },
        providers: { file: { filename: dynamic, watch: false } },
        serversTransport: { maxIdleConnsPerHost: 128 },
      }),
    );
    const program = workbench.start(core, findProgram("traefik"), [`--configFile=${fixed}`]);
    await reachable("127.0.0.1", port, START_WITHIN_MS);
    return { program, address: "127.0.0.1", port };
  },
};
