import type { AccessMode } from "../../src/config/mesh-config.ts";
import type { Calls, EngineName } from "./engine.ts";
import type { FarEnds } from "./far-ends.ts";

/** Something that users of a mesh rely on. */
export interface Behaviour {
  /** A sentence; also the row's in docs/traefik.md. */
  readonly title: string;
  /** What the mesh does, in few words. */
  run(calls: Calls): Promise<string>;
  /** What `run` comes to, on each engine where they differ. */
  readonly outcome: string | Readonly<Record<EngineName, string>>;
}

/** Behaviours of one mesh. */
export interface Chapter {
  readonly title: string;
  readonly accessControl: AccessMode;
  manifests(far: FarEnds): string;
  readonly behaviours: readonly Behaviour[];
}

export function outcomeOn(engine: EngineName, { outcome }: Behaviour): string {
  return typeof outcome === "string" ? outcome : outcome[engine];
}

/** A Service without selector, and its endpoints as `address:port`. */
export function withEndpoints(name: string, endpoints: readonly string[], annotations = ""): string {
  const slices = endpoints.map((endpoint, index) => {
    const [address, port] = endpoint.split(":");
    return `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}-${index}, namespace: t, labels: {kubernetes.io/service-name: ${name}}}
addressType: IPv4
ports: [{port: ${port}}]
endpoints: [{addresses: [${address}]}]
---
`;
  });
  return `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: t, annotations: {${annotations}}}
spec: {ports: [{port: 80}]}
---
${slices.join("")}`;
}
