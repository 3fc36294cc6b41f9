import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { HttpMatch, MeshConfig, ServicePort } from "../../config/mesh-config.ts";
import { silentLog } from "../../telemetry/log.ts";
import { MeshRouteTable, newDecision, type RouteChanges } from "./route-table.ts";
import { CALLERS, newTable, ROOT, stateOf, V1 } from "./testkit/decisions.ts";
import { HandClock, mesh, request, route, rule, servicePort, workload } from "./testkit/mesh-configs.ts";

const keysOf = (changes: RouteChanges) =>
  Object.fromEntries(
    Object.entries(changes).map(([name, list]) => [name, list.map(({ key }: { key: string }) => key)]),
  );
const NO_CHANGES = { addedServicePorts: [], removedServicePorts: [], addedEndpoints: [], removedEndpoints: [] };

describe("apply", () => {
  test("says what came and went", () => {
    const table = newTable();
    const first = mesh("off", { [ROOT]: servicePort({ "127.1.1.1:80": "n/s", "127.1.1.2:80": "n/s" }) });
    expect(keysOf(table.apply(first))).toEqual({
      ...NO_CHANGES,
      addedServicePorts: [ROOT],
      addedEndpoints: ["127.1.1.1:80", "127.1.1.2:80"],
    });
    expect(keysOf(table.apply(structuredClone(first)))).toEqual(NO_CHANGES);
    const second = mesh("off", { [V1]: servicePort({ "127.1.2.1:80": "n/s" }) });
    expect(keysOf(table.apply(second))).toEqual({
      addedServicePorts: [V1],
      removedServicePorts: [ROOT],
      addedEndpoints: ["127.1.2.1:80"],
      removedEndpoints: ["127.1.1.1:80", "127.1.1.2:80"],
    });
  });

  test("counts configurations", () => {
    const table = newTable();
    expect(table.generation).toBe(0);
    table.apply(mesh("off", {}));
    table.apply(mesh("off", {}));
    expect(table.generation).toBe(2);
  });

  test("service ports and endpoints that stay are the same objects", () => {
    const table = newTable();
    table.apply(mesh("off", { [ROOT]: servicePort({ "127.1.1.1:80": "n/s", "127.1.1.2:80": "n/s" }) }));
    const before = stateOf(table);
    const [kept, gone] = before.endpoints;
    table.apply(mesh("off", { [ROOT]: servicePort({ "127.1.1.1:80": "n/s", "127.1.1.3:80": "n/s" }) }));
    expect(stateOf(table)).toBe(before);
    expect(before.endpoints[0]).toBe(kept);
    expect([kept?.removed, gone?.removed]).toEqual([false, true]);
  });

  test("an endpoint that goes is told once, when the table is already without it", () => {
    const table = newTable();
    table.apply(mesh("off", { [ROOT]: servicePort({ "127.1.1.1:80": "n/s" }) }));
    const told: number[] = [];
    const [endpoint] = stateOf(table).endpoints;
    if (endpoint !== undefined) endpoint.onRemoved.push(() => told.push(stateOf(table).endpoints.length));
    table.apply(mesh("off", { [ROOT]: servicePort({}) }));
    table.apply(mesh("off", {}));
    expect(told).toEqual([0]);
  });

  test("another pod at the same address is another endpoint; news of the same one are not", () => {
    const table = newTable();
    const withPod = (pod: string, zone: string): ServicePort => ({
      ...servicePort({}),
      endpoints: { "127.1.1.1:80": { identity: "n/s", pod, zone } },
    });
    table.apply(mesh("off", { [ROOT]: withPod("n/a", "z1") }));
    const [first] = stateOf(table).endpoints;
    table.apply(mesh("off", { [ROOT]: withPod("n/a", "z2") }));
    expect(stateOf(table).endpoints[0]).toBe(first);
    expect(first?.config.zone).toBe("z2");
    table.apply(mesh("off", { [ROOT]: withPod("n/b", "z2") }));
    expect(stateOf(table).endpoints[0]).not.toBe(first);
    expect(first?.removed).toBe(true);
  });

  test("a service port that is gone leads nowhere, for connections that still mean it", () => {
    const table = newTable();
    const split = { routes: [route("split", [{ servicePort: V1, weight: 1 }])] };
    table.apply(
      mesh("off", {
        [ROOT]: servicePort({ "127.1.1.1:80": "n/s" }, split),
        [V1]: servicePort({ "127.1.2.1:80": "n/s" }),
      }),
    );
    const gone = stateOf(table);
    table.apply(mesh("off", { [V1]: servicePort({ "127.1.2.1:80": "n/s" }) }));
    const decision = newDecision();
    table.routeHttp(gone, table.caller("127.0.0.1"), request("/"), decision);
    expect([gone.removed, decision.failure]).toEqual([true, "NoEndpoint"]);
    table.apply(mesh("off", { [ROOT]: servicePort({ "127.1.1.1:80": "n/s" }) }));
    expect(stateOf(table)).not.toBe(gone);
  });

  test("a split finds a backend that comes later, without a change of its own", () => {
    const table = newTable();
    const root = servicePort({}, { routes: [route("split", [{ servicePort: V1, weight: 1 }])] });
    const decide = () => {
      const decision = newDecision();
      table.routeHttp(stateOf(table), table.caller("127.0.0.1"), request("/"), decision);
      return decision.failure;
    };
    table.apply(mesh("off", { [ROOT]: root }));
    expect(decide()).toBe("NoEndpoint");
    table.apply(mesh("off", { [ROOT]: root, [V1]: servicePort({ "127.1.2.1:80": "n/s" }) }));
    expect(decide()).toBe("");
  });

  test("a split goes on where it was when its weights are written again", () => {
    const table = newTable();
    const config = (scale: number) =>
      mesh("off", {
        [ROOT]: servicePort(
          {},
          {
            routes: [
              route(
                "split",
                ["a", "b"].map((name) => ({ servicePort: `n/${name}:80`, weight: scale })),
              ),
            ],
          },
        ),
        "n/a:80": servicePort({ "127.1.2.1:80": "n/s" }),
        "n/b:80": servicePort({ "127.1.3.1:80": "n/s" }),
      });
    const chosen: (string | undefined)[] = [];
    for (let turn = 1; turn <= 6; turn++) {
      table.apply(config(turn));
      const decision = newDecision();
      table.routeHttp(stateOf(table), table.caller("127.0.0.1"), request("/"), decision);
      chosen.push(decision.path[1]?.key);
    }
    expect(chosen).toEqual(["n/a:80", "n/b:80", "n/a:80", "n/b:80", "n/a:80", "n/b:80"]);
  });
});

