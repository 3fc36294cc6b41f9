/** Manifests of sample Services and what is said about them, all in namespace `t`. */

export interface ServerOptions {
  readonly replicas?: number;
  readonly image?: string;
  readonly port?: number;
  readonly protocol?: string;
  readonly annotations?: string;
  readonly account?: string;
}

/** A Deployment and its Service in namespace `t`. */
export function server(name: string, options: ServerOptions = {}): string {
  const { replicas = 1, image = "traefik/whoami:v1.6.0", port = 80, protocol = "TCP" } = options;
  return `
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}, namespace: t}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      serviceAccountName: ${options.account ?? name}
      containers: [{name: c, image: "${image}", env: [{name: WHOAMI_NAME, value: ${name}}]}]
---
${service(name, { port, protocol, annotations: options.annotations ?? "" })}`;
}

export function service(name: string, { port = 80, protocol = "TCP", annotations = "" }: ServerOptions = {}): string {
  return `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: t, annotations: {${annotations}}}
spec: {selector: {app: ${name}}, ports: [{port: ${port}, protocol: ${protocol}}]}
---
`;
}

export const TCP = { image: "traefik/whoamitcp:v0.1.0", port: 8080, annotations: "mesh.traefik.io/traffic-type: tcp" };
export const UDP = {
  ...TCP,
  image: "traefik/whoamiudp:v0.1.0",
  protocol: "UDP",
  annotations: "mesh.traefik.io/traffic-type: udp",
};

export const client = (name: string) => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: t}
spec: {serviceAccountName: ${name}, containers: [{name: c, image: sleep}]}
---
`;

export const split = (root: string, backends: Record<string, number>, matches = "") => `
apiVersion: split.smi-spec.io/v1alpha3
kind: TrafficSplit
metadata: {name: ${root}, namespace: t}
spec:
  service: ${root}
  ${matches}
  backends: [${Object.entries(backends)
    .map(([name, weight]) => `{service: ${name}, weight: ${weight}}`)
    .join(", ")}]
---
`;

export const target = (name: string, destination: string, source: string, rules: string) => `
apiVersion: access.smi-spec.io/v1alpha2
kind: TrafficTarget
metadata: {name: ${name}, namespace: t}
spec:
  destination: {kind: ServiceAccount, name: ${destination}, namespace: t}
  ${rules}
  sources: [{kind: ServiceAccount, name: ${source}, namespace: t}]
---
`;
export const EVERYTHING = "rules: [{kind: HTTPRouteGroup, name: everything}]";
export const ROUTES = `
apiVersion: specs.smi-spec.io/v1alpha3
kind: HTTPRouteGroup
metadata: {name: everything, namespace: t}
spec: {matches: [{name: all, pathRegex: ".*", methods: ["*"]}]}
---
apiVersion: specs.smi-spec.io/v1alpha3
kind: HTTPRouteGroup
metadata: {name: api, namespace: t}
spec: {matches: [{name: api, pathRegex: /api, methods: [GET]}]}
---
apiVersion: specs.smi-spec.io/v1alpha3
kind: TCPRoute
metadata: {name: tcp, namespace: t}
spec: {}
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: UDPRoute
metadata: {name: udp, namespace: t}
spec: {matches: {ports: [8080]}}
---
`;
