import { describe, expect, test } from "vitest";
import { newDecision } from "./route-table.ts";
import {
  CALLERS,
  CLIENT,
  endpointKeys,
  flow,
  http,
  OTHER,
  pathKeys,
  ROOT,
  STRANGER,
  stateOf,
  tableOf,
  V1,
  V2,
} from "./testkit/decisions.ts";
import { mesh, request, route, rule, servicePort } from "./testkit/mesh-configs.ts";
import type { EndpointState } from "./types.ts";

const SPLIT = { kind: "TrafficSplit", namespace: "n", name: "split" };

describe("without access control", () => {
  test("a service port leads to its own endpoints", () => {
    const decision = http(
      tableOf(mesh("off", { [ROOT]: servicePort({ "127.1.1.2:80": "n/s", "127.1.1.1:80": undefined }) })),
      STRANGER,
    );
    expect(decision.failure).toBe("");
    expect(endpointKeys(decision)).toEqual(["127.1.1.1:80", "127.1.1.2:80"]);
    expect(pathKeys(decision)).toEqual([ROOT]);
    expect(decision.origin).toBe(undefined);
  });

  test("without endpoints there is none to go to", () => {
    expect(http(tableOf(mesh("off", { [ROOT]: servicePort({}) })), STRANGER).failure).toBe("NoEndpoint");
  });

  test("an ambiguous path decides nothing and goes on", () => {
    const table = tableOf(mesh("off", { [ROOT]: servicePort({ "127.1.1.1:80": "n/s" }) }));
    expect(http(table, STRANGER, request("/a/../%2e%2f")).failure).toBe("");
  });

  test("a service port that is not there is not there", () => {
    expect(tableOf(mesh("off", {})).servicePort(ROOT)).toBe(undefined);
  });
});