describe("middlewares", () => {
  const withMiddlewares = (middlewares: ServicePort["middlewares"]) =>
    mesh("off", { [ROOT]: servicePort({ "127.1.1.1:80": "n/s" }, { middlewares }) });
  const breaker = (value: number) => ({
    expression: { metric: "networkErrorRatio" as const, operator: ">" as const, value },
  });

  test("are made as the configuration says, and taken away", () => {
    const table = newTable();
    table.apply(
      withMiddlewares({ rateLimit: { average: 1, burst: 1 }, circuitBreaker: breaker(0.3), retry: { attempts: 3 } }),
    );
    const { rateLimit, breaker: made, retry } = stateOf(table);
    expect([rateLimit?.maxWaitMs, made?.state, retry?.attempts]).toEqual([500, "standby", 3]);
    table.apply(withMiddlewares({}));
    expect(stateOf(table)).toMatchObject({ rateLimit: undefined, breaker: undefined, retry: undefined });
  });

  test("keep what they know through changes elsewhere", () => {
    const table = newTable();
    table.apply(withMiddlewares({ rateLimit: { average: 1, burst: 1 }, circuitBreaker: breaker(0.3) }));
    const { rateLimit, breaker: made } = stateOf(table);
    made?.record(502, 1);
    rateLimit?.take("a");
    table.apply(
      withMiddlewares({ rateLimit: { average: 10, burst: 1 }, circuitBreaker: breaker(0.3), retry: { attempts: 2 } }),
    );
    expect(stateOf(table).breaker?.state).toBe("tripped");
    expect(stateOf(table).rateLimit?.take("a")).toBe(-100);
  });

  test("a breaker with another expression starts anew", () => {
    const table = newTable();
    table.apply(withMiddlewares({ circuitBreaker: breaker(0.3) }));
    stateOf(table).breaker?.record(502, 1);
    table.apply(withMiddlewares({ circuitBreaker: breaker(0.5) }));
    expect(stateOf(table).breaker?.state).toBe("standby");
  });
});

