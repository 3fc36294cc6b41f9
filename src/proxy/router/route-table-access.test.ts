import { describe, expect, test } from "vitest";
import type { AccessMode, AccessRule } from "../../config/mesh-config.ts";
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

const SPLIT = { kind: "TrafficSplit", namespace: "n", name: "split" };

const API: NonNullable<AccessRule["http"]> = { matches: [{ name: "api", path: { type: "regex", value: "/api" } }] };
const ANY: NonNullable<AccessRule["http"]> = { matches: [] };

describe("with access control", () => {
  const protectedBy = (rules: Parameters<typeof mesh>[2], mode: AccessMode = "on") =>
    tableOf(mesh(mode, { [ROOT]: servicePort({ "127.1.1.1:80": "n/s" }) }, rules, CALLERS));

  test("what no rule allows is denied", () => {
    const decision = http(protectedBy([]), CLIENT);
    expect(decision.failure).toBe("AccessDenied");
    expect(decision.endpoints).toEqual([]);
    expect(decision.origin).toBe(undefined);
  });

  test("a source of a rule is allowed, others and strangers are not", () => {
    const table = protectedBy([rule("t", "n/s", ["n/client"], { http: ANY })]);
    expect(http(table, CLIENT).failure).toBe("");
    expect(http(table, CLIENT).origin?.name).toBe("t");
    expect(http(table, OTHER).failure).toBe("AccessDenied");
    expect(http(table, STRANGER).failure).toBe("AccessDenied");
  });

  test("a dual-stack socket's peer is known by its IPv4 address", () => {
    const table = protectedBy([rule("t", "n/s", ["n/client"], { http: ANY })]);
    expect(table.caller(`::ffff:${CLIENT}`)).toBe(table.caller(CLIENT));
    expect(http(table, `::ffff:${CLIENT}`).failure).toBe("");
  });

  test("rules add up", () => {
    const table = protectedBy([
      rule("a", "n/s", ["n/client"], { http: API }),
      rule("b", "n/s", ["n/client", "n/other"], { http: { matches: [{ methods: ["PUT"] }] } }),
    ]);
    expect(http(table, CLIENT, request("/api/x")).origin?.name).toBe("a");
    expect(http(table, CLIENT, request("/x", "PUT")).origin?.name).toBe("b");
    expect(http(table, OTHER, request("/api/x")).failure).toBe("AccessDenied");
    expect(http(table, CLIENT, request("/x")).failure).toBe("AccessDenied");
  });

  test("a rule for another identity allows nothing", () => {
    expect(http(protectedBy([rule("t", "n/else", ["n/client"], { http: ANY })]), CLIENT).failure).toBe("AccessDenied");
  });

  test("ports are the pod's", () => {
    const at = (ports: number[]) => rule("t", "n/s", ["n/client"], { http: { ports, matches: [] } });
    expect(http(protectedBy([at([80, 81])]), CLIENT).failure).toBe("");
    expect(http(protectedBy([at([81])]), CLIENT).failure).toBe("AccessDenied");
  });

  test("a rule for TCP opens no HTTP, and one for HTTP no TCP or UDP", () => {
    expect(http(protectedBy([rule("t", "n/s", ["n/client"], { tcp: {} })]), CLIENT).failure).toBe("AccessDenied");
    for (const trafficType of ["tcp", "udp"] as const) {
      const port = servicePort({ "127.1.1.1:80": "n/s" }, { trafficType });
      const decide = (opens: Parameters<typeof rule>[3]) =>
        flow(tableOf(mesh("on", { [ROOT]: port }, [rule("t", "n/s", ["n/client"], opens)], CALLERS)), CLIENT).failure;
      expect(decide({ http: ANY })).toBe("AccessDenied");
      expect(decide({ [trafficType]: {} })).toBe("");
      expect(decide({ [trafficType]: { ports: [80] } })).toBe("");
      expect(decide({ [trafficType]: { ports: [81] } })).toBe("AccessDenied");
      expect(decide({ [trafficType === "tcp" ? "udp" : "tcp"]: {} })).toBe("AccessDenied");
    }
  });

  test("a caller reaches only the endpoints that it may", () => {
    const port = servicePort({
      "127.1.1.1:80": "n/a",
      "127.1.1.2:80": "n/b",
      "127.1.1.3:80": "n/c",
      "127.1.1.4:80": undefined,
    });
    const table = tableOf(
      mesh(
        "on",
        { [ROOT]: port },
        [
          rule("a", "n/a", ["n/client"], { http: ANY }),
          rule("b", "n/b", ["n/client", "n/other"], { http: API }),
          rule("c", "n/c", ["n/client"], { http: { matches: [{ methods: ["PUT"] }] } }),
        ],
        CALLERS,
      ),
    );
    expect(endpointKeys(http(table, CLIENT, request("/api", "PUT")))).toEqual([
      "127.1.1.1:80",
      "127.1.1.2:80",
      "127.1.1.3:80",
    ]);
    expect(endpointKeys(http(table, CLIENT, request("/api")))).toEqual(["127.1.1.1:80", "127.1.1.2:80"]);
    expect(endpointKeys(http(table, CLIENT, request("/")))).toEqual(["127.1.1.1:80"]);
    expect(endpointKeys(http(table, OTHER, request("/api")))).toEqual(["127.1.1.2:80"]);
    expect(http(table, OTHER, request("/")).failure).toBe("AccessDenied");
  });

  test("of several rules that allow, the first is named, in the order of endpoints", () => {
    const port = servicePort({ "127.1.1.1:80": "n/a", "127.1.1.2:80": "n/b" });
    const rules = ["b", "a"].map((name) => rule(name, `n/${name}`, ["n/client"], { http: API }));
    const table = tableOf(mesh("on", { [ROOT]: port }, rules, CALLERS));
    expect(http(table, CLIENT, request("/api")).origin?.name).toBe("a");
  });

  test("an endpoint that is nobody's is denied to all", () => {
    const table = tableOf(mesh("on", { [ROOT]: servicePort({ "127.1.1.1:80": undefined }) }, [], CALLERS));
    expect(http(table, CLIENT).failure).toBe("AccessDenied");
  });

  test("a service without endpoints protects nothing", () => {
    expect(http(tableOf(mesh("on", { [ROOT]: servicePort({}) }, [], CALLERS)), STRANGER).failure).toBe("NoEndpoint");
  });

  test("an ambiguous path is refused where a path rule would decide", () => {
    const table = protectedBy([
      rule("a", "n/s", ["n/client"], { http: API }),
      rule("b", "n/s", ["n/other"], { http: ANY }),
    ]);
    for (const path of ["/api/../admin", "/api/%2e%2e/admin", "/api%2fx", "/api\\x", "/api//x", "/%zz"]) {
      expect([path, http(table, CLIENT, request(path)).failure]).toEqual([path, "AmbiguousPath"]);
      expect([path, http(table, OTHER, request(path)).failure]).toEqual([path, ""]);
      expect([path, http(table, STRANGER, request(path)).failure]).toEqual([path, "AccessDenied"]);
    }
  });

  test("another rule may allow what one cannot judge", () => {
    const table = protectedBy([
      rule("a", "n/s", ["n/client"], { http: API }),
      rule("b", "n/s", ["n/client"], { http: { matches: [{ methods: ["PUT"] }] } }),
    ]);
    expect(http(table, CLIENT, request("/api/..", "PUT")).failure).toBe("");
    expect(http(table, CLIENT, request("/api/..", "GET")).failure).toBe("AmbiguousPath");
  });

  test("a rule with a broken pattern allows nothing", () => {
    const broken = { matches: [{ path: { type: "regex" as const, value: "(" } }] };
    expect(http(protectedBy([rule("t", "n/s", ["n/client"], { http: broken })]), CLIENT).failure).toBe("AccessDenied");
  });

  test("audit lets everything through, to every endpoint, and says what would be denied", () => {
    const port = servicePort({ "127.1.1.1:80": "n/s", "127.1.1.2:80": "n/else" });
    const rules = [rule("t", "n/s", ["n/client"], { http: API })];
    const table = tableOf(mesh("audit", { [ROOT]: port }, rules, CALLERS));
    const allowed = http(table, CLIENT, request("/api"));
    expect([allowed.failure, allowed.wouldDeny, allowed.origin?.name]).toEqual(["", false, "t"]);
    const denied = http(table, OTHER, request("/api"));
    expect([denied.failure, denied.wouldDeny, denied.origin]).toEqual(["", true, undefined]);
    for (const decision of [allowed, denied]) expect(endpointKeys(decision)).toEqual(["127.1.1.1:80", "127.1.1.2:80"]);
  });

  test("the mode can change while calls come", () => {
    const table = protectedBy([]);
    const modes = (mode: AccessMode) => {
      table.apply(mesh(mode, { [ROOT]: servicePort({ "127.1.1.1:80": "n/s" }) }, [], CALLERS));
      const { failure, wouldDeny } = http(table, CLIENT);
      return [failure, wouldDeny];
    };
    expect(modes("off")).toEqual(["", false]);
    expect(modes("audit")).toEqual(["", true]);
    expect(modes("on")).toEqual(["AccessDenied", false]);
  });
});

