/** The admin API of a node's proxy: what each route says, to every Pod or to those who are let into this one. */
import { type AdminRoutes, compactJson, json, text } from "../admin/admin-server.ts";
import { callersOf } from "../config/mesh-config.ts";
import type { LiveSnapshot } from "../config/snapshot.ts";
import type { Clock } from "../model/clock.ts";
import type { DataPlane } from "./data-plane.ts";
import type { KeptMetrics } from "./kept-metrics.ts";
import type { NodeCounts } from "./node-counts.ts";
import { tapRoute } from "./tap-route.ts";

/** What the routes are asked about. */
export interface NodeView {
  readonly plane: DataPlane;
  readonly counts: NodeCounts;
  readonly metrics: KeptMetrics;
  readonly clock: Clock;
  /** Undefined until there is one. */
  snapshot(): LiveSnapshot | undefined;
  /** What is in force here, and whether the controller is heard. */
  status(): object;
  /** This proxy has the counts of the node. */
  inCharge(): boolean;
}

/** To who reads counters: a figure that is not the node's would look like a step back, and then one forward. */
const NOT_IN_CHARGE = text("another proxy has the counts of this node\n", 503);

/** What every Pod may see, unless a NetworkPolicy keeps it from that: metrics name who called what. */
export function openRoutes({ status, metrics, inCharge }: NodeView): AdminRoutes {
  return {
    "/api/status": {
      says: "what is in force here, and whether the controller is heard",
      answer: () => json(status()),
    },
    "/metrics": {
      says: "counters for Prometheus",
      answer: (_, { accept }) => (inCharge() ? metrics.answer(accept) : NOT_IN_CHARGE),
    },
  };
}

export function configRoutes({ plane, counts, clock, snapshot, inCharge }: NodeView): AdminRoutes {
  return {
    ...tapRoute(plane, clock),
    "/api/config": {
      says: "the configuration in force (MeshConfig) and its version",
      answer: () => json(snapshot() ?? {}),
    },
    "/api/service-ports": {
      says: "keys of the service ports that the mesh serves",
      answer: () => compactJson(Object.keys(snapshot()?.config.servicePorts ?? {})),
    },
    "/api/callers": {
      says: "Pods that the mesh knows as callers",
      answer: () => compactJson(callersOf(snapshot()?.config)),
    },
    "/api/traffic": {
      says: "what has passed since the start, by caller, service port and backend (TrafficReport)",
      answer: async () => (inCharge() ? compactJson(await plane.traffic()) : NOT_IN_CHARGE),
    },
    "/api/traffic/recent": {
      says: "of that, what has passed in the last 30 s, at most 10 s ago",
      answer: () => (inCharge() ? compactJson(counts.recent()) : NOT_IN_CHARGE),
    },
    "/api/service-port/{namespace}/{service}/{port}": {
      says: "what is in force for one port of a Service",
      answer: ([namespace = "", service = "", port = ""]) => {
        const found = snapshot()?.config.servicePorts[`${namespace}/${service}:${port}`];
        return found === undefined ? json({ error: "the mesh does not serve it" }, 404) : json(found);
      },
    },
  };
}
