/** The admin API of a controller: what each route says, and of which part. */
import { type AdminRoutes, compactJson, json, text, versionedJson } from "../admin/admin-server.ts";
import type { ConfigHistory } from "../config/config-history.ts";
import { callersOf } from "../config/mesh-config.ts";
import type { LiveSnapshot } from "../config/snapshot.ts";
import type { ConfigServer } from "../config-stream/config-server.ts";
import { dashboardRoutes } from "../dashboard/dashboard-routes.ts";
import { explainRoute } from "../explain/explain-route.ts";
import type { Problem } from "../model/problems.ts";
import { expose, type Metric } from "../telemetry/exposition.ts";
import { topologyRoute } from "../topology-view/topology-route.ts";
import { configurationRoute } from "../traefik/configuration-route.ts";
import type { ProxyNodes } from "./proxy-nodes.ts";
import type { ProxyRelay } from "./proxy-relay.ts";
import type { ServedMesh } from "./served-mesh.ts";
import type { TraefikEngine } from "./traefik-engine.ts";

/** What the routes are asked about. */
export interface ControllerView {
  /** Undefined until there is one. */
  snapshot(): LiveSnapshot | undefined;
  problems(): readonly Problem[];
  /** Of this replica. */
  status(): object;
  /** Why it is not ready; "" where it is. */
  notReady(): string;
  metrics(): readonly Metric[];
  readonly mesh: ServedMesh;
  readonly nodes: ProxyNodes;
  readonly server: ConfigServer;
  readonly relay: ProxyRelay;
  readonly history: ConfigHistory;
  /** Where Traefiks are the proxies. */
  readonly traefik: TraefikEngine | undefined;
}

export function controllerRoutes(view: ControllerView): AdminRoutes {
  const { mesh, nodes, server, relay, history, traefik } = view;
  return {
    ...dashboardRoutes(),
    ...topologyRoute(() => mesh.now()),
    "/api/config": {
      says: "the configuration that this replica serves (MeshConfig) and its version",
      answer: (_, { ifNoneMatch }) => {
        const snapshot = view.snapshot();
        return versionedJson(snapshot?.version ?? "", ifNoneMatch, () => snapshot ?? {});
      },
    },
    "/api/service-ports": {
      says: "keys of the service ports that the mesh serves",
      answer: () => compactJson(Object.keys(view.snapshot()?.config.servicePorts ?? {})),
    },
    "/api/callers": {
      says: "Pods that the mesh knows as callers",
      answer: () => compactJson(callersOf(view.snapshot()?.config)),
    },
    "/api/problems": { says: "what is wrong with which object", answer: () => json(view.problems()) },
    "/api/status/nodes": {
      says: "the proxies, and what each has in force",
      answer: async () => json(await nodes.readiness()),
    },
    "/api/status/node/{pod}/configuration": {
      says: "what that proxy has in force",
      answer: ([pod = ""]) => nodes.configuration(pod),
    },
    "/api/status/streams": {
      says: "the proxies that follow this replica",
      answer: () => json(server.status()),
    },
    "/api/status/controller": {
      says: "this replica: version, leader, what it waits for",
      answer: () => json(view.status()),
    },
    "/api/status/readiness": {
      says: "200 and true when a configuration is served",
      answer: () => (view.notReady() === "" ? json(true) : text("", 500)),
    },
    ...relay.routes(),
    "/api/history": {
      says: "the configurations that were in force, and what changed from each to the next",
      answer: () => json(history.entries()),
    },
    ...(traefik?.routes() ?? configurationRoute(() => mesh.exported())),
    ...explainRoute(() => mesh.explained()),
    "/metrics": { says: "counters for Prometheus", answer: (_, { accept }) => expose(view.metrics(), accept) },
  };
}