describe("a split under access control", () => {
  const ports = (weights: [number, number] = [1, 1], rest: Record<string, ReturnType<typeof servicePort>> = {}) => ({
    [ROOT]: servicePort(
      { "127.1.1.1:80": "n/root" },
      {
        routes: [
          route("split", [
            { servicePort: V1, weight: weights[0] },
            { servicePort: V2, weight: weights[1] },
          ]),
        ],
      },
    ),
    [V1]: servicePort({ "127.1.2.1:80": "n/v1" }),
    [V2]: servicePort({ "127.1.3.1:80": "n/v2" }),
    ...rest,
  });
  const onV1 = (http = ANY) => rule("v1", "n/v1", ["n/client"], { http });
  const onV2 = (http = ANY) => rule("v2", "n/v2", ["n/client"], { http });

  test("who may reach every backend is let through, without any rule on the root", () => {
    const table = tableOf(mesh("on", ports(), [onV1(), onV2()], CALLERS));
    const decision = http(table, CLIENT);
    expect(decision.failure).toBe("");
    expect(decision.origin).toEqual(SPLIT);
  });

  test("who may not reach one of them is always denied", () => {
    const table = tableOf(mesh("on", ports([99, 1]), [onV1()], CALLERS));
    for (let call = 0; call < 10; call++) expect(http(table, CLIENT).failure).toBe("AccessDenied");
    expect(pathKeys(http(table, CLIENT))).toEqual([ROOT]);
  });

  test("it is this very request that must be allowed on all of them", () => {
    const table = tableOf(mesh("on", ports(), [onV1(), onV2(API)], CALLERS));
    expect(http(table, CLIENT, request("/api")).failure).toBe("");
    expect(http(table, CLIENT, request("/")).failure).toBe("AccessDenied");
    expect(http(table, CLIENT, request("/api/..")).failure).toBe("AmbiguousPath");
  });

  test("a backend of weight 0 is not asked", () => {
    expect(http(tableOf(mesh("on", ports([1, 0]), [onV1()], CALLERS)), CLIENT).failure).toBe("");
  });

  test("a backend without endpoints is not asked, and its share is NoEndpoint", () => {
    const table = tableOf(mesh("on", ports([1, 1], { [V2]: servicePort({}) }), [onV1()], CALLERS));
    expect([http(table, CLIENT).failure, http(table, CLIENT).failure].sort()).toEqual(["", "NoEndpoint"]);
    expect(http(table, OTHER).failure).toBe("AccessDenied");
  });

  test("a refused request takes no turn", () => {
    const table = tableOf(mesh("on", ports(), [onV1(API), onV2(API)], CALLERS));
    const chosen: (string | undefined)[] = [];
    for (let call = 0; call < 6; call++) {
      chosen.push(http(table, CLIENT, request("/api")).path[1]?.key);
      for (let refused = 0; refused <= call; refused++) http(table, OTHER, request("/api"));
    }
    expect(chosen).toEqual([V1, V2, V1, V2, V1, V2]);
  });

  test("the backends of a split below count too", () => {
    const nested = {
      ...ports(),
      "n/top:80": servicePort(
        {},
        { routes: [route("top", [{ servicePort: ROOT, weight: 1, routed: true as const }])] },
      ),
    };
    const decide = (rules: Parameters<typeof mesh>[2]) =>
      http(tableOf(mesh("on", nested, rules, CALLERS)), CLIENT, request("/"), "n/top:80");
    expect(decide([onV1()]).failure).toBe("AccessDenied");
    const allowed = decide([onV1(), onV2()]);
    expect(allowed.failure).toBe("");
    expect(pathKeys(allowed)).toEqual(["n/top:80", ROOT, V1]);
  });

  test("a route back to the own endpoints is decided by the rules on those", () => {
    const port = servicePort(
      { "127.1.1.1:80": "n/root" },
      { routes: [route("self", [{ servicePort: ROOT, weight: 1 }])] },
    );
    const table = tableOf(mesh("on", { [ROOT]: port }, [rule("root", "n/root", ["n/client"], { http: ANY })], CALLERS));
    expect(http(table, CLIENT).origin?.name).toBe("root");
    expect(pathKeys(http(table, CLIENT))).toEqual([ROOT]);
    expect(http(table, OTHER).failure).toBe("AccessDenied");
  });

  test("flows too", () => {
    const tcp = { trafficType: "tcp" as const };
    const config = ports([1, 1], {
      [V1]: servicePort({ "127.1.2.1:80": "n/v1" }, tcp),
      [V2]: servicePort({ "127.1.3.1:80": "n/v2" }, tcp),
    });
    const both = ["v1", "v2"].map((name) => rule(name, `n/${name}`, ["n/client"], { tcp: {} }));
    expect(flow(tableOf(mesh("on", config, both, CALLERS)), CLIENT).failure).toBe("");
    expect(flow(tableOf(mesh("on", config, both, CALLERS)), OTHER).failure).toBe("AccessDenied");
    expect(flow(tableOf(mesh("on", config, both.slice(1), CALLERS)), CLIENT).failure).toBe("AccessDenied");
  });

  test("audit goes where the split says", () => {
    const decision = http(tableOf(mesh("audit", ports(), [onV1()], CALLERS)), CLIENT);
    expect([decision.failure, decision.wouldDeny]).toEqual(["", true]);
    expect(decision.path).toHaveLength(2);
    expect(decision.endpoints).toHaveLength(1);
  });
});

