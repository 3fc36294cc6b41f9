import { describe, expect, test } from "vitest";
import type { AdminRequest, Answer } from "../admin/admin-server.ts";
import { emptyMeshConfig, type MeshConfig } from "../config/mesh-config.ts";
import { ClusterState } from "../model/cluster-state.ts";
import type { Pod } from "../model/objects.ts";
import { explainRoute } from "./explain-route.ts";

const meta = (name: string) => ({ namespace: "shop", name, uid: name, labels: {}, annotations: {} });

function mesh(enforced: MeshConfig["accessControl"]) {
  const pod = { kind: "Pod", meta: meta("client"), ips: ["10.0.0.1"], serviceAccount: "client", ready: true };
  const state = ClusterState.of([pod as unknown as Pod]);
  const config: MeshConfig = {
    ...emptyMeshConfig(),
    meshDomains: ["traefik.mesh"],
    names: { "shop/web": ["10.9.0.1"] },
    servicePorts: {
      "shop/web:80": {
        ...{ namespace: "shop", service: "web", port: 80, trafficType: "http", scheme: "http", middlewares: {} },
        endpoints: { "10.0.0.2:80": { identity: "shop/web", pod: "shop/web-1" } },
      },
    },
    accessRules: {
      "shop/readers": {
        origin: { kind: "TrafficTarget", namespace: "shop", name: "readers" },
        destination: "shop/web",
        sources: ["shop/client"],
        http: { matches: [{ name: "read", methods: ["GET"] }] },
      },
    },
    workloads: { "10.0.0.1": { namespace: "shop", pod: "client", serviceAccount: "client" } },
  };
  return { state, config, enforced, problems: [] };
}

function ask(query: string, explained: ReturnType<typeof mesh> | undefined = mesh("on")): Answer {
  const request: AdminRequest = { query: new URLSearchParams(query), accept: "", ifNoneMatch: "" };
  return explainRoute(() => explained)["/api/explain"]?.answer([], request) as Answer;
}

const CALL = "from=shop/client&to=web.shop.traefik.mesh";

describe("/api/explain", () => {
  test("names at each stage the object by whose word it is so", () => {
    const { stages, served } = JSON.parse(ask(CALL).body);
    expect(served).toBe(true);
    expect(stages.map(({ stage, object }: { stage: string; object: string }) => `${stage}: ${object}`)).toEqual([
      "caller: Pod shop/client",
      "name: Service shop/web",
      "access: TrafficTarget shop/readers",
      "route: Service shop/web",
      "answer: ",
    ]);
  });

  test("says of a denied call which object keeps it out, and why", () => {
    const answer = JSON.parse(ask(`${CALL}&method=post`).body);
    expect(answer).toMatchObject({
      ...{ served: false, status: 403, failure: "AccessDenied", decidedBy: "TrafficTarget shop/readers" },
      stages: [{}, {}, { stage: "access", object: "TrafficTarget shop/readers" }, { stage: "answer" }],
    });
    expect(answer.stages[2].notes[0]).toContain("no match fits");
  });

  test("says that a header in several lines must fit in each", () => {
    const explained = mesh("on");
    const rule = explained.config.accessRules["shop/readers"];
    if (rule !== undefined)
      rule.http = { matches: [{ name: "own", headers: [{ name: "x-tenant", type: "regex", value: "^a$" }] }] };
    const asked = (...values: string[]) => {
      const lines = values.map((value) => `&header=X-Tenant:${value}`).join("");
      return JSON.parse(ask(`${CALL}${lines}`, explained).body);
    };
    expect(asked("a", "a").served).toBe(true);
    const refused = asked("b", "a");
    expect([refused.served, refused.stages[2].notes]).toEqual([
      false,
      [
        "TrafficTarget shop/readers: no match fits (own: header)",
        "x-tenant comes in several lines: to access control each of them must fit",
      ],
    ]);
    expect(asked("b").stages[2].notes).toHaveLength(1);
  });

  test("lets no object of access control decide where that is off", () => {
    const { stages } = JSON.parse(ask(`${CALL}&method=POST`, mesh("off")).body);
    expect(stages[2]).toMatchObject({ object: "", says: expect.stringContaining("let through") });
  });

  test("has the lines of the command too", () => {
    const { steps, stages } = JSON.parse(ask(CALL).body);
    expect(steps[0]).toBe(`caller: ${stages[0].says}`);
    expect(steps).toContain("  TrafficTarget shop/readers allows it");
  });

  test.each([
    ["to=web", "say who calls: from=NAMESPACE/POD"],
    ["from=shop/client", "say what is called"],
    ["from=&to=web", "from : there is no such Pod"],
    ["from=shop/client&to=", "to : expected HOST or HOST:PORT"],
    ["from=shop/nobody&to=web", "from shop/nobody: there is no such Pod"],
    [`${CALL}&methd=GET`, 'there is no parameter "methd"'],
    [`${CALL}&method=G%20T`, 'method "G T"'],
    [`${CALL}&header=:x`, "expected NAME:VALUE"],
    [`${CALL}&path=x`, "expected a path from /"],
  ])("%s is refused with what is wrong", (query, message) => {
    const { status, body } = ask(query);
    expect([status, body]).toEqual([400, expect.stringContaining(message)]);
  });

  test("says so while nothing is in force", () => {
    const request = { query: new URLSearchParams(CALL), accept: "", ifNoneMatch: "" };
    expect(explainRoute(() => undefined)["/api/explain"]?.answer([], request)).toMatchObject({ status: 503 });
  });
});