describe("balancing", () => {
  const withEndpoints = (addresses: readonly string[], balancing?: ServicePort["balancing"]) =>
    mesh("off", {
      [ROOT]: servicePort(
        Object.fromEntries(addresses.map((address) => [address, "n/s"])),
        balancing === undefined ? {} : { balancing },
      ),
    });
  const [A, B, C] = ["127.1.1.1:80", "127.1.1.2:80", "127.1.1.3:80"] as const;
  const warming = (table: MeshRouteTable) =>
    stateOf(table)
      .endpoints.filter(({ warmSince }) => warmSince >= 0)
      .map(({ key }) => key);

  test("only endpoints that join others start slowly, where the service asks for it", () => {
    const table = newTable();
    table.apply(withEndpoints([A, B], { slowStartMs: 1000 }));
    expect(warming(table)).toEqual([]);
    table.apply(withEndpoints([A, B, C], { slowStartMs: 1000 }));
    expect(warming(table)).toEqual([C]);
    table.apply(withEndpoints([A, B, C], { slowStartMs: 2000 }));
    expect(warming(table)).toEqual([C]);
    const without = newTable();
    without.apply(withEndpoints([A]));
    without.apply(withEndpoints([A, B]));
    expect(warming(without)).toEqual([]);
  });

  test("near endpoints are preferred as soon as the configuration says which zone the proxy's node is in", () => {
    const table = new MeshRouteTable({ clock: new HandClock(), random: () => 0, log: silentLog, node: "n1" });
    const endpoints = { [A]: { node: "n2", zone: "za" }, [B]: { node: "n3", zone: "zb" } };
    const config = mesh("off", { [ROOT]: servicePort({}, { endpoints, balancing: { prefer: "zone" } }) });
    const picked = () => new Set(Array.from({ length: 4 }, () => table.pick(stateOf(table).endpoints)?.key));
    table.apply(config);
    expect(picked()).toEqual(new Set([A, B]));
    const neighbour = { ...workload("n/other"), node: "n1", zone: "zb" };
    table.apply({ ...config, workloads: { "127.1.9.9": neighbour } });
    expect(picked()).toEqual(new Set([B]));
    // A configuration that says nothing of it does not move the node.
    table.apply(config);
    expect(picked()).toEqual(new Set([B]));
    const here = { ...endpoints, [C]: { node: "n1", zone: "zb" } };
    table.apply(mesh("off", { [ROOT]: servicePort({}, { endpoints: here, balancing: { prefer: "node" } }) }));
    expect(picked()).toEqual(new Set([C]));
  });

  test("what is known of failures stays with the endpoint, and goes with its Pod", () => {
    const table = newTable();
    table.apply(withEndpoints([A, B]));
    const { balancer, endpoints } = stateOf(table);
    for (let failure = 0; failure < 5; failure++)
      balancer.ejection.failed(endpoints[0] as (typeof endpoints)[0], "ConnectRefused");
    table.apply(withEndpoints([A, B, C]));
    expect(stateOf(table).endpoints.map(({ ejected }) => ejected)).toEqual([true, false, false]);
    table.apply(withEndpoints([B, C]));
    expect(stateOf(table).balancer.ejection.count).toBe(0);
  });
});

describe("callers", () => {
  const identities = (table: MeshRouteTable, address: string) => table.caller(address).identity;

  test("are known by the table of workloads in force", () => {
    const table = newTable();
    expect(identities(table, "127.1.0.1")).toBe(undefined);
    table.apply(mesh("on", {}, [], CALLERS));
    const caller = table.caller("127.1.0.1");
    expect([caller.identity, caller.workload?.namespace, caller.address]).toEqual(["n/client", "n", "127.1.0.1"]);
    table.apply({ ...mesh("on", {}), workloads: { "127.1.0.1": workload("m/else") } });
    expect(identities(table, "127.1.0.1")).toBe("m/else");
    table.apply(mesh("on", {}));
    expect(identities(table, "127.1.0.1")).toBe(undefined);
  });

  test("are the same object while their workload is", () => {
    const table = newTable();
    const config = mesh("on", {}, [], CALLERS);
    table.apply(config);
    const caller = table.caller("127.1.0.1");
    table.apply({ ...config, workloads: { ...config.workloads, "127.1.0.2": workload("n/new") } });
    expect(table.caller("127.1.0.1")).toBe(caller);
  });

  test("IPv6 addresses and odd ones are looked up as they are", () => {
    const table = newTable();
    table.apply(mesh("on", {}, [], { "fd00::1": "n/six", "::ffff:0:1": "n/odd" }));
    expect(identities(table, "fd00::1")).toBe("n/six");
    expect(identities(table, "::ffff:0:1")).toBe("n/odd");
    expect(identities(table, "constructor")).toBe(undefined);
    expect(identities(table, "")).toBe(undefined);
  });
});