test("what is found out about a denied call names each rule on the way, and its obstacle", () => {
  const port = servicePort({ "127.1.1.1:80": "n/s", "127.1.1.9:80": undefined });
  const rules = [
    rule("http", "n/s", ["n/client"], {
      http: { ports: [80], matches: [...API.matches, { name: "put", methods: ["PUT"] }] },
    }),
    rule("port", "n/s", ["n/client"], { http: { ports: [81], matches: [] } }),
    rule("source", "n/s", ["n/other"], { http: ANY }),
    rule("tcp", "n/s", ["n/client"], { tcp: {} }),
    rule("elsewhere", "n/else", ["n/client"], { http: ANY }),
  ];
  const table = tableOf(mesh("on", { [ROOT]: port }, rules, CALLERS));
  const root = stateOf(table);
  const denied = table.describeAccess(root, table.caller(CLIENT), request("/x"));
  expect(denied.endpointsWithoutIdentity).toEqual(["127.1.1.9:80"]);
  expect(denied.findings.map(({ rule: { name }, obstacle, matches }) => [name, obstacle, matches])).toEqual([
    [
      "http",
      "match",
      [
        { name: "api", misfit: "path" },
        { name: "put", misfit: "method" },
      ],
    ],
    ["port", "port", []],
    ["source", "source", []],
    ["tcp", "protocol", []],
  ]);
  const allowed = table.describeAccess(root, table.caller(CLIENT), request("/x", "PUT"));
  expect(allowed.findings[0]).toMatchObject({ obstacle: "", destination: "n/s", podPort: 80 });
  const byFlow = table.describeAccess(root, table.caller(CLIENT), undefined);
  expect(byFlow.findings.map(({ obstacle }) => obstacle)).toEqual(["protocol", "protocol", "source", ""]);
});