describe("routes", () => {
  const backend = (servicePort: string, weight = 1) => ({ servicePort, weight });
  const ports = (routes: Parameters<typeof route>[]) => ({
    [ROOT]: servicePort({ "127.1.1.1:80": "n/s" }, { routes: routes.map((each) => route(...each)) }),
    [V1]: servicePort({ "127.1.2.1:80": "n/s" }),
    [V2]: servicePort({ "127.1.3.1:80": "n/s" }),
  });
  const only = (prefix: string) => ({ matches: [{ path: { type: "prefix" as const, value: prefix } }] });

  test("the first that fits decides", () => {
    const table = tableOf(
      mesh(
        "off",
        ports([
          ["a", [backend(V1)], only("/a")],
          ["ab", [backend(V2)], only("/a/b")],
          ["rest", [backend(ROOT)]],
        ]),
      ),
    );
    expect(pathKeys(http(table, CLIENT, request("/a/b")))).toEqual([ROOT, V1]);
    expect(pathKeys(http(table, CLIENT, request("/b")))).toEqual([ROOT]);
    expect(endpointKeys(http(table, CLIENT, request("/b")))).toEqual(["127.1.1.1:80"]);
  });

  test("one of a route's matches is enough, and its prefix is told", () => {
    const matches = [...only("/a").matches, ...only("/b").matches, { methods: ["PUT"] }];
    const table = tableOf(mesh("off", ports([["r", [backend(V1)], { matches }]])));
    expect(http(table, CLIENT, request("/b/x")).prefixes).toEqual(["/b"]);
    expect(http(table, CLIENT, request("/x", "PUT")).prefixes).toEqual([""]);
  });

  test("none that fits is NoRoute", () => {
    const decision = http(tableOf(mesh("off", ports([["a", [backend(V1)], only("/a")]]))), CLIENT, request("/b"));
    expect(decision.failure).toBe("NoRoute");
    expect(decision.endpoints).toEqual([]);
  });

  test("a route for some namespaces fits callers from there only", () => {
    const table = tableOf({
      ...mesh(
        "off",
        ports([
          ["r", [backend(V1)], { callerNamespaces: ["n"] }],
          ["rest", [backend(V2)]],
        ]),
      ),
      workloads: {
        [CLIENT]: { namespace: "n", pod: "p", serviceAccount: "s" },
        [OTHER]: { namespace: "m", pod: "p", serviceAccount: "s" },
      },
    });
    expect(pathKeys(http(table, CLIENT))).toEqual([ROOT, V1]);
    expect(pathKeys(http(table, OTHER))).toEqual([ROOT, V2]);
    expect(pathKeys(http(table, STRANGER))).toEqual([ROOT, V2]);
  });

  test("a split gives exact shares, and says that it decided", () => {
    const table = tableOf(mesh("off", ports([["split", [backend(V1, 80), backend(V2, 20)]]])));
    const counts: Record<string, number> = { [V1]: 0, [V2]: 0 };
    for (let call = 0; call < 2_000; call++) {
      const decision = http(table, CLIENT);
      const chosen = decision.path[1]?.key as string;
      counts[chosen] = (counts[chosen] as number) + 1;
      expect(decision.origin).toEqual(SPLIT);
      expect(decision.backends).toEqual([{ servicePort: chosen, weight: chosen === V1 ? 80 : 20 }]);
    }
    expect(counts).toEqual({ [V1]: 1_600, [V2]: 400 });
  });

  test("flows take turns of their own connection each, as requests do", () => {
    const table = tableOf(mesh("off", ports([["split", [backend(V1, 3), backend(V2, 1)]]])));
    const chosen = Array.from({ length: 8 }, () => flow(table, CLIENT).path[1]?.key);
    expect(chosen.filter((key) => key === V2)).toHaveLength(2);
  });

  test("a flow fits no route that tells requests apart", () => {
    const cases: [Parameters<typeof route>[2], string[]][] = [
      [only("/"), [ROOT, V2]],
      [{ matches: [{ methods: [""] }] }, [ROOT, V2]],
      [{ matches: [{ path: { type: "regex", value: ".*" } }] }, [ROOT, V1]],
    ];
    for (const [matches, expected] of cases) {
      const routes: Parameters<typeof route>[] = [
        ["a", [backend(V1)], matches],
        ["rest", [backend(V2)]],
      ];
      expect(pathKeys(flow(tableOf(mesh("off", ports(routes))), CLIENT))).toEqual(expected);
    }
  });

  test("no weight above 0 is NoEndpoint", () => {
    const table = tableOf(mesh("off", ports([["split", [backend(V1, 0), backend(V2, 0)]]])));
    expect(http(table, CLIENT).failure).toBe("NoEndpoint");
  });

  test("the share of a missing or empty backend is NoEndpoint, and the others' is served", () => {
    const table = tableOf(
      mesh("off", { ...ports([["split", [backend("n/gone:80"), backend(V1), backend(V2)]]]), [V2]: servicePort({}) }),
    );
    const failures = Array.from({ length: 6 }, () => http(table, CLIENT).failure);
    expect(failures.filter((failure) => failure === "NoEndpoint")).toHaveLength(4);
    expect(failures.filter((failure) => failure === "")).toHaveLength(2);
  });

  test("a routed backend's own routes apply, another's do not", () => {
    const inner = { [V1]: servicePort({ "127.1.2.1:80": "n/s" }, { routes: [route("inner", [backend(V2)])] }) };
    const routed = tableOf(mesh("off", { ...ports([["split", [{ ...backend(V1), routed: true }]]]), ...inner }));
    const decision = http(routed, CLIENT);
    expect(pathKeys(decision)).toEqual([ROOT, V1, V2]);
    expect(decision.routes.map(({ origin }) => origin.name)).toEqual(["split", "inner"]);
    expect(decision.route?.origin.name).toBe("split");
    const plain = tableOf(mesh("off", { ...ports([["split", [backend(V1)]]]), ...inner }));
    expect(pathKeys(http(plain, CLIENT))).toEqual([ROOT, V1]);
  });

  test("a cycle ends", () => {
    const cycle = {
      [ROOT]: servicePort(
        { "127.1.1.1:80": "n/s" },
        {
          routes: [
            route("a", [
              { ...backend(V1), routed: true },
              { ...backend(V1), routed: true },
            ]),
          ],
        },
      ),
      [V1]: servicePort({ "127.1.2.1:80": "n/s" }, { routes: [route("b", [{ ...backend(ROOT), routed: true }])] }),
    };
    for (const mode of ["off", "on"] as const) {
      expect(http(tableOf(mesh(mode, cycle, [], CALLERS)), CLIENT).failure).toBe("NoEndpoint");
    }
  });

  test("a redirect needs no endpoint and takes no turn", () => {
    const redirect = { type: "redirect" as const, status: 302 as const };
    for (const mode of ["off", "on"] as const) {
      const decision = http(tableOf(mesh(mode, ports([["r", [backend(V1)], { filters: [redirect] }]]))), STRANGER);
      expect(decision.failure).toBe("");
      expect(decision.route?.filters).toEqual([redirect]);
      expect(decision.backends).toEqual([]);
    }
  });
});

test("a decision is filled anew each time", () => {
  const table = tableOf(
    mesh(
      "on",
      {
        [ROOT]: servicePort({}, { routes: [route("split", [{ servicePort: V1, weight: 1 }])] }),
        [V1]: servicePort({ "127.1.2.1:80": "n/v1" }),
      },
      [rule("v1", "n/v1", ["n/client"], { http: { matches: [] } })],
      CALLERS,
    ),
  );
  const decision = newDecision();
  const root = stateOf(table);
  table.routeHttp(root, table.caller(CLIENT), request("/"), decision);
  table.routeHttp(root, table.caller(CLIENT), request("/"), decision);
  expect([decision.path.length, decision.routes.length, decision.backends.length, decision.prefixes.length]).toEqual([
    2, 1, 1, 1,
  ]);
  table.routeHttp(root, table.caller(OTHER), request("/"), decision);
  expect(decision).toEqual({ ...newDecision(), failure: "AccessDenied", path: [root] });
});

test("picking goes by what endpoints have to do", () => {
  const table = tableOf(mesh("off", { [ROOT]: servicePort({ "127.1.1.1:80": "n/s", "127.1.1.2:80": "n/s" }) }));
  const { endpoints } = http(table, CLIENT);
  const [first, second] = endpoints as [EndpointState, EndpointState];
  first.outstanding = 1;
  expect(table.pick(endpoints)).toBe(second);
  expect(table.pick(endpoints, [second])).toBe(first);
  expect(table.pick([])).toBe(undefined);
});