test("rules that change are in force for callers that were decided on before", () => {
  const table = newTable();
  const ports = { [ROOT]: servicePort({ "127.1.1.1:80": "n/s" }) };
  const decide = (rules: Parameters<typeof mesh>[2]) => {
    table.apply({ ...mesh("on", ports, rules, CALLERS), servicePorts: ports });
    const decision = newDecision();
    table.routeHttp(stateOf(table), table.caller("127.1.0.1"), request("/"), decision);
    return decision.failure;
  };
  expect(decide([])).toBe("AccessDenied");
  expect(decide([rule("t", "n/s", ["n/client"], { http: { matches: [] } })])).toBe("");
  expect(decide([rule("t", "n/s", ["n/else"], { http: { matches: [] } })])).toBe("AccessDenied");
  expect(decide([rule("u", "n/s", ["n/client"], { http: { matches: [{ methods: ["PUT"] }] } })])).toBe("AccessDenied");
});

/** Configurations that differ in a few places and share all else, as those from deltas do. */
const anyPort = fc.record({
  endpoints: fc.dictionary(
    fc.constantFrom("127.1.1.1:80", "127.1.1.2:80", "127.1.1.2:81"),
    fc.constantFrom("n/s", "n/t", undefined),
  ),
  backends: fc.array(
    fc.record({ servicePort: fc.constantFrom("n/a:80", "n/b:80", "n/c:80"), weight: fc.nat(2), routed: fc.boolean() }),
    { maxLength: 2 },
  ),
  matched: fc.boolean(),
});
const anyRule = fc.record({
  destination: fc.constantFrom("n/s", "n/t"),
  sources: fc.subarray(["n/client", "n/other"]),
  match: fc.constantFrom<HttpMatch[]>({}, { path: { type: "regex" as const, value: "/a.?c" } }, { methods: ["PUT"] }),
});
type Step = (config: MeshConfig) => MeshConfig;
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constantFrom("n/a:80", "n/b:80", "n/c:80"), fc.option(anyPort)).map(
    ([key, port]): Step =>
      (config) => {
        const { [key]: _gone, ...others } = config.servicePorts;
        if (port === null) return { ...config, servicePorts: others };
        // The compiler lets no cycle through; its own endpoints a service port may name.
        const backends = port.backends
          .filter(({ servicePort: backend }) => backend >= key)
          .map(({ routed, ...backend }) => (routed ? { ...backend, routed: true as const } : backend));
        const matches = port.matched ? [{ methods: ["GET"] }] : [];
        const routes = backends.length === 0 ? {} : { routes: [route(key, backends, { matches })] };
        return { ...config, servicePorts: { ...others, [key]: servicePort(port.endpoints, routes) } };
      },
  ),
  fc.tuple(fc.constantFrom("n/x", "n/y"), fc.option(anyRule)).map(
    ([key, each]): Step =>
      (config) => {
        const { [key]: _gone, ...others } = config.accessRules;
        if (each === null) return { ...config, accessRules: others };
        const made = rule(key, each.destination, each.sources, { http: { matches: [each.match] }, tcp: {} });
        return { ...config, accessRules: { ...others, [key]: made } };
      },
  ),
  fc.constantFrom("off" as const, "audit" as const, "on" as const).map(
    (accessControl): Step =>
      (config) => ({ ...config, accessControl }),
  ),
  fc.constantFrom("n/client", "n/other").map(
    (identity): Step =>
      (config) => ({ ...config, workloads: { "127.1.0.1": workload(identity) } }),
  ),
);

/** Every outcome that some number of calls has. */
function outcomes(table: MeshRouteTable, config: MeshConfig): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  const decision = newDecision();
  for (const key of Object.keys(config.servicePorts)) {
    for (const view of [request("/abc"), request("/", "PUT"), request("/abc/../x"), undefined]) {
      for (const address of ["127.1.0.1", "127.9.9.9"]) {
        const seen = new Set<string>();
        found.set(`${key} ${view?.path} ${address}`, seen);
        for (let call = 0; call < 24; call++) {
          if (view === undefined) table.routeFlow(stateOf(table, key), table.caller(address), decision);
          else table.routeHttp(stateOf(table, key), table.caller(address), view, decision);
          const { failure, path, endpoints, routes, origin, wouldDeny } = decision;
          const names = [path.map(({ key: name }) => name), endpoints.map(({ key: name }) => name)];
          seen.add(JSON.stringify([failure, names, routes.length, origin, wouldDeny]));
        }
      }
    }
  }
  return found;
}

test("a configuration reached step by step is the same as one applied at once", () => {
  fc.assert(
    fc.property(fc.array(anyStep, { minLength: 1, maxLength: 12 }), (steps) => {
      const table = newTable();
      let config = mesh("on", {}, [], CALLERS);
      for (const step of steps) {
        config = step(config);
        table.apply(config);
        // Calls in between fill what is kept for later ones.
        outcomes(table, config);
      }
      const fresh = newTable();
      fresh.apply(structuredClone(config));
      expect(outcomes(table, config)).toEqual(outcomes(fresh, config));
    }),
    { numRuns: 60 },
  );
});
