import fc from "fast-check";
import { expect, test } from "vitest";
import { ConfigWriter } from "../config/changes.ts";
import { emptyMeshConfig, type MeshConfig, type ServicePort } from "../config/mesh-config.ts";
import { movesShares, shareOf } from "./worker-share.ts";

type Parts = Pick<ServicePort, "middlewares"> & {
  readonly limits?: NonNullable<ServicePort["limits"]>;
  readonly backends?: readonly string[];
  readonly transport?: "tcp" | "udp";
};

/** Service ports by name, each with an entrypoint of that name. */
function configOf(services: Readonly<Record<string, Parts>>): MeshConfig {
  const entrypoints: Record<string, MeshConfig["entrypoints"][string]> = {};
  const servicePorts: Record<string, ServicePort> = {};
  for (const [name, { middlewares, limits, backends = [], transport = "tcp" }] of Object.entries(services)) {
    entrypoints[name] = { address: "::", port: 10_000, transport, servicePort: name };
    servicePorts[name] = {
      namespace: "n",
      service: name,
      port: 80,
      trafficType: transport === "udp" ? "udp" : "http",
      scheme: "http",
      middlewares,
      endpoints: {},
      ...(limits === undefined ? {} : { limits }),
      ...(backends.length === 0
        ? {}
        : {
            routes: [
              {
                origin: { kind: "TrafficSplit", namespace: "n", name },
                matches: [],
                backends: backends.map((servicePort) => ({ servicePort, weight: 1 })),
              },
            ],
          }),
    };
  }
  return { ...emptyMeshConfig(), entrypoints, servicePorts };
}

const limit = { rateLimit: { average: 1, burst: 1 } };
const breaker = {
  circuitBreaker: { expression: { operator: ">", metric: { name: "NetworkErrorRatio" }, value: 0.5 } },
} as unknown as ServicePort["middlewares"];

/** The workers that serve each service. */
function workersOf(config: MeshConfig, workers: number): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (let worker = 0; worker < workers; worker++)
    for (const name of Object.keys(shareOf(config, worker, workers).entrypoints))
      found.set(name, [...(found.get(name) ?? []), worker]);
  return found;
}

test("one worker serves everything, and its configuration is what it was", () => {
  const config = configOf({ a: { middlewares: limit } });
  expect(shareOf(config, 0, 1)).toBe(config);
});

test("a Service without limits is served by all workers, one with a limit or a breaker by one", () => {
  const found = workersOf(
    configOf({
      plain: { middlewares: {} },
      limited: { middlewares: limit },
      broken: { middlewares: breaker },
      bounded: { middlewares: {}, limits: { maxConnections: 5 } },
    }),
    3,
  );
  expect(found.get("plain")).toEqual([0, 1, 2]);
  expect(found.get("limited")).toHaveLength(1);
  expect(found.get("broken")).toHaveLength(1);
  expect(found.get("bounded")).toHaveLength(1);
});

test("Services that a split joins with a limited one are served by that one's worker", () => {
  const found = workersOf(
    configOf({
      root: { middlewares: {}, backends: ["v1", "v2"] },
      v1: { middlewares: {}, backends: ["deep"] },
      v2: { middlewares: {} },
      deep: { middlewares: limit },
      other: { middlewares: {} },
    }),
    4,
  );
  const { deep, other, ...rest } = Object.fromEntries(found);
  expect(deep).toHaveLength(1);
  expect(rest).toEqual({ root: deep, v1: deep, v2: deep });
  expect(other).toHaveLength(4);
});

test("a UDP port has one worker", () => {
  expect(workersOf(configOf({ udp: { middlewares: {}, transport: "udp" } }), 4).get("udp")).toHaveLength(1);
});

test("every entrypoint is served, by all or by one, whatever the splits; what a call can pass is in one place", () => {
  const names = ["a", "b", "c", "d", "e", "f"];
  const parts = fc.record({
    middlewares: fc.constantFrom({}, {}, {}, limit),
    backends: fc.uniqueArray(fc.constantFrom(...names), { maxLength: 2 }),
  });
  fc.assert(
    fc.property(fc.tuple(...names.map(() => parts)), fc.integer({ min: 2, max: 5 }), (all, workers) => {
      const services = Object.fromEntries(names.map((name, index) => [name, all[index] as Parts]));
      const found = workersOf(configOf(services), workers);
      for (const name of names) {
        const mine = found.get(name) ?? [];
        expect([1, workers]).toContain(mine.length);
        for (const backend of services[name]?.backends ?? []) expect(found.get(backend)).toEqual(mine);
        if (services[name]?.middlewares === limit) expect(mine).toHaveLength(1);
      }
    }),
  );
});

test("what endpoints there are moves no share; routes, counted policies and entrypoints may", () => {
  const config = configOf({ web: { middlewares: {} }, api: { middlewares: {} } });
  const web = config.servicePorts["web"] as ServicePort;
  const moves = (after: ServicePort | undefined) => {
    const writer = new ConfigWriter(structuredClone(config));
    writer.put("servicePorts", "web", after);
    return movesShares(writer.take(), writer.config);
  };
  expect(moves({ ...web, endpoints: { "10.0.0.1:80": {} } })).toBe(false);
  expect(moves({ ...web, middlewares: limit })).toBe(true);
  expect(moves({ ...web, limits: { maxConnections: 1 } })).toBe(true);
  expect(moves({ ...web, routes: [] })).toBe(true);
  expect(moves(undefined)).toBe(true);
  expect(movesShares([{ section: "entrypoints", key: "web", before: undefined }], config)).toBe(true);
});
