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
    // Of several lines one is enough to Traefik, which docs/traefik.md says.
    key: fc.constantFrom("yes", "no", undefined),
  }),
  /** Behind the Service's name. */
  fc.constantFrom("", ":81"),
);

/**
 * What the objects deny, Traefik denies, and it leads nobody to an endpoint that this call to this Service may not come to.
 * It denies more only where a problem says so of the Service's own split, or of a match that it does not see.
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
      const seeing = new AccessModel(objects, type, false);
      const isStricter = (root: string) =>
        problems.some(
          ({ code, object }) => code === "TraefikSplitStricter" && model.rootOf(object.namespace, object.name) === root,
        );
      const hasUnsaid = problems.some(({ code }) => code === "TraefikMatchUnsupported");
      for (const to of model.services)
        for (const port of model.portsOf(to)) {
          const key = `${keyOf(to.meta)}:${port}`;
          const servicePort = config.servicePorts[key];
          if (servicePort === undefined || servicePort.trafficType === "udp") continue;
          const isHttp = servicePort.trafficType === "http";
          for (const [from, { path, method, key: xKey }, hostEnd] of calls) {
            const host = `${to.meta.name}.${to.meta.namespace}.traefik.mesh${hostEnd}`;
            const call: Call = isHttp
              ? { from, request: { path, method, keys: xKey === undefined ? [] : [xKey], host } }
              : { from };
            const about = `${from} calls ${key} with ${JSON.stringify(call.request)}`;
            const outcome = traefik.outcome(`${isHttp ? "http" : "tcp"}-${numbers(key, servicePort)}`, {
              from,
              ...(isHttp ? { host, path, method, headers: { "x-key": xKey } } : {}),
            });
            const allowed = model.allows(to, port, call);
            if (outcome === "none") expect.fail(`${about}: no router`);
            if (outcome === "refused") {
              const unseen = hasUnsaid && !seeing.allows(to, port, call);
              if (!unseen && !isStricter(keyOf(to.meta))) expect([about, allowed]).toEqual([about, false]);
              continue;
            }
            expect([about, allowed]).toEqual([about, true]);
            const may = new Set(model.leadsTo(to, port, call));
            expect([about, outcome.filter((endpoint) => !may.has(endpoint))]).toEqual([about, []]);
            expect([about, outcome.length > 0]).toEqual([about, may.size > 0]);
          }
        }
    },
  );
}
