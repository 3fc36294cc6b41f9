/** Traefik's form of a cluster against what its objects say of access. */
import fc from "fast-check";
import { expect } from "vitest";
import type { TrafficType } from "../../src/config/mesh-config.ts";
import { type ClusterMeshOptions, compileCluster } from "../../src/controller/compile-cluster.ts";
import { ClusterState } from "../../src/model/cluster-state.ts";
import { keyOf } from "../../src/model/objects.ts";
import { AssignedNumbers } from "../../src/traefik/entrypoint-numbers.ts";
import { toTraefik } from "../../src/traefik/to-traefik.ts";
import { AccessModel, type Call } from "./access-model.ts";
import { ADDRESSES, anyCluster, METHODS, PATHS } from "./clusters.ts";
import { TraefikRules } from "./traefik-rules.ts";

const anyCall = fc.tuple(
  fc.constantFrom(...ADDRESSES, "10.9.9.9"),
  fc.record({
    path: fc.constantFrom(...PATHS),
    method: fc.constantFrom(...METHODS),
    key: fc.constantFrom("yes", "no", undefined),
  }),
);

/**
 * What the objects deny, Traefik denies, and it leads nobody to an endpoint that he may not reach. It denies more only
 * where a problem says so.
 */
export function traefikProperty(options: (mode: "on", type: TrafficType) => ClusterMeshOptions) {
  return fc.property(
    anyCluster,
    fc.array(anyCall, { minLength: 1, maxLength: 8 }),
    fc.constantFrom<TrafficType[]>("http", "tcp"),
    (objects, calls, type) => {
      const state = ClusterState.of(objects);
      const service = (key: string) => state.get("Service", key);
      const numbers = new AssignedNumbers().of(service);
      const { config } = compileCluster(state, options("on", type));
      const { configuration, problems } = toTraefik({ config, service, numbers });
      const traefik = new TraefikRules(configuration);
      const model = new AccessModel(objects, type);
      const served = model.services.flatMap((each) => model.portsOf(each).map((port) => ({ service: each, port })));
      for (const { service: to, port } of served) {
        const key = `${keyOf(to.meta)}:${port}`;
        const servicePort = config.servicePorts[key];
        if (servicePort === undefined || servicePort.trafficType === "udp") continue;
        const isHttp = servicePort.trafficType === "http";
        for (const [from, request] of calls) {
          const call: Call = isHttp ? { from, request } : { from };
          const about = `${from} calls ${key} with ${JSON.stringify(call.request)}`;
          const outcome = traefik.outcome(`${isHttp ? "http" : "tcp"}-${numbers(key, servicePort)}`, {
            from,
            ...(isHttp
              ? {
                  host: `${to.meta.name}.${to.meta.namespace}.traefik.mesh`,
                  path: request.path,
                  method: request.method,
                  headers: { "x-key": request.key },
                }
              : {}),
          });
          const allowed = model.allows(to, port, call);
          if (outcome === "refused") {
            const excused = problems.some(({ code }) => code === "TraefikSplitStricter");
            if (!excused) expect([about, allowed]).toEqual([about, false]);
            continue;
          }
          if (outcome === "none") expect.fail(`${about}: no router`);
          expect([about, allowed]).toEqual([about, true]);
          const reached = new Set(served.flatMap((each) => model.reached(each.service, each.port, call)));
          expect([about, outcome.filter((endpoint) => !reached.has(endpoint))]).toEqual([about, []]);
        }
      }
    },
  );
}
