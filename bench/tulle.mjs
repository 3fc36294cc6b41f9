/** Starts Tulle as its users do: `tulle local` on a file of manifests, everything else at its defaults. */
import path from "node:path";
import { fileURLToPath } from "node:url";

export const OUR_BIN = path.join(path.dirname(path.dirname(fileURLToPath(import.meta.url))), "bin", "tulle");

/** A Service without selector and its EndpointSlice: programs that run anyway, put behind a mesh name. */
function manifestsOf({ name, trafficType, port, addresses, targetPort }) {
  return `apiVersion: v1
kind: Service
metadata:
  name: ${name}
  namespace: bench
  annotations:
    mesh.traefik.io/traffic-type: "${trafficType}"
spec:
  ports: [{ name: main, port: ${port}, targetPort: ${targetPort} }]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: ${name}-1
  namespace: bench
  labels: { kubernetes.io/service-name: ${name} }
addressType: IPv4
endpoints: [${addresses.map((address) => `{ addresses: ["${address}"], conditions: { ready: true } }`).join(", ")}]
ports: [{ name: main, port: ${targetPort}, protocol: TCP }]
`;
}

/**
 * @param services `{name, trafficType, port, addresses, targetPort}` each, all in namespace `bench`
 * @returns the running program and, by service name, the `{address, port}` where the mesh serves it
 */
export async function startTulle(workbench, core, services, bin = OUR_BIN) {
  const head = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: bench\n";
  const file = workbench.file("tulle.yaml", [head, ...services.map(manifestsOf)].join("---\n"));
  const any = "127.0.0.1:0";
  const args = [bin, "local", "-f", file, "--json", "--dns", any, "--socks", any, "--admin", any];
  const program = workbench.start(core, process.execPath, args);
  const ready = JSON.parse(await program.line);
  const entries = new Map();
  for (const { name, meshIP, ports } of ready.services)
    entries.set(name, { address: meshIP, port: ports[0].boundPort ?? ports[0].port });
  return { program, entries };
}
