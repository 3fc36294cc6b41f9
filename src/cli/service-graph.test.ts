import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { emptyMeshConfig, type MeshConfig, type Route, type ServicePort } from "../config/mesh-config.ts";
import { trafficReport } from "../traffic/testkit/generators.ts";
import { NO_COUNTS, type TrafficEdge } from "../traffic/traffic-report.ts";
import { serviceGraph } from "./service-graph.ts";

function edge(source: string, servicePort: string, backend: string, requests: number): TrafficEdge {
  return { ...NO_COUNTS, source, servicePort, backend, protocol: "http", exchanges: [0, 0, requests, 0, 0, 0] };
}

type Backends = readonly (readonly [servicePort: string, weight: number, routed?: true])[];

function split(name: string, backends: Backends): Route {
  return {
    origin: { kind: "TrafficSplit", namespace: "shop", name },
    matches: [],
    backends: backends.map(([servicePort, weight, routed]) => ({
      servicePort,
      weight,
      ...(routed === undefined ? {} : { routed }),
    })),
  };
}

function meshOf(routes: Readonly<Record<string, Route[]>>, pods: Readonly<Record<string, string>> = {}): MeshConfig {
  const port = (key: string): ServicePort => ({
    namespace: "shop",
    service: key,
    port: 80,
    trafficType: "http",
    scheme: "http",
    middlewares: {},
    ...(routes[key] === undefined ? {} : { routes: routes[key] }),
    endpoints: pods[key] === undefined ? {} : { [`${pods[key]}:8080`]: {} },
  });
  const keys = [...Object.keys(routes), ...Object.keys(pods)];
  return { ...emptyMeshConfig(), servicePorts: Object.fromEntries(keys.map((key) => [key, port(key)])) };
}

describe("a graph of calls", () => {
  test("has an edge for each caller of each service port, with what passed on it", () => {
    const edges = [edge("shop/a", "shop/web:80", "shop/v1:80", 6), edge("shop/a", "shop/web:80", "shop/v2:80", 2)];
    const { calls } = serviceGraph(edges, 4, undefined, undefined);
    expect(calls).toMatchObject([{ from: "shop/a", to: "shop/web:80", protocol: "http", rates: { requests: 2 } }]);
  });

  test("of a namespace has what is called in it and from it", () => {
    const edges = [
      edge("shop/a", "bank/api:80", "bank/api:80", 1),
      edge("bank/b", "shop/web:80", "shop/web:80", 1),
      edge("bank/b", "bank/api:80", "bank/api:80", 1),
      edge("shopping/b", "bank/api:80", "bank/api:80", 1),
    ];
    const { calls } = serviceGraph(edges, 1, undefined, "shop");
    expect(calls.map(({ from, to }) => [from, to])).toEqual([
      ["bank/b", "shop/web:80"],
      ["shop/a", "bank/api:80"],
    ]);
  });

  test("has a split's weights as configured, and as they were", () => {
    const config = meshOf({
      "shop/web:80": [
        split("web", [
          ["shop/v1:80", 9],
          ["shop/v2:80", 1],
          ["shop/v3:80", 0],
        ]),
      ],
    });
    const edges = [edge("shop/a", "shop/web:80", "shop/v1:80", 3), edge("shop/b", "shop/web:80", "shop/v2:80", 1)];
    const origin = "TrafficSplit shop/web";
    expect(serviceGraph(edges, 1, config, undefined).splits).toEqual([
      { from: "shop/web:80", to: "shop/v1:80", origin, weight: 90, measured: 75 },
      { from: "shop/web:80", to: "shop/v2:80", origin, weight: 10, measured: 25 },
      { from: "shop/web:80", to: "shop/v3:80", origin, weight: 0, measured: 0 },
    ]);
  });

  test("follows a split of a split, and shows what is not configured any more", () => {
    const config = meshOf({
      "shop/web:80": [
        split("web", [
          ["shop/mid:80", 1, true],
          ["shop/v3:80", 1],
        ]),
      ],
      "shop/mid:80": [split("mid", [["shop/v1:80", 1]])],
    });
    const edges = [edge("shop/a", "shop/web:80", "shop/v1:80", 1), edge("shop/a", "shop/web:80", "shop/old:80", 1)];
    expect(serviceGraph(edges, 1, config, undefined).splits).toEqual([
      { from: "shop/mid:80", to: "shop/v1:80", origin: "TrafficSplit shop/mid", weight: 100 },
      { from: "shop/web:80", to: "shop/mid:80", origin: "TrafficSplit shop/web", weight: 50 },
      { from: "shop/web:80", to: "shop/old:80", measured: 50 },
      { from: "shop/web:80", to: "shop/v3:80", origin: "TrafficSplit shop/web", weight: 50, measured: 0 },
    ]);
  });

  test("ends where splits lead in a circle", () => {
    const config = meshOf({
      "shop/a:80": [split("a", [["shop/b:80", 1, true]])],
      "shop/b:80": [split("b", [["shop/a:80", 1, true]])],
    });
    expect(serviceGraph([edge("shop/x", "shop/a:80", "", 1)], 1, config, undefined).splits).toHaveLength(2);
  });

  test("joins a service with the workload that serves it, where that calls others", () => {
    const config = {
      ...meshOf({}, { "shop/web:80": "10.0.0.1", "shop/api:80": "10.0.0.2", "shop/v6:80": "[fd00::1]" }),
      workloads: {
        "10.0.0.1": { namespace: "shop", pod: "web-7d4", serviceAccount: "web", workload: "web" },
        "10.0.0.2": { namespace: "shop", pod: "api-0", serviceAccount: "api" },
        "fd00::1": { namespace: "shop", pod: "v6", serviceAccount: "v6" },
      },
    };
    const edges = [
      edge("", "shop/web:80", "shop/web:80", 1),
      edge("shop/web", "shop/api:80", "shop/api:80", 1),
      edge("shop/v6", "shop/v6:80", "shop/v6:80", 1),
    ];
    expect(serviceGraph(edges, 1, config, undefined).serves).toEqual([
      { service: "shop/v6:80", workload: "shop/v6" },
      { service: "shop/web:80", workload: "shop/web" },
    ]);
  });

  test("loses nothing that passed", () => {
    fc.assert(
      fc.property(trafficReport, ({ edges }) => {
        const { calls } = serviceGraph(edges, 1, emptyMeshConfig(), undefined);
        const requests = edges.flatMap(({ exchanges }) => exchanges).reduce((sum, count) => sum + count, 0);
        expect(calls.reduce((sum, { rates }) => sum + rates.requests, 0)).toBe(requests);
      }),
    );
  });
});
