/**
 * Tulle, started in the two ways that it is used: `tulle local` on a file of manifests, everything else at its
 * defaults, and `tulle proxy` as on a node, with the configuration that the controller would have sent.
 */
import { mkdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { hostOf, START_WITHIN_MS } from "./peers/setup.mjs";
import { freePort, reachable } from "./processes.mjs";

export const OUR_BIN = path.join(path.dirname(path.dirname(fileURLToPath(import.meta.url))), "bin", "tulle");

/** A Service without selector and its EndpointSlice: programs that run anyway, put behind a mesh name. */
export function manifestsOf({ name, trafficType, scheme = "http", port, addresses, targetPort, annotations = {} }) {
  const asked = {
    "mesh.traefik.io/traffic-type": trafficType,
    ...(trafficType === "http" ? { "mesh.traefik.io/scheme": scheme } : {}),
    ...annotations,
  };
  const protocol = trafficType === "udp" ? "UDP" : "TCP";
  return `apiVersion: v1
kind: Service
metadata:
  name: ${name}
  namespace: bench
  annotations: ${JSON.stringify(asked)}
spec:
  ports: [{ name: main, port: ${port}, targetPort: ${targetPort}, protocol: ${protocol} }]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: ${name}-1
  namespace: bench
  labels: { kubernetes.io/service-name: ${name} }
addressType: IPv4
endpoints: [${addresses.map((address) => `{ addresses: ["${address}"], conditions: { ready: true } }`).join(", ")}]
ports: [{ name: main, port: ${targetPort}, protocol: ${protocol} }]
`;
}

export const NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: bench\n";

/**
 * `tulle local`.
 * @param services what `manifestsOf` takes, all in namespace `bench`
 * @param node the program that runs it, with arguments of its own
 * @returns the running program, the line that it printed once it was ready, and, by service name, the `{address, port}`
 *   where the mesh serves it
 */
export async function startTulle(workbench, core, services, { bin = OUR_BIN, node = [process.execPath], paths } = {}) {
  const text = [NAMESPACE, ...services.map(manifestsOf)].join("---\n");
  const files = paths ?? [workbench.file(workbench.fresh("tulle.yaml"), text)];
  const any = "127.0.0.1:0";
  const [command, ...nodeArgs] = node;
  const fileArgs = files.flatMap((file) => ["-f", file]);
  const args = [...nodeArgs, bin, "local", ...fileArgs, "--json", "--dns", any, "--socks", any, "--admin", any];
  const program = workbench.start(core, command, args);
  const ready = JSON.parse(await program.line);
  const entries = new Map();
  for (const { name, meshIP, ports } of ready.services)
    entries.set(name, { address: meshIP, port: ports[0].boundPort ?? ports[0].port });
  return { program, ready, entries };
}

const FIRST_PORT = 10_000; // of the proxies' range on a cluster
const SERVER = "bench/server";

/**
 * The configuration of `services` HTTP services, one port each; `access` puts access control on, `split` a split on
 * each.
 */
function meshConfigOf({ address, addresses, targetPort, services, access = false, split = false }) {
  const config = { schema: 1, accessControl: access ? "on" : "off", meshDomains: ["traefik.mesh"], names: {} };
  const [entrypoints, servicePorts] = [{}, {}];
  const endpoints = Object.fromEntries(
    addresses.map((each, index) => [`${each}:${targetPort}`, { identity: SERVER, pod: `bench/server-${index}` }]),
  );
  const common = { namespace: "bench", port: 80, trafficType: "http", scheme: "http", middlewares: {}, endpoints };
  const backends = [
    { servicePort: "bench/v1:80", weight: 80 },
    { servicePort: "bench/v2:80", weight: 20 },
  ];
  for (let index = 0; index < services; index++) {
    const service = `s${index}`;
    const key = `bench/${service}:80`;
    const origin = { kind: "TrafficSplit", namespace: "bench", name: service };
    servicePorts[key] = { ...common, service, ...(split ? { routes: [{ origin, matches: [], backends }] } : {}) };
    const port = FIRST_PORT + index;
    entrypoints[`${address}:${port}/tcp`] = { address, port, transport: "tcp", servicePort: key };
    config.names[`bench/${service}`] = [address];
  }
  for (const service of split ? ["v1", "v2"] : []) servicePorts[`bench/${service}:80`] = { ...common, service };
  const workload = { namespace: "bench", pod: "load", serviceAccount: "load" };
  const rule = {
    origin: { kind: "TrafficTarget", namespace: "bench", name: "load" },
    destination: SERVER,
    sources: ["bench/load"],
    http: { matches: [{ name: "all", path: { type: "regex", value: "/.*" }, methods: ["GET"] }] },
  };
  const accessRules = access ? { "bench/load": rule } : {};
  return { ...config, entrypoints, servicePorts, accessRules, workloads: { "127.0.0.1": workload } };
}

/**
 * `tulle proxy` without a controller: it serves the configuration that it finds on its disk.
 * @param more flags by name, without their dashes
 */
export async function startTulleProxy(
  workbench,
  core,
  setup,
  { bin = OUR_BIN, node = [process.execPath], flags: more } = {},
) {
  const snapshots = path.join(path.dirname(path.dirname(bin)), "dist/config/snapshot.js");
  const { seal } = await import(pathToFileURL(snapshots).href);
  const folder = workbench.fresh("state");
  mkdirSync(path.join(workbench.folder, folder));
  workbench.file(path.join(folder, "mesh-config.json"), JSON.stringify(seal(meshConfigOf(setup))));
  const flags = {
    "state-dir": path.join(workbench.folder, folder),
    address: setup.address,
    "log-level": "error",
    ...more,
  };
  for (const name of ["dns-port", "health-port", "metrics-port", "admin-port"]) flags[name] = await freePort();
  Object.assign(flags, { "lame-duck": 0, drain: 0, controller: "127.0.0.1:1", "ca-file": "/dev/null" });
  const [command, ...nodeArgs] = node;
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const program = workbench.start(core, command, [...nodeArgs, bin, "proxy", "--token-file", "/dev/null", ...args]);
  const port = FIRST_PORT + setup.services - 1;
  await reachable(setup.address, port, START_WITHIN_MS);
  return { program, address: setup.address, port, host: hostOf(setup.services - 1) };
}

const SERVICE_PORTS = { http: 18080, h2c: 18083, tcp: 18081 };

/** Tulle as a column of the table, on this Node.js. */
export function tulleColumn({ name, node, bin, address }) {
  return {
    name,
    ours: true,
    node,
    bin,
    address,
    kinds: ["http", "h2c", "tcp"],
    async start(workbench, core, setup) {
      const { kind, addresses, targetPort } = setup;
      if (setup.services > 1) return startTulleProxy(workbench, core, { ...setup, address }, { bin, node: [node] });
      const trafficType = kind === "tcp" ? "tcp" : "http";
      const scheme = kind === "h2c" ? "h2c" : "http";
      const service = { name: "app", trafficType, scheme, port: SERVICE_PORTS[kind], addresses, targetPort };
      const { program, entries } = await startTulle(workbench, core, [service], { bin, node: [node] });
      return { program, ...entries.get(service.name) };
    },
  };
}
