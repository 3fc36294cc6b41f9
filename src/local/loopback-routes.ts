/** The admin API of a loopback cluster: what each route says, and of which part. */
import { type AdminRoutes, compactJson, healthRoutes, json, text, versionedJson } from "../admin/admin-server.ts";
import { callersOf } from "../config/mesh-config.ts";
import { dashboardRoutes } from "../dashboard/dashboard-routes.ts";
import { explainRoute } from "../explain/explain-route.ts";
import type { LocatedProblem } from "../manifests/manifest-file.ts";
import type { Clock } from "../model/clock.ts";
import type { Problem } from "../model/problems.ts";
import type { OwnDataPlane } from "../proxy-daemon/data-plane.ts";
import { tapRoute } from "../proxy-daemon/tap-route.ts";
import { expose, type Metric } from "../telemetry/exposition.ts";
import { topologyRoute } from "../topology-view/topology-route.ts";
import { configurationRoute } from "../traefik/configuration-route.ts";
import type { MeshInForce } from "./mesh-in-force.ts";

/** What the routes are asked about. */
export interface LoopbackView {
  /** Of the one proxy that there is. */
  readonly proxyName: string;
  readonly mesh: MeshInForce;
  readonly plane: OwnDataPlane;
  readonly clock: Clock;
  /** A configuration is in force. */
  ready(): boolean;
  metrics(): readonly Metric[];
}

export function loopbackRoutes({ proxyName, mesh, plane, clock, ready, metrics }: LoopbackView): AdminRoutes {
  const nodes = () => [{ Name: proxyName, IP: "127.0.0.1", Ready: ready(), version: mesh.snapshot.version }];
  return {
    ...dashboardRoutes(),
    ...topologyRoute(() => mesh.now()),
    "/api/config": {
      says: "the configuration in force (MeshConfig) and its version",
      answer: (_, { ifNoneMatch }) => versionedJson(mesh.snapshot.version, ifNoneMatch, () => mesh.snapshot),
    },
    "/api/service-ports": {
      says: "keys of the service ports that the mesh serves",
      answer: () => compactJson(Object.keys(mesh.snapshot.config.servicePorts)),
    },
    "/api/callers": {
      says: "Pods that the mesh knows as callers",
      answer: () => compactJson(callersOf(mesh.snapshot.config)),
    },
    "/api/traffic": {
      says: "what has passed since the start, by caller, service port and backend (TrafficReport)",
      answer: () => compactJson(plane.trafficNow()),
    },
    "/api/history": {
      says: "the configurations that were in force, and what changed from each to the next",
      answer: () => json(mesh.history.entries()),
    },
    ...configurationRoute(() => mesh.exported()),
    ...explainRoute(() => mesh.explained()),
    ...tapRoute(plane, clock),
    "/api/problems": { says: "what is wrong with which object", answer: () => json(mesh.located.map(withPlace)) },
    "/api/status/nodes": { says: "the proxies and what they run", answer: () => json(nodes()) },
    "/api/status/node/{pod}/configuration": {
      says: "what that proxy has in force",
      answer: ([pod]) => (pod === proxyName ? compactJson(mesh.nodeData()) : text(`there is no proxy ${pod}\n`, 404)),
    },
    "/api/status/readiness": {
      says: "200 and true when a configuration is in force",
      answer: () => (ready() ? json(true) : text("", 500)),
    },
    ...healthRoutes(() => (ready() ? "" : "no configuration is in force yet")),
    "/metrics": { says: "counters for Prometheus", answer: (_, { accept }) => expose(metrics(), accept) },
  };
}

function withPlace({ problem: found, file, line }: LocatedProblem): Problem & { file?: string; line?: number } {
  return file === "" ? found : { ...found, file, line };
}
